import type Database from 'better-sqlite3';

/**
 * Counts every memory of a database, identified by what a person would recognize it by. Plain SQL, which shares no
 * code with the merge that it judges.
 */
export function takeInventory(db: Database.Database): Map<string, number> {
  const counts = new Map<string, number>();
  const queries = [
    `SELECT json_array('session', content_session_id) FROM sdk_sessions`,
    `SELECT json_array('prompt', content_session_id, prompt_number, created_at_epoch, prompt_text) FROM user_prompts`,
    `SELECT json_array('summary', s.content_session_id, m.created_at_epoch, m.request, m.learned)
     FROM session_summaries m JOIN sdk_sessions s USING (memory_session_id)`,
    `SELECT json_array('observation', s.content_session_id, o.created_at_epoch, o.type, o.title, o.narrative, o.facts)
     FROM observations o JOIN sdk_sessions s USING (memory_session_id)`,
  ];
  for (const query of queries) {
    for (const memory of db.prepare(query).pluck().iterate() as IterableIterator<string>) {
      counts.set(memory, (counts.get(memory) ?? 0) + 1);
    }
  }
  return counts;
}

/** Returns what the fleet knows together: every memory as often as on the machine that has it most often. */
export function unite(inventories: readonly Map<string, number>[]): Map<string, number> {
  const united = new Map<string, number>();
  for (const inventory of inventories) {
    for (const [memory, count] of inventory) united.set(memory, Math.max(count, united.get(memory) ?? 0));
  }
  return united;
}

/** Returns how many memories an inventory lacks, and how many it has too often or that nobody ever had. */
export function compare(
  inventory: Map<string, number>,
  expected: Map<string, number>,
): { lost: number; duplicated: number } {
  let lost = 0;
  let duplicated = 0;
  for (const [memory, count] of expected) lost += Math.max(0, count - (inventory.get(memory) ?? 0));
  for (const [memory, count] of inventory) duplicated += Math.max(0, count - (expected.get(memory) ?? 0));
  return { lost, duplicated };
}
