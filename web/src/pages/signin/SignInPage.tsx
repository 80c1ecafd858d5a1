import { Button, PasswordInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useRouter, useSearch } from '@tanstack/react-router';
import { useCallback, useEffect, useState, type FormEvent } from 'react';
import { withBasePath } from '../../api/base-path.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { ApiProblem, isSignedOut, errorSentence } from '../../api/problem.ts';
import { Logo } from '../../components/Logo.tsx';
import { usePageTitle } from '../../components/use-page-title.ts';
import { consumeTakenKey, takeKeyFromAddress } from './key-in-address.ts';
import { nextPage } from './next-page.ts';
import styles from './SignInPage.module.css';

/** Signs in with the key of the link (`/signin#key=…`) or a typed one, and opens the requested page. */
export function SignInPage() {
  usePageTitle('Sign in');
  const { from } = useSearch({ from: '/signin' });
  const router = useRouter();
  const cache = useQueryClient();
  const [key, setKey] = useState('');

  const { mutate, isPending, isSuccess, error } = useMutation({
    mutationFn: async (typed: string) => {
      if (typed === '') throw new ApiProblem({ status: 0, code: 'empty', detail: 'Enter the API key.' });
      await api.signIn(typed);
      const { signed_in: isKept } = await api.session();
      if (!isKept) throw new ApiProblem({ status: 0, code: 'cookie_lost', detail: cookieAdvice() });
    },
    onSuccess: async () => {
      setKey('');
      await cache.resetQueries({ queryKey: keys.session });
      router.history.replace(withBasePath(nextPage(from)));
    },
  });

  const signInByLink = useCallback(() => {
    takeKeyFromAddress();
    const taken = consumeTakenKey();
    if (taken !== null) mutate(taken);
  }, [mutate]);

  useEffect(() => {
    signInByLink();
    // Pasting a sign-in link while this page is open changes only the fragment.
    window.addEventListener('hashchange', signInByLink);
    return () => window.removeEventListener('hashchange', signInByLink);
  }, [signInByLink]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    mutate(key.trim());
  };

  return (
    <main className={styles.page} data-testid="page-signin">
      <form className={styles.card} onSubmit={submit} data-testid="signin-form">
        <Logo size={36} />
        <h1>Sign in to Membridge</h1>
        <p className={styles.lead}>
          Open the sign-in link that Membridge prints when it starts, or enter the API key.
        </p>
        <PasswordInput
          label="API key"
          value={key}
          onChange={(event) => setKey(event.currentTarget.value)}
          autoComplete="current-password"
          error={error === null ? undefined : <span data-testid="signin-error">{refusal(error)}</span>}
          data-testid="signin-key"
          data-autofocus
          autoFocus
          spellCheck={false}
          visibilityToggleButtonProps={{ 'aria-label': 'Show the key' }}
        />
        <Button type="submit" fullWidth loading={isPending || isSuccess} data-testid="signin-submit">
          Sign in
        </Button>
        <p className={styles.hint}>
          The key is the setting <code>RUNTIME_API_KEY</code> of the control plane.
        </p>
      </form>
    </main>
  );
}

/** Says what to do when the browser did not store the server's cookie. */
function cookieAdvice(): string {
  const byPlainHttp =
    window.location.protocol === 'http:'
      ? ' If this server has an https address (MEMBRIDGE_PUBLIC_URL), open the page there: its cookie works only with https.'
      : '';
  return `The key is right, but this browser did not store the sign-in cookie. Allow cookies for ${window.location.host} and sign in again.${byPlainHttp}`;
}

function refusal(error: Error): string {
  return isSignedOut(error)
    ? 'This key is not the API key of this Membridge. Check for a missing character.'
    : errorSentence(error);
}
