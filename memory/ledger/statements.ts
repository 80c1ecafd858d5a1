import type Database from 'better-sqlite3';

/** Returns a function that prepares each statement once: preparing costs more than running it. */
export function statementsOf(db: Database.Database): (sql: string) => Database.Statement<unknown[]> {
  const known = new Map<string, Database.Statement<unknown[]>>();
  return (sql) => {
    let statement = known.get(sql);
    if (statement === undefined) {
      statement = db.prepare(sql);
      known.set(sql, statement);
    }
    return statement;
  };
}
