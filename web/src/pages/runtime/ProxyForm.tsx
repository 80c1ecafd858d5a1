import { Button, Group, PasswordInput, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import type { RuntimeConfig, TestConnectionResponse } from '../../../../contract/runtime-config.ts';
import { api } from '../../api/calls.ts';
import { keys } from '../../api/keys.ts';
import { errorSentence } from '../../api/problem.ts';
import { notifyDone } from '../../components/notify.ts';
import styles from './ProxyForm.module.css';

/**
 * Sets the remote control plane, and tests it. A stored key stays unless a new one is typed, or the address is
 * another server's.
 */
export function ProxyForm({ config }: { config: RuntimeConfig }) {
  const cache = useQueryClient();
  const [typedUrl, setTypedUrl] = useState<string | null>(null);
  const [key, setKey] = useState('');
  const url = typedUrl ?? config.membridge_server_url;
  const changed = url.trim() !== config.membridge_server_url || key !== '';

  const test = useMutation({
    mutationFn: api.testConnection,
    onSettled: async () => {
      await cache.invalidateQueries({ queryKey: keys.runtimeConfig });
    },
  });
  const save = useMutation({
    mutationFn: api.saveRuntimeConfig,
    onSuccess: (saved) => {
      cache.setQueryData<RuntimeConfig>(keys.runtimeConfig, saved);
      setTypedUrl(null);
      setKey('');
      // The result of the last test belongs to the former settings.
      test.reset();
      notifyDone('The control plane was saved');
    },
  });

  const submit = (event: FormEvent) => {
    event.preventDefault();
    save.mutate({
      ...(url.trim() === config.membridge_server_url ? {} : { membridge_server_url: url.trim() }),
      ...(key === '' ? {} : { admin_key: key }),
    });
  };

  return (
    <form className={styles.form} onSubmit={submit} data-testid="proxy-form">
      {!config.in_use && (
        <p className="dim" data-testid="proxy-not-in-use">
          This process is its own control plane. These settings are stored, and used only with{' '}
          <code>MEMBRIDGE_ROLES=runtime</code>.
        </p>
      )}
      <TextInput
        label="Server URL"
        description="The address of the control plane, for example https://plane.example:8000."
        value={url}
        onChange={(event) => setTypedUrl(event.currentTarget.value)}
        inputMode="url"
        maxLength={512}
        spellCheck={false}
        autoComplete="off"
        data-testid="proxy-url"
      />
      <PasswordInput
        label="Admin key"
        description={
          config.admin_key_masked === ''
            ? 'The MEMBRIDGE_ADMIN_KEY of that control plane. None is set.'
            : `${config.admin_key_masked} is set. Leave this empty to keep it. An address with another protocol, host or port removes it.`
        }
        value={key}
        onChange={(event) => setKey(event.currentTarget.value.trim())}
        error={config.admin_key_problem ?? undefined}
        maxLength={512}
        spellCheck={false}
        autoComplete="new-password"
        visibilityToggleButtonProps={{ 'aria-label': 'Show the key' }}
        data-testid="proxy-key"
      />
      {save.error !== null && (
        <p role="alert" className={styles.failure} data-testid="proxy-error">
          {errorSentence(save.error)}
        </p>
      )}
      <Group gap="xs">
        <Button type="submit" loading={save.isPending} disabled={!changed} data-testid="proxy-save">
          Save
        </Button>
        <Button
          variant="default"
          onClick={() => test.mutate()}
          loading={test.isPending}
          disabled={changed}
          title={changed ? 'Save first: the test uses the saved settings' : undefined}
          data-testid="proxy-test"
        >
          Test connection
        </Button>
      </Group>
      <p role="status" className={styles.result} data-testid="proxy-test-result">
        {test.data !== undefined && describeTest(test.data)}
        {test.error !== null && errorSentence(test.error)}
      </p>
    </form>
  );
}

function describeTest(outcome: TestConnectionResponse): string {
  if (!outcome.connected) return outcome.error;
  const { version, projects, agents } = outcome.health;
  return `It answers, and accepts the key. Version ${version}, projects: ${projects}, nodes: ${agents}.`;
}
