import { Button, TagsInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState, type FormEvent } from 'react';
import { NodeId } from '../../../../contract/http/primitives.ts';
import { Label } from '../../../../contract/tasks/tasks.ts';
import { basePath } from '../../api/base-path.ts';
import { api } from '../../api/calls.ts';
import { errorSentence } from '../../api/problem.ts';
import { Copy } from '../../components/Copy.tsx';
import { Panel } from '../../components/Panel.tsx';
import { absoluteTime, span } from '../../format/time.ts';
import { useNow } from '../../live/clock.ts';
import styles from './AddNode.module.css';
import { enrolCommand, isLoopback } from './enrol-command.ts';

/** Makes the one-time token with which a machine joins, and shows the commands to run there. */
export function AddNode() {
  const [name, setName] = useState('');
  const create = useMutation({ mutationFn: api.createToken });
  const nodeId = name.trim();
  const [pools, setPools] = useState<string[]>([]);
  const poolProblem = pools.map((pool) => Label.safeParse(pool).error?.issues[0]?.message).find(Boolean);
  const problem = nodeId === '' ? undefined : NodeId.safeParse(nodeId).error?.issues[0]?.message;

  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (problem !== undefined || poolProblem !== undefined) return;
    create.mutate({ nodeId: nodeId === '' ? null : nodeId, pools });
  };

  return (
    <Panel title="Add a node" note="A token works once, for one machine." testId="add-node">
      <form className={styles.form} onSubmit={submit}>
        <TextInput
          label="Node name"
          description="Optional. The default is the machine’s hostname."
          placeholder="build-01"
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          error={problem}
          maxLength={128}
          spellCheck={false}
          data-testid="add-node-name"
        />
        <TagsInput
          label="Pools"
          description="Optional. Pools of tasks that it may serve besides “default”."
          placeholder="gpu"
          value={pools}
          onChange={setPools}
          error={poolProblem}
          maxTags={32}
          data-testid="add-node-pools"
        />
        <Button type="submit" loading={create.isPending} data-testid="add-node-create">
          Create token
        </Button>
      </form>
      {create.error !== null && (
        <p role="alert" className={styles.failure} data-testid="add-node-error">
          {errorSentence(create.error)}
        </p>
      )}
      {create.data !== undefined && <TokenResult token={create.data} />}
    </Panel>
  );
}

function TokenResult({ token }: { token: Awaited<ReturnType<typeof api.createToken>> }) {
  const now = useNow();
  const left = token.expires_at - now;
  const command = enrolCommand(`${window.location.origin}${basePath()}`, token);
  return (
    <div className={styles.result} data-testid="add-node-result" role="status">
      <div className={styles.token}>
        <span className="dim">Token</span>
        <code data-testid="add-node-token">{token.token}</code>
        <Copy text={token.token} what="the token" testId="add-node-copy-token" />
        <span className={styles.expiry} title={absoluteTime(token.expires_at)} data-testid="add-node-expiry">
          {left > 0 ? `valid for ${span(left)}` : 'expired: create another'}
        </span>
      </div>
      <p className="dim">
        {token.node_id === null ? 'For a node of any name.' : `Only for ${token.node_id}.`} It is shown only
        this once. Run this on the other machine, in a checkout of Membridge:
      </p>
      <div className={styles.command}>
        <code data-testid="add-node-command">{command}</code>
        <Copy text={command} what="the command" testId="add-node-copy-command" />
      </div>
      {isLoopback(window.location.hostname) && (
        <p className={styles.warning} data-testid="add-node-loopback">
          This page was opened at {window.location.hostname}, which only this machine can reach. For another
          machine, replace it with an address that the machine can reach.
        </p>
      )}
    </div>
  );
}
