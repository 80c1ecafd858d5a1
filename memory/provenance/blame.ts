import type { Kind } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SignedWrite } from '../ledger/signers.ts';
import { hasNoAuthor } from '../merge/accepted.ts';
import { timeOf } from '../format/versions.ts';

/** The author that a write names, and when it wrote, by that node's clock (epoch milliseconds). */
interface Writer {
  readonly node: string;
  readonly at: number;
  /**
   * The node that signed the write, where it differs from the author: it forwarded the write or used the
   * author's name.
   */
  readonly signer: string | null;
}

/** Where a memory on this machine came from. */
export interface Blame {
  readonly kind: Kind;
  readonly row: number;
  /** SHA-256 in hex: identifies the memory on every machine. */
  readonly key: string;
  /** The node that first sent the memory to the fleet; null while none has. */
  readonly writer: Writer | null;
  /** The signed segment that delivered the memory; null for a memory that was written here. */
  readonly segment: {
    readonly node: string;
    readonly epoch: string;
    readonly seq: number;
    readonly hash: string;
    /** When the segment arrived, epoch milliseconds. */
    readonly at: number;
  } | null;
  /** Parts that changed later, each with its last writer. */
  readonly changed: readonly (Writer & { readonly part: string })[];
}

/**
 * Returns where the memory in a claude-mem row came from. Returns several when peers know it under several
 * keys.
 */
export function blame(ledger: Ledger, kind: Kind, row: number): Blame[] {
  return ledger.entities.allByRow(kind, row).map((entity) => ({
    kind,
    row,
    key: entity.key.toString('hex'),
    writer:
      entity.version.counter === 0
        ? null
        : writerOf(ledger, { key: entity.key, unit: '', version: entity.version }),
    segment: entity.origin === null ? null : ledger.inbox.segmentOf(entity.origin),
    changed: [...ledger.entities.registersOf(entity)]
      .filter(([, version]) => !hasNoAuthor(version))
      .map(([part, version]) => ({ part, ...writerOf(ledger, { key: entity.key, unit: part, version }) })),
  }));
}

function writerOf(ledger: Ledger, write: SignedWrite): Writer {
  const { node, hlc } = write.version;
  return { node, at: timeOf(hlc), signer: ledger.signers.otherSignerOf(write) };
}
