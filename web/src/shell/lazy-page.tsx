import { lazyRouteComponent } from '@tanstack/react-router';
import { useEffect, useState, type ComponentType } from 'react';
import { Failure, Loading } from '../components/Notice.tsx';
import { isReloadDue, reloadForUpdate } from './update-reload.ts';

type Load<Name extends string> = () => Promise<Record<Name, ComponentType>>;

/**
 * Loads a page when it is first opened. If its file is missing, because the server was upgraded or does not answer,
 * the rest of the window stays and says so.
 */
export function lazyPage<Name extends string>(load: Load<Name>, name: Name) {
  const missing = () => <MissingPage load={async () => (await load())[name]} />;
  return lazyRouteComponent<Record<string, ComponentType>, string>(
    async () => await load().catch(() => ({ [name]: missing }) as Record<string, ComponentType>),
    name,
  );
}

/** Replaces a page whose file is missing: loads it if it is there by now, otherwise reloads the window once. */
function MissingPage({ load }: { load: () => Promise<ComponentType> }) {
  const [found, setFound] = useState<{ Page: ComponentType } | null>(null);
  const [failure, setFailure] = useState<Error | null>(null);
  useEffect(() => {
    let isShown = true;
    const look = async (): Promise<void> => {
      try {
        const Page = await load();
        if (isShown) setFound({ Page });
      } catch (cause) {
        const due = await isReloadDue();
        if (!isShown) return;
        if (due) reloadForUpdate();
        else setFailure(new Error(MISSING_PAGE_TEXT, { cause }));
      }
    };
    void look();
    return () => {
      isShown = false;
    };
  }, [load]);
  if (found !== null) return <found.Page />;
  if (failure === null) return <Loading what="the page" />;
  return (
    <div className="page" data-testid="page-missing">
      <Failure what="This page" error={failure} retry={() => window.location.reload()} />
    </div>
  );
}

const MISSING_PAGE_TEXT =
  'The page could not load its file from the server. Check that Membridge runs and that this machine can reach it, then try again.';
