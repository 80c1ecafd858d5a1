import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { isKnownIn } from '../ledger/entities.ts';
import { LIFE_REGISTER } from '../format/kinds.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Accepts } from '../merge/accepted.ts';
import { parseOperation } from '../format/operation.ts';
import { NOT_TRUSTED, trustOf } from '../space/trust.ts';
import { compareVersions } from '../format/versions.ts';

/**
 * Returns which writes make up the restored state: those of trusted nodes, and of other nodes what was merged
 * here while they were trusted. A restore neither removes what is here because its node is no longer trusted,
 * nor adds what was held back.
 */
export function acceptMergedHere(ledger: Ledger, config: SpaceConfig): Accepts {
  const space = ledger.spaces.get(config.cid).id;
  const heldBack = new Set(
    ledger.inbox.listParkedFor(space, NOT_TRUSTED).map((line) => {
      const { key, version } = parseOperation(line);
      return writeId(key, version.counter, version.hlc, version.node);
    }),
  );
  return ({ key, unit, version }) => {
    if (trustOf(config, version.node) === 'accept') return true;
    const entity = ledger.entities.byKey(key);
    if (entity === null || !isKnownIn(entity, space)) return false;
    if (unit === null) return compareVersions(entity.version, version) >= 0;
    if (heldBack.has(writeId(key, version.counter, version.hlc, version.node))) return false;
    const written =
      ledger.entities.registersOf(entity).get(unit) ?? (unit === LIFE_REGISTER ? null : entity.version);
    return written !== null && compareVersions(written, version) >= 0;
  };
}

const writeId = (key: Buffer, counter: number, hlc: number, node: string): string =>
  `${key.toString('hex')}/${counter}/${hlc}/${node}`;
