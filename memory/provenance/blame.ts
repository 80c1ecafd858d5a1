import type { Kind } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { SignedWrite } from '../ledger/signers.ts';
import { isNobody } from '../merge/accepted.ts';
import { timeOf } from '../format/versions.ts';

/** Who wrote something as the write itself says, and when by that node's clock (epoch ms). */
interface Writer {
  readonly node: string;
  readonly at: number;
  /** Who signed it, where that is another node: one that passed it on, or that used this name. */
  readonly signer: string | null;
}

/** Where a memory of this machine came from. */
export interface Blame {
  readonly kind: Kind;
  readonly row: number;
  /** SHA-256 in hex: the memory's name on every machine. */
  readonly key: string;
  /** Who told the fleet of it; null when nobody did yet. */
  readonly writer: Writer | null;
  /** The signed segment that brought it here; null for a memory that was here first. */
  readonly segment: {
    readonly node: string;
    readonly epoch: string;
    readonly seq: number;
    readonly hash: string;
    /** When it came in, epoch ms. */
    readonly at: number;
  } | null;
  /** Parts that were changed since, each with who wrote it last. */
  readonly changed: readonly (Writer & { readonly part: string })[];
}

/** Where the memory in a row of claude-mem came from; several where peers know it under several keys. */
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
      .filter(([, version]) => !isNobody(version))
      .map(([part, version]) => ({ part, ...writerOf(ledger, { key: entity.key, unit: part, version }) })),
  }));
}

function writerOf(ledger: Ledger, write: SignedWrite): Writer {
  const { node, hlc } = write.version;
  return { node, at: timeOf(hlc), signer: ledger.signers.other(write) };
}
