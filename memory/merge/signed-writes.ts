import type { Ledger } from '../ledger/ledger.ts';
import { LIFE_REGISTER } from '../format/kinds.ts';
import type { SignedWrite } from '../ledger/signers.ts';
import { hasNoAuthor } from './accepted.ts';
import type { Operation } from '../format/operation.ts';

/**
 * Records who signed an operation's writes, where that is not the node in their version. Senders choose the
 * version's node freely; only the segment's signature proves the sender.
 * @param from the segment: its id in the ledger, and the node that signed it
 */
export function recordSigner(ledger: Ledger, operation: Operation, from: { id: number; node: string }): void {
  for (const write of writesOf(operation)) {
    if (hasNoAuthor(write.version)) continue;
    if (write.version.node === from.node) ledger.signers.confirm(write);
    else ledger.signers.note(write, from.id);
  }
}

/** Returns each write of an operation with its own version. */
function writesOf(operation: Operation): SignedWrite[] {
  const { key, version } = operation;
  switch (operation.type) {
    case 'delete':
      return [{ key, unit: LIFE_REGISTER, version }];
    case 'update':
      return Object.keys(operation.up).map((unit) => ({ key, unit, version }));
    case 'full':
      return [
        { key, unit: '', version },
        ...Array.from(operation.written, ([unit, written]) => ({ key, unit, version: written })),
      ];
  }
}
