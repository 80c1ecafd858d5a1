import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Outlet, useRouter } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { ApiProblem } from '../api/problem.ts';
import { healthQuery, sessionQuery } from '../api/queries.ts';
import { markSignedOut } from '../cache.ts';
import { setLiveState } from '../live/live-state.ts';
import { LiveStream } from '../live/stream.ts';
import { usePollRemote } from '../live/use-poll-remote.ts';
import { useTabSeen } from '../live/use-tab-seen.ts';
import styles from './Shell.module.css';
import { sayReloaded } from './update-reload.ts';
import { TopBar } from './TopBar.tsx';

/** The frame of every signed-in page: the top bar, the live connection, and the redirect when the session ends. */
export function Shell() {
  const cache = useQueryClient();
  const router = useRouter();
  const [stream] = useState(() => new LiveStream(cache, markSignedOut));
  const session = useQuery(sessionQuery).data;
  const health = useQuery(healthQuery);

  const isSeen = useTabSeen();
  useEffect(() => {
    if (isSeen) stream.start();
    else stream.pause();
  }, [stream, isSeen]);
  useEffect(() => () => stream.stop(), [stream]);

  const signedOut = session?.signed_in === false;
  useEffect(() => {
    if (!signedOut) return;
    stream.stop();
    setLiveState('signed-out');
    void router.navigate({ to: '/signin', search: { from: router.state.location.href } });
  }, [signedOut, stream, router]);

  // A connection can die silently: the poll notices that, and the stream is reopened.
  const unreachable = health.error instanceof ApiProblem && health.error.status === 0;
  useEffect(() => {
    if (unreachable) stream.restart();
  }, [unreachable, stream]);

  useEffect(sayReloaded, []);

  // The browser knows immediately that it is offline; noticing a dead connection takes a while.
  useEffect(() => {
    const offline = () => setLiveState('reconnecting');
    const online = () => stream.restart();
    window.addEventListener('offline', offline);
    window.addEventListener('online', online);
    return () => {
      window.removeEventListener('offline', offline);
      window.removeEventListener('online', online);
    };
  }, [stream]);

  usePollRemote(health.data?.membridge.remote === true);

  return (
    <>
      <a className={styles.skip} href="#main">
        Skip to the content
      </a>
      <TopBar temporalUi={health.data?.temporal_ui ?? null} />
      <main id="main" className={styles.main}>
        <Outlet />
      </main>
    </>
  );
}
