import { Drawer } from '@mantine/core';
import type { Node } from '../../../../contract/nodes/nodes.ts';
import { memoryStateAt } from '../../../../contract/memory/sync-state.ts';
import { Ago } from '../../components/Ago.tsx';
import { dialogAttributes } from '../../components/dialog-attributes.ts';
import { Facts, type Fact } from '../../components/Facts.tsx';
import { bytes, count } from '../../format/numbers.ts';
import { absoluteTime } from '../../format/time.ts';
import { MEMORY_STATES } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';
import { presenceOf } from '../../live/presence.ts';
import { AskNode } from './AskNode.tsx';
import { NodeStatus } from './NodeStatus.tsx';
import { PoolsFact } from './PoolsFact.tsx';
import { SandboxFact } from './SandboxFact.tsx';
import styles from './NodeDrawer.module.css';

/** Everything that is known about one node. Open while `node` is given. */
export function NodeDrawer({ node, onClose }: { node: Node | undefined; onClose: () => void }) {
  const now = useNow();
  return (
    <Drawer
      opened={node !== undefined}
      onClose={onClose}
      position="right"
      size={460}
      title={<strong className={styles.title}>{node?.id}</strong>}
      closeButtonProps={{ 'aria-label': 'Close', 'data-testid': 'node-drawer-close' } as object}
      attributes={dialogAttributes('node-drawer')}
    >
      {node !== undefined && (
        <div className={styles.sections}>
          <section>
            <h2>Agent</h2>
            <Facts facts={agentFacts(node, now)} />
          </section>
          <AskNode key={node.id} node={node} />
          <section>
            <h2>Memory</h2>
            <Facts facts={memoryFacts(node, now)} />
          </section>
          <section>
            <h2>Abilities</h2>
            <Facts facts={abilityFacts(node)} />
          </section>
        </div>
      )}
    </Drawer>
  );
}

const mono = (text: string) =>
  text === '' ? <span className="dim">–</span> : <span className="mono">{text}</span>;

function agentFacts(node: Node, now: number): Fact[] {
  return [
    { name: 'Status', value: <NodeStatus node={node} /> },
    // The standing is as old as the last event; a node that fell silent since sends none.
    ...(presenceOf(node, now) === 'online'
      ? [{ name: 'Work', value: node.standing.sentence, testId: 'node-work' }]
      : []),
    {
      name: 'Last heartbeat',
      value: node.last_heartbeat === null ? 'never' : absoluteTime(node.last_heartbeat),
    },
    { name: 'Hostname', value: mono(node.hostname) },
    { name: 'System', value: node.os_info },
    { name: 'Agent version', value: mono(node.agent_version) },
    { name: 'Addresses', value: node.ip_addrs.map((ip) => <div key={ip}>{mono(ip)}</div>) },
    ...(node.url === '' ? [] : [{ name: 'URL', value: mono(node.url) }]),
    { name: 'Enrolled', value: absoluteTime(node.registered_at) },
    { name: 'Install method', value: node.install_method },
    { name: 'Dry run', value: node.dryrun ? 'yes: it changes nothing' : 'no' },
  ];
}

function memoryFacts(node: Node, now: number): Fact[] {
  const { memory } = node;
  if (memory === null) return [{ name: 'State', value: 'not reported yet' }];
  const { rows } = memory;
  const { state, detail } = memoryStateAt(memory, node.last_heartbeat, now);
  return [
    { name: 'State', value: MEMORY_STATES[state].label },
    ...(detail === null ? [] : [{ name: 'Detail', value: detail }]),
    { name: 'Schema', value: memory.schema ?? '–' },
    { name: 'File', value: mono(memory.path) },
    { name: 'Size', value: memory.bytes === null ? '–' : bytes(memory.bytes) },
    { name: 'Observations', value: rows === null ? '–' : count(rows.observations) },
    { name: 'Sessions', value: rows === null ? '–' : count(rows.sessions) },
    { name: 'Summaries', value: rows === null ? '–' : count(rows.summaries) },
    { name: 'Prompts', value: rows === null ? '–' : count(rows.prompts) },
    ...(memory.heldDeletes === undefined || memory.heldDeletes === 0
      ? []
      : [
          {
            name: 'Held deletions',
            value: `${count(memory.heldDeletes)}: the node sends nothing until you run “membridge deletes” there`,
            testId: 'node-held-deletes',
          },
        ]),
    ...(memory.heldSegments === undefined || memory.heldSegments === 0
      ? []
      : [
          {
            name: 'Held segments',
            value: `${count(memory.heldSegments)} from nodes that it does not trust yet`,
            testId: 'node-held-segments',
          },
        ]),
    { name: 'Checked', value: <Ago at={memory.checkedAt} /> },
  ];
}

function abilityFacts(node: Node): Fact[] {
  const { capabilities } = node;
  return [
    { name: 'Claude CLI', value: capabilities.claude_cli ? 'yes' : 'no' },
    { name: 'Task sandbox', value: <SandboxFact node={node} />, testId: 'node-sandbox' },
    { name: 'Tasks at the same time', value: count(capabilities.max_concurrency) },
    { name: 'Pools', value: <PoolsFact node={node} />, testId: 'node-pools' },
  ];
}
