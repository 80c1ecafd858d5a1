/** The import walls of docs/architecture.md: which folder may import which. */
const room = (name, allowed) => ({
  name: `wall-${name}`,
  severity: 'error',
  comment: `${name}/ may import only ${allowed.join(', ') || 'nothing of ours'}`,
  from: { path: `^${name}/`, pathNot: '\\.test\\.tsx?$' },
  to: {
    path: '^(contract|engine|workflows|activities|memory|storage|db|api|agent|web|stack|demo|bench|fixtures|test)/',
    pathNot: [`^${name}/`, ...allowed.map((folder) => `^${folder}/`)].join('|'),
  },
});

module.exports = {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true, dependencyTypesNot: ['type-only'] } },
    room('contract', []),
    room('engine', ['contract']),
    room('storage', ['contract']),
    room('memory', ['storage', 'contract']),
    room('db', ['contract']),
    room('web', ['contract']),
    room('api', ['contract', 'db', 'activities/control', 'engine', 'storage']),
    room('activities/control', ['contract', 'db', 'storage', 'engine']),
    room('activities/node', ['contract', 'memory', 'storage']),
    room('agent', ['activities/node', 'contract', 'memory', 'storage', 'engine']),
    {
      name: 'wall-workflows-value-imports',
      severity: 'error',
      comment: 'workflows/ is deterministic: it takes types of activities, the contract and @temporalio/workflow, nothing else',
      from: { path: '^workflows/', pathNot: '\\.test\\.ts$' },
      to: {
        pathNot: '^workflows/|^contract/|node_modules/@temporalio/(workflow|common)/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'wall-web-node',
      severity: 'error',
      comment: 'web/ runs in a browser',
      from: { path: '^web/', pathNot: '\\.test\\.tsx?$|vite\\.config' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no-test-in-product',
      severity: 'error',
      from: { pathNot: '\\.test\\.tsx?$|^(test|demo|bench|fixtures)/' },
      to: { path: '\\.test\\.tsx?$|^(test|demo|bench|fixtures)/' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    exclude: { path: '^(dist|\\.membridge)/' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.mjs', '.js', '.json'], conditionNames: ['import', 'node', 'default'] },
  },
};
