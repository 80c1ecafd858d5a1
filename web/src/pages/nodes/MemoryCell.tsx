import type { MemoryStatus } from '../../../../contract/memory.ts';
import { Status } from '../../components/Status.tsx';
import { bytes } from '../../format/numbers.ts';
import { MEMORY_STATES } from '../../format/words.ts';

/** The state of a node's claude-mem database, with its schema and size or what is wrong with it. */
export function MemoryCell({ memory }: { memory: MemoryStatus | null }) {
  if (memory === null) return <span className="dim">not reported</span>;
  const { label, tone } = MEMORY_STATES[memory.state];
  const size = memory.bytes === null ? null : bytes(memory.bytes);
  const facts = memory.state === 'ready' ? size : memory.detail;
  return (
    <>
      {memory.state === 'ready' ? (memory.schema ?? label) : <Status tone={tone}>{label}</Status>}
      {facts !== null && (
        <span className="second-line" style={{ minWidth: '22ch', maxWidth: '44ch' }}>
          {facts}
        </span>
      )}
    </>
  );
}
