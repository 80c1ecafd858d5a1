// Stands in for the program that claude-mem's worker starts for its vector index: an MCP server that speaks as
// chroma-mcp does, without the embedding. It keeps documents in the tables of Chroma 1.5. So the worker and the
// readers of Chroma's file see a realistic index. Its arguments are those that the worker gives to uvx.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';

interface Arguments {
  readonly collection_name?: string;
  readonly ids?: readonly string[];
  readonly metadatas?: readonly Record<string, unknown>[];
  readonly where?: { readonly project?: string };
  readonly limit?: number;
  readonly offset?: number;
}

const dataDir = process.argv[process.argv.indexOf('--data-dir') + 1] ?? '';
// The worker first asks for help, to have uvx fetch the program.
if (process.argv.includes('--help') || !process.argv.includes('--data-dir')) process.exit(0);
mkdirSync(dataDir, { recursive: true });
const db = new Database(join(dataDir, 'chroma.sqlite3'));
db.exec(`
  CREATE TABLE IF NOT EXISTS collections (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE);
  CREATE TABLE IF NOT EXISTS segments (id TEXT PRIMARY KEY, type TEXT NOT NULL, scope TEXT NOT NULL, collection TEXT NOT NULL);
  CREATE TABLE IF NOT EXISTS embeddings (id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL, embedding_id TEXT NOT NULL,
    seq_id BLOB NOT NULL, created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, UNIQUE (segment_id, embedding_id));
  CREATE TABLE IF NOT EXISTS stand_in_metadata (id INTEGER PRIMARY KEY, metadata TEXT NOT NULL);`);

const TOOLS: Readonly<Record<string, (given: Arguments) => unknown>> = {
  chroma_list_collections: () => db.prepare('SELECT name FROM collections').pluck().all(),
  chroma_create_collection: ({ collection_name: name }) => {
    db.prepare('INSERT OR IGNORE INTO collections VALUES (@name, @name)').run({ name });
    db.prepare(`INSERT OR IGNORE INTO segments VALUES (@name, 'sqlite', 'METADATA', @name)`).run({ name });
    return { created: name };
  },
  chroma_add_documents: ({ collection_name: name, ids = [], metadatas = [] }) => {
    const add = db.prepare('INSERT INTO embeddings (segment_id, embedding_id, seq_id) VALUES (?, ?, 1)');
    const note = db.prepare('INSERT INTO stand_in_metadata VALUES (?, ?)');
    db.transaction(() => {
      ids.forEach((id, n) => note.run(add.run(name, id).lastInsertRowid, JSON.stringify(metadatas[n] ?? {})));
    })();
    return { added: ids.length };
  },
  chroma_get_documents: ({ where, limit = 1_000, offset = 0 }) => {
    const rows = db
      .prepare(
        `SELECT embedding_id, metadata FROM embeddings JOIN stand_in_metadata USING (id)
         WHERE @project IS NULL OR metadata ->> 'project' = @project ORDER BY id LIMIT @limit OFFSET @offset`,
      )
      .raw()
      .all({ project: where?.project ?? null, limit, offset }) as [string, string][];
    return {
      ids: rows.map(([id]) => id),
      metadatas: rows.map(([, metadata]) => JSON.parse(metadata) as unknown),
    };
  },
};

function answer(method: string, params: Record<string, unknown>): unknown {
  if (method === 'initialize') {
    return {
      protocolVersion: params['protocolVersion'],
      capabilities: { tools: {} },
      serverInfo: { name: 'chroma', version: '0' },
    };
  }
  if (method === 'tools/list') return { tools: [] };
  if (method !== 'tools/call') return {};
  try {
    const tool = TOOLS[String(params['name'])];
    if (tool === undefined) throw new Error(`there is no tool ${String(params['name'])}`);
    return { content: [{ type: 'text', text: JSON.stringify(tool(params['arguments'] as Arguments)) }] };
  } catch (error) {
    return { content: [{ type: 'text', text: String(error) }], isError: true };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const {
    id,
    method,
    params = {},
  } = JSON.parse(line) as {
    id?: number;
    method: string;
    params?: Record<string, unknown>;
  };
  if (id === undefined) continue;
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, result: answer(method, params) })}\n`);
}
