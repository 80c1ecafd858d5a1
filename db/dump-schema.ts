import type { Database } from './connect.ts';

/**
 * Returns the schema of a database as SQL text in a stable order: tables with columns and constraints, then
 * indexes and triggers. Reads PostgreSQL's own catalog, so that a review sees what a migration really did.
 */
export async function dumpSchema(db: Database): Promise<string> {
  const lines = await db.pool.query<{ relation: string; part: string; line: string }>(`
    select c.relname as relation, 'column' as part,
           format('%I %s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
                  case when a.attnotnull then ' NOT NULL' else '' end,
                  coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), '')) as line, a.attnum as place
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
    union all
    select r.relname, 'constraint', format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), 10000
    from pg_constraint k join pg_class r on r.oid = k.conrelid
    -- From version 18 PostgreSQL lists NOT NULL as constraints ('n') as well.
    where r.relnamespace = 'public'::regnamespace and k.contype in ('p', 'u', 'f', 'c')
    union all
    select t.relname, 'index', pg_get_indexdef(i.indexrelid) || ';', 20000
    from pg_index i join pg_class t on t.oid = i.indrelid
    where t.relnamespace = 'public'::regnamespace
      and not exists (select 1 from pg_constraint k where k.conindid = i.indexrelid)
    union all
    select r.relname, 'index', pg_get_triggerdef(g.oid) || ';', 30000
    from pg_trigger g join pg_class r on r.oid = g.tgrelid
    where r.relnamespace = 'public'::regnamespace and not g.tgisinternal
    order by relation, place, line`);
  const tables = [...Map.groupBy(lines.rows, (row) => row.relation)].map(([name, rows]) => {
    const inside = rows.filter((row) => row.part !== 'index').map((row) => `  ${row.line}`);
    const indexes = rows.filter((row) => row.part === 'index').map((row) => row.line);
    return [`CREATE TABLE ${name} (`, inside.join(',\n'), ');', ...indexes].join('\n');
  });
  return `-- The schema after all migrations. Written by \`node db/write-schema.ts\`; do not edit.\n\n${tables.join('\n\n')}\n`;
}
