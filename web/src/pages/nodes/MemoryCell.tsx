import type { Node } from '../../../../contract/nodes/nodes.ts';
import { memoryStateAt } from '../../../../contract/memory/sync-state.ts';
import { Status } from '../../components/Status.tsx';
import { bytes } from '../../format/numbers.ts';
import { MEMORY_STATES } from '../../format/words.ts';
import { useNow } from '../../live/clock.ts';

/** The state of a node's memory, with its schema and size, or its problem. */
export function MemoryCell({ node }: { node: Pick<Node, 'memory' | 'last_heartbeat'> }) {
  const now = useNow();
  const { memory } = node;
  if (memory === null) return <span className="dim">not reported</span>;
  const { state, detail } = memoryStateAt(memory, node.last_heartbeat, now);
  const { label, tone } = MEMORY_STATES[state];
  const size = memory.bytes === null ? null : bytes(memory.bytes);
  const facts = state === 'ready' ? size : detail;
  return (
    <>
      {state === 'ready' ? (memory.schema ?? label) : <Status tone={tone}>{label}</Status>}
      {facts !== null && (
        <span className="second-line" style={{ minWidth: '22ch', maxWidth: '44ch' }}>
          {facts}
        </span>
      )}
    </>
  );
}
