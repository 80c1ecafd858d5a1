import { Button, Modal, Stack } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { IconShieldCheck } from '@tabler/icons-react';
import type { AuditProof } from '../../../../contract/audit.ts';
import { api } from '../../api/calls.ts';
import { Copy } from '../../components/Copy.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { Status } from '../../components/Status.tsx';

/** Makes the server check the chain of the audit log, and shows the result. */
export function AuditCheck() {
  const check = useMutation({
    mutationFn: api.proveAudit,
    onError: (error) => notifyFailure('The server could not check the log', error),
  });
  return (
    <>
      <Button
        variant="default"
        leftSection={<IconShieldCheck size={15} />}
        loading={check.isPending}
        onClick={() => check.mutate()}
        data-testid="audit-check"
      >
        Check the log
      </Button>
      <Modal
        opened={check.data !== undefined}
        onClose={check.reset}
        title="Check of the audit log"
        closeButtonProps={{ 'aria-label': 'Close' }}
        data-testid="audit-proof"
      >
        {check.data !== undefined && <Proof proof={check.data} />}
      </Modal>
    </>
  );
}

function Proof({ proof }: { proof: AuditProof }) {
  return (
    <Stack gap="sm">
      <p>
        <Status tone={proof.intact ? 'good' : 'bad'} testId="audit-proof-status">
          {proof.intact ? `All ${proof.entries} entries are unchanged` : 'The log was changed'}
        </Status>
      </p>
      {proof.problem !== null && <p role="alert">{proof.problem}</p>}
      {proof.role_can_alter && (
        <p>
          Membridge works as the owner of this table, so anybody who takes over the server can replace the
          log. Set <code>DATABASE_OWNER_URL</code>, so that Membridge works as a role that cannot.
        </p>
      )}
      <p className="dim">
        Keep this hash in a safe place. With it you can prove later that nobody removed the newest entries:
      </p>
      <p style={{ overflowWrap: 'anywhere' }}>
        <code data-testid="audit-proof-hash">
          {proof.entries} {proof.hash}
        </code>{' '}
        <Copy text={`${proof.entries} ${proof.hash}`} what="the hash" testId="audit-proof-copy" />
      </p>
    </Stack>
  );
}
