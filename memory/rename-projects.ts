import type { SpaceConfig } from '../contract/memory.ts';
import { KINDS, UNITS } from './kinds.ts';
import { isKnownIn } from './ledger/entities.ts';
import type { SyncSession } from './session.ts';

/** Where the ledger keeps under which names of a space its rows were last told of. */
const namesOf = (cid: string): string => `names:${cid}`;

/**
 * When a project of this node gets another name in a space, what the space knows of it is told of again under that name.
 * No row here changes.
 */
export function tellNewNames({ db, ledger, schema, changes }: SyncSession, config: SpaceConfig): void {
  const names = config.names ?? {};
  const before = JSON.parse(String(ledger.meta(namesOf(config.cid)) ?? '{}')) as Record<string, string>;
  const changed = [...new Set([...Object.keys(names), ...Object.keys(before)])].filter(
    (project) => (names[project] ?? project) !== (before[project] ?? project),
  );
  if (changed.length === 0) return;
  const space = ledger.spaces.get(config.cid);
  ledger.atomically(() => {
    for (const kind of KINDS) {
      const unit = UNITS[kind].findIndex(({ name }) => name === 'project');
      if (unit < 0) continue;
      const rows = db
        .prepare(
          `SELECT id FROM ${schema.sources[kind]} t WHERE t.project IN (SELECT value FROM json_each(?))`,
        )
        .pluck()
        .all(JSON.stringify(changed)) as number[];
      for (const row of rows) {
        for (const entity of ledger.entities.allByRow(kind, row)) {
          if (isKnownIn(entity, space.id)) changes.claim(entity, [unit]);
        }
      }
    }
    ledger.setMeta(namesOf(config.cid), JSON.stringify(names));
  });
}
