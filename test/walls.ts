/** Which folder holds what, and what it may import: the linter's import walls and the table of docs/architecture.md are made from this. */

/** A folder of the project. */
export interface Room {
  folder: string;
  holds: string;
  /** Folders or files of ours that it may import, besides its own. `undefined` allows all. */
  imports?: readonly string[];
  /** Packages that it may not import, as glob patterns. */
  without?: { packages: readonly string[]; because: string };
}

const TEMPORAL = '@temporalio/*';
const HTTP = ['express', 'node:http*'];
const POSTGRES = ['pg', 'drizzle-orm'];

export const ROOMS: readonly Room[] = [
  {
    folder: 'contract',
    holds: 'Zod schemas and types: API bodies, workflow and activity inputs, events, the error table',
    imports: [],
  },
  {
    folder: 'engine',
    holds:
      'the client side of Temporal: connecting, keeping a worker polling, starting and signaling workflows',
    imports: ['contract'],
  },
  {
    folder: 'workflows',
    holds: 'deterministic code, one file a workflow; recorded histories',
    imports: ['contract', 'types of any folder'],
  },
  {
    folder: 'activities/control',
    holds: 'status and routing, run beside the API',
    imports: ['contract', 'db', 'storage', 'engine', 'activities/failures.ts'],
  },
  {
    folder: 'activities/node',
    holds: 'what happens on a node',
    imports: ['contract', 'memory', 'git', 'runner', 'storage', 'activities/failures.ts'],
  },
  {
    folder: 'memory',
    holds: 'the sync core; knows neither Temporal nor HTTP',
    imports: ['contract', 'storage'],
  },
  {
    folder: 'git',
    holds: 'clones of managed projects on a node',
    imports: ['contract'],
    without: { packages: [TEMPORAL, ...HTTP], because: 'knows neither Temporal nor HTTP' },
  },
  {
    folder: 'runner',
    holds: 'runs a command-line program for an LLM to its end: limits, sandbox, sessions, context',
    imports: ['contract', 'git/processes.ts', 'git/target.ts', 'memory/claude-mem'],
    without: {
      packages: [TEMPORAL, ...HTTP, ...POSTGRES],
      because: 'knows neither Temporal, HTTP nor PostgreSQL',
    },
  },
  {
    folder: 'transport',
    holds:
      'how our programs reach a control plane: its address, plain HTTP or a pin, requests and WebSockets',
    imports: ['contract'],
  },
  {
    folder: 'storage',
    holds: 'the object store behind one small interface',
    imports: ['contract', 'transport'],
  },
  {
    folder: 'db',
    holds: 'Drizzle schema, migrations, one query a file, the dump of the schema',
    imports: ['contract'],
  },
  {
    folder: 'gateway',
    holds:
      'sockets of agents: what they may call at Temporal (tunnel, allow-list, task tokens), and what people ask them',
    imports: ['contract', 'engine'],
    without: {
      packages: [
        'express',
        ...POSTGRES,
        ...['client', 'worker', 'activity', 'workflow'].map((each) => `@temporalio/${each}`),
      ],
      because: 'knows neither Express, PostgreSQL nor the SDK of Temporal',
    },
  },
  {
    folder: 'api',
    holds:
      'Express: one route table for routes and OpenAPI, sign-in, server-sent events, the control worker, objects for nodes',
    imports: [
      'contract',
      'db',
      'engine',
      'gateway',
      'storage',
      'transport/pin.ts',
      'activities/control',
      'memory/format',
      'memory/legacy/objects.ts',
      'workflows/bundle.ts',
    ],
  },
  {
    folder: 'agent',
    holds: 'the node daemon: worker, memory thread, heartbeat, loopback HTTP, command line',
    imports: ['contract', 'engine', 'memory', 'git', 'runner', 'storage', 'transport', 'activities/node'],
  },
  {
    folder: 'web',
    holds: 'the page',
    imports: ['contract'],
    without: { packages: ['node:*', 'express', ...POSTGRES, TEMPORAL], because: 'runs in a browser' },
  },
  { folder: 'stack', holds: 'PostgreSQL, MinIO and Temporal on one machine without Docker; `npm start`' },
  { folder: 'demo', holds: 'the demo' },
  { folder: 'bench', holds: 'measurements' },
  { folder: 'fixtures', holds: 'claude-mem databases to test with' },
  { folder: 'test', holds: 'checks, and tests of several folders together' },
  { folder: 'deploy', holds: 'containers, units, the installer' },
];

/** A node's key must not leave by a connection that forgot the pin, or over plain HTTP. */
const BY_TRANSPORT =
  'An agent reaches its control plane by transport/ only, which checks the pin (test/walls.ts).';

/** How many folders deep a file can lie below a room. */
const MAX_DEPTH = 4;

interface Pattern {
  group: string[];
  importNames?: string[];
  message: string;
  allowTypeImports?: boolean;
}

interface Wall {
  files: string[];
  excludeFiles: string[];
  rules: {
    'no-restricted-imports': ['error', { patterns: Pattern[] }];
    'no-restricted-globals'?: ['error', ...{ name: string; message: string }[]];
  };
}

/** Returns which paths, as an import `depth` folders below the root writes them, lead to a folder or file that the room may not import. */
function bannedPaths(room: Room, imports: readonly string[], depth: number): string[] {
  const up = '../'.repeat(depth);
  const tops = new Set(ROOMS.map(({ folder }) => folder.split('/')[0] ?? folder));
  const own = room.folder;
  const allowed = [...imports, own];
  const banned = [...tops].filter((top) => !allowed.includes(top)).map((top) => `${up}${top}/**`);
  const parts = allowed.filter((each) => each.includes('/'));
  return [...banned, ...parts.map((each) => `!${up}${each}${each.endsWith('.ts') ? '' : '/**'}`)];
}

/** Returns the wall of a room for its files that lie `depth` folders below the root. */
function wallAt(room: Room, imports: readonly string[], depth: number): Wall {
  const below = '*/'.repeat(depth - room.folder.split('/').length);
  const names = imports.length === 0 ? 'nothing' : imports.join(', ');
  const patterns: Pattern[] = [
    {
      group: bannedPaths(room, imports, depth),
      message: `Of our folders, ${room.folder}/ may import ${names} (test/walls.ts).`,
    },
  ];
  if (room.without !== undefined)
    patterns.push({
      group: [...room.without.packages],
      message: `${room.folder}/ ${room.without.because} (test/walls.ts).`,
    });
  const isAgents = imports.includes('transport');
  if (isAgents) {
    patterns.push(
      { group: ['ws', 'undici'], message: BY_TRANSPORT },
      { group: ['node:http', 'node:https'], importNames: ['request', 'get'], message: BY_TRANSPORT },
    );
  }
  return {
    files: [`${room.folder}/${below}*.ts`, `${room.folder}/${below}*.tsx`],
    excludeFiles: ['**/*.test.ts', '**/*.test.tsx', 'web/vite.config.ts'],
    rules: {
      'no-restricted-imports': ['error', { patterns }],
      ...(isAgents && {
        'no-restricted-globals': [
          'error',
          ...['fetch', 'WebSocket'].map((name) => ({ name, message: BY_TRANSPORT })),
        ],
      }),
    },
  };
}

/** Workflow code runs in the sandbox of Temporal, where it must give the same result each time. */
const WORKFLOW_WALL: Wall = {
  files: ['workflows/*.ts'],
  excludeFiles: ['**/*.test.ts', 'workflows/bundle.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: [
              'node:*',
              'zod',
              'express',
              '@temporalio/client',
              '@temporalio/worker',
              '@temporalio/activity',
            ],
            message: 'Workflow code is deterministic: it may import @temporalio/workflow and the contract.',
          },
          {
            group: ['../**', '!../contract', '!../contract/**'],
            allowTypeImports: true,
            message: 'Workflow code may import only types from other folders.',
          },
        ],
      },
    ],
  },
};

/** Returns the linter's overrides that keep every room to its imports. */
export function importWalls(): Wall[] {
  const walls = ROOMS.flatMap((room) => {
    const { imports, folder } = room;
    if (imports === undefined || folder === 'workflows') return [];
    const first = folder.split('/').length;
    return Array.from({ length: MAX_DEPTH - first + 1 }, (_, n) => wallAt(room, imports, first + n));
  });
  return [...walls, WORKFLOW_WALL];
}

/** Returns the rooms as a Markdown table. */
function roomsTable(): string {
  const code = (each: string): string => (each.includes(' ') ? each : `\`${each}\``);
  const lines = ROOMS.map(({ folder, holds, imports, without }) => {
    const because = without === undefined ? '' : `; ${without.because}`;
    const names =
      imports === undefined ? 'anything' : imports.length === 0 ? 'nothing' : imports.map(code).join(', ');
    return `| \`${folder}/\` | ${holds}${because} | ${names} |`;
  });
  return ['| folder | what it holds | what it may import of ours |', '| --- | --- | --- |', ...lines].join(
    '\n',
  );
}

/** The page that shows the table, from the folder of the checkout. */
export const ARCHITECTURE = 'docs/architecture.md';

/**
 * Returns the page with the table of today between its two marks.
 * @throws Error when the page has no marks
 */
export async function withRoomsTable(page: string): Promise<string> {
  const [start, end] = ['<!-- rooms: made from test/walls.ts -->', '<!-- /rooms -->'];
  const [first, last] = [page.indexOf(start), page.indexOf(end)];
  if (first < 0 || last < first) throw new Error(`${ARCHITECTURE} has no marks for the table of folders`);
  const filled = `${page.slice(0, first + start.length)}\n\n${roomsTable()}\n\n${page.slice(last)}`;
  const { format, resolveConfig } = await import('prettier');
  return await format(filled, { ...(await resolveConfig(ARCHITECTURE)), parser: 'markdown' });
}
