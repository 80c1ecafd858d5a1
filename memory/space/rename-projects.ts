import type { SpaceConfig } from '../../contract/memory/memory.ts';
import { KINDS, UNITS, type Kind } from '../format/kinds.ts';
import { isKnownIn, isStub } from '../ledger/entities.ts';
import { PROJECT_COLUMNS, SpaceProjects } from './space-projects.ts';
import type { SyncSession } from '../session.ts';

/** Ledger entry for the space names under which rows were last sent, worktrees included. */
const namesEntry = (cid: string): string => `names-and-worktrees:${cid}`;

/** The same as version 0.4 kept it: it sent worktrees under their own names. */
const exactNamesEntry = (cid: string): string => `names:${cid}`;

type Names = Record<string, string>;

/**
 * Sends memories again under the new name when a local project gets another name in a space. No local row
 * changes.
 */
export function queueRenamed({ db, ledger, schema, changes }: SyncSession, config: SpaceConfig): void {
  const { cid } = config;
  const now = JSON.stringify(config.names ?? {});
  const told = ledger.meta(namesEntry(cid));
  if (told === now) return;
  const before = nameBefore(config, told, ledger.meta(exactNamesEntry(cid)));
  const after = new SpaceProjects(config);
  const space = ledger.spaces.get(cid);
  const rowsNamed = (kind: Kind, column: string): number[] => {
    const source = `${schema.sources[kind]} t`;
    const names = db
      .prepare(`SELECT DISTINCT t.${column} FROM ${source} WHERE t.${column} IS NOT NULL`)
      .pluck();
    const renamed = names
      .all()
      .filter((name) => typeof name === 'string' && before(name) !== after.inSpace(name));
    if (renamed.length === 0) return [];
    return db
      .prepare(`SELECT t.id FROM ${source} WHERE t.${column} IN (SELECT value FROM json_each(?))`)
      .pluck()
      .all(JSON.stringify(renamed)) as number[];
  };
  ledger.atomically(() => {
    for (const kind of KINDS) {
      for (const column of PROJECT_COLUMNS) {
        const unit = UNITS[kind].findIndex(({ name }) => name === column);
        if (unit < 0 || !schema.columns[kind].has(column)) continue;
        for (const row of rowsNamed(kind, column)) {
          for (const entity of ledger.entities.allByRow(kind, row)) {
            // A stub session has its name from one of its rows; nobody gave it one.
            if (isKnownIn(entity, space.id) && !isStub(entity)) changes.claim(entity, [unit]);
          }
        }
      }
    }
    ledger.setMeta(namesEntry(cid), now);
  });
}

/** Returns a function that gives the name under which the space knows a project. */
function nameBefore(
  config: SpaceConfig,
  told: string | number | null,
  toldExactly: string | number | null,
): (project: string) => string {
  if (told !== null) {
    const projects = new SpaceProjects({ ...config, names: JSON.parse(String(told)) as Names });
    return (project) => projects.inSpace(project);
  }
  const exact = JSON.parse(String(toldExactly ?? '{}')) as Names;
  return (project) => exact[project] ?? project;
}
