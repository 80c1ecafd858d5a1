import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { SignedInBrowser } from '../../../../contract/http/api.ts';
import { api } from '../../api/calls.ts';
import { sessionsQuery } from '../../api/queries.ts';
import { Ago } from '../../components/Ago.tsx';
import { Failure, Loading } from '../../components/Notice.tsx';
import { notifyDone, notifyFailure } from '../../components/notify.ts';
import { Panel } from '../../components/Panel.tsx';
import { Table } from '../../components/Table.tsx';
import { browserName } from '../../format/browser-name.ts';

const COLUMNS = [
  { name: 'Browser' },
  { name: 'Address' },
  { name: 'Signed in' },
  { name: 'Action', quiet: true },
] as const;

/** The signed-in browsers, each with a button to sign it out. */
export function SessionsPanel() {
  const cache = useQueryClient();
  const { data: sessions, error, isPending, refetch } = useQuery(sessionsQuery);
  const refresh = () => cache.invalidateQueries({ queryKey: sessionsQuery.queryKey });
  const endOthers = useMutation({
    mutationFn: api.endOtherSessions,
    onSuccess: async () => {
      notifyDone('The other browsers are signed out');
      await refresh();
    },
    onError: (failure) => notifyFailure('The other browsers are still signed in', failure),
  });
  const others = sessions?.filter(({ is_this }) => !is_this) ?? [];
  return (
    <Panel
      title="Signed-in browsers"
      note="Each stays signed in for 7 days. A new API key or admin key signs all of them out."
      testId="sessions-panel"
      flush
      actions={
        others.length > 0 && (
          <Button
            variant="default"
            size="xs"
            loading={endOthers.isPending}
            onClick={() => endOthers.mutate()}
            data-testid="sessions-end-others"
          >
            Sign out all others
          </Button>
        )
      }
    >
      {isPending && <Loading what="the signed-in browsers" />}
      {sessions === undefined && error !== null && (
        <Failure what="The list of signed-in browsers" error={error} retry={refetch} />
      )}
      {sessions !== undefined && (
        <Table label="Signed-in browsers" columns={COLUMNS} testId="sessions-table">
          {sessions.map((session) => (
            <SessionRow key={session.id} session={session} onEnd={refresh} />
          ))}
        </Table>
      )}
    </Panel>
  );
}

function SessionRow({ session, onEnd }: { session: SignedInBrowser; onEnd: () => Promise<void> }) {
  const end = useMutation({
    mutationFn: () => api.endSession(session.id),
    onSuccess: onEnd,
    onError: (failure) => notifyFailure('That browser is still signed in', failure),
  });
  return (
    <tr data-testid={`session-${session.id}`}>
      <td title={session.user_agent}>{browserName(session.user_agent)}</td>
      <td>{session.address === '' ? 'unknown' : session.address}</td>
      <td>
        <Ago at={session.created_at} />
      </td>
      <td>
        {session.is_this ? (
          <span className="dim">this browser</span>
        ) : (
          <Button
            variant="subtle"
            color="gray"
            size="compact-xs"
            loading={end.isPending}
            onClick={() => end.mutate()}
            data-testid={`session-end-${session.id}`}
          >
            Sign out
          </Button>
        )}
      </td>
    </tr>
  );
}
