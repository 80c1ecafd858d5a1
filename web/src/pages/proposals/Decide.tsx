import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { IconCheck, IconX } from '@tabler/icons-react';
import { useState, type FormEvent } from 'react';
import type { Proposal, ShownProposal } from '../../../../contract/projects/proposals.ts';
import { keys } from '../../api/keys.ts';
import { findFieldProblem, withoutShownFields } from '../../api/problem.ts';
import { taskApi } from '../../api/task-calls.ts';
import { Dialog } from '../../components/Dialog.tsx';
import { FormFooter } from '../../components/FormFooter.tsx';
import { ConfirmDialog } from '../../components/ConfirmDialog.tsx';
import { notifyFailure } from '../../components/notify.ts';
import { useFormError } from '../../components/use-form-error.ts';
import styles from './Proposals.module.css';

/** The two decisions, each after a question. A failed proposal may be approved again. */
export function Decide({ proposal }: { proposal: ShownProposal }) {
  const [open, setOpen] = useState<'approve' | 'reject' | null>(null);
  const close = () => setOpen(null);
  const { status } = proposal;
  return (
    <>
      {status === 'pending' && (
        <Button
          variant="default"
          leftSection={<IconX size={15} />}
          onClick={() => setOpen('reject')}
          data-testid="proposal-reject"
        >
          Reject
        </Button>
      )}
      {(status === 'pending' || status === 'failed') && (
        <Button
          leftSection={<IconCheck size={15} />}
          onClick={() => setOpen('approve')}
          data-testid="proposal-approve"
        >
          {status === 'failed' ? 'Approve again' : 'Approve'}
        </Button>
      )}
      {open === 'approve' && <Approve proposal={proposal} onClose={close} />}
      {open === 'reject' && <Reject proposal={proposal} onClose={close} />}
    </>
  );
}

/** Shows a proposal from an answer immediately. */
function useShow() {
  const cache = useQueryClient();
  return (proposal: Proposal) => {
    cache.setQueryData<ShownProposal>(
      keys.proposal(proposal.id),
      (known) => known && { ...known, ...proposal },
    );
    void cache.invalidateQueries({ queryKey: keys.allProposals });
  };
}

function Approve({ proposal, onClose }: { proposal: ShownProposal; onClose: () => void }) {
  const own = proposal.expected_version ?? '';
  // The approval covers what the page shows at the click, and not a diff that is made later.
  const [tree] = useState(proposal.preview?.tree ?? null);
  const [version, setVersion] = useState(own);
  const show = useShow();
  const approve = useMutation({
    mutationFn: async () => {
      const typed = version.trim();
      return await taskApi.approve(proposal.id, {
        ...(typed === own ? {} : { expected_version: typed === '' ? null : typed }),
        ...(tree === null ? {} : { tree_hash: tree }),
      });
    },
    onSuccess: (answer) => {
      show(answer);
      onClose();
    },
  });
  const { form, error } = useFormError(approve.error, { expected_version: version.trim() });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    approve.mutate();
  };
  return (
    <Dialog title="Approve this proposal?" testId="approve-dialog" onClose={onClose}>
      <form ref={form} className={styles.question} onSubmit={submit}>
        <p className="dim">
          {tree === null
            ? 'There is no diff. A node commits the proposal only if the worker’s text shows every change.'
            : `A node commits exactly what this page shows, as tree ${tree.slice(0, 12)}, and pushes it. If the branch has moved, nothing is written, and this page shows the new diff.`}
        </p>
        <TextInput
          label="Expected version"
          description="The commit that the branch must be at. Leave it empty to accept every commit."
          placeholder="any commit"
          value={version}
          onChange={(event) => setVersion(event.currentTarget.value)}
          error={findFieldProblem(error, 'expected_version')}
          maxLength={64}
          spellCheck={false}
          classNames={{ input: 'mono' }}
          data-testid="approve-version"
        />
        <FormFooter
          prefix="approve"
          error={withoutShownFields(error, ['expected_version'])}
          onCancel={onClose}
          submit={{
            label: 'Approve and commit',
            id: 'accept',
            isPending: approve.isPending,
            disabled: false,
          }}
        />
      </form>
    </Dialog>
  );
}

function Reject({ proposal, onClose }: { proposal: ShownProposal; onClose: () => void }) {
  const [reason, setReason] = useState('');
  const show = useShow();
  const reject = useMutation({
    mutationFn: () => taskApi.reject(proposal.id, reason.trim()),
    onSuccess: show,
    onError: (error) => notifyFailure('The proposal was not rejected', error),
    onSettled: onClose,
  });
  return (
    <ConfirmDialog
      opened
      title="Reject this proposal?"
      confirm="Reject it"
      decline="Keep it"
      busy={reject.isPending}
      onConfirm={() => reject.mutate()}
      onCancel={onClose}
    >
      <div className={styles.question}>
        <p>After that, nobody can approve it. Its task does not change.</p>
        <TextInput
          label="Reason"
          description="Optional. Explains the rejection to later readers."
          value={reason}
          onChange={(event) => setReason(event.currentTarget.value)}
          maxLength={500}
          data-testid="reject-reason"
        />
      </div>
    </ConfirmDialog>
  );
}
