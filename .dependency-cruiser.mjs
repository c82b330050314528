// The import table of ARCHITECTURE.md, as rules. test/house/gates.spec.ts proves that each rule fires on a planted fault.
const SPEC = '\\.spec\\.ts$';

/** Sources of a library, without its specs: specs may use the testkit and what they test against. */
const sourcesOf = (library) => ({ path: `^libs/${library}/src/`, pathNot: SPEC });

/** What each library may import besides itself; the same table stands in ARCHITECTURE.md, and a test compares them. */
export const MAY_IMPORT = {
  core: [],
  contracts: ['core'],
  platform: ['core', 'contracts'],
  bus: ['core', 'contracts', 'platform'],
  store: ['core', 'contracts', 'platform'],
  outbound: ['core', 'contracts', 'platform'],
  receiver: ['core'],
  embedded: ['core', 'contracts'],
};

const roomRules = Object.entries(MAY_IMPORT).map(([library, allowed]) => ({
  name: `rooms-of-${library}`,
  severity: 'error',
  from: sourcesOf(library),
  to: { path: '^(libs|apps)/', pathNot: `^libs/(${[library, ...allowed].join('|')})/` },
}));

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...roomRules,
    {
      name: 'libs-import-no-app',
      comment: 'Also from specs and from the testkit.',
      severity: 'error',
      from: { path: '^libs/' },
      to: { path: '^apps/' },
    },
    {
      name: 'core-uses-the-language-only',
      severity: 'error',
      from: sourcesOf('core'),
      to: { dependencyTypesNot: ['local', 'aliased', 'aliased-subpath-import'] },
    },
    {
      name: 'receiver-uses-node-crypto-only',
      severity: 'error',
      from: sourcesOf('receiver'),
      to: { dependencyTypesNot: ['local', 'aliased', 'aliased-subpath-import'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'embedded-uses-node-only',
      severity: 'error',
      from: sourcesOf('embedded'),
      to: { path: 'node_modules' },
    },
    {
      name: 'data-plane-lives-without-the-store',
      comment: 'Ingest, matching and delivery go on while PostgreSQL is stopped.',
      severity: 'error',
      from: { path: '^apps/(gateway|matcher|delivery|signer)/', pathNot: SPEC },
      to: { path: '^libs/store/' },
    },
    {
      name: 'only-all-in-one-imports-other-apps',
      severity: 'error',
      from: { path: '^apps/([^/]+)/', pathNot: '^apps/all-in-one/' },
      to: { path: '^apps/', pathNot: '^apps/$1/' },
    },
    {
      name: 'testkit-is-for-tests',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/', pathNot: [SPEC, '^libs/testkit/'] },
      to: { path: '^libs/testkit/' },
    },
    {
      name: 'nothing-imports-a-spec',
      severity: 'error',
      from: {},
      to: { path: SPEC },
    },
    {
      name: 'other-rooms-by-subpath',
      comment: '#room/file, not ../../room/src/file.ts: one spelling per module.',
      severity: 'error',
      from: { path: '^(?:libs|apps)/([^/]+)/' },
      to: {
        path: '^libs/',
        pathNot: '^libs/$1/',
        dependencyTypesNot: ['aliased-subpath-import'],
      },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'declared-packages-only',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-development-package-in-production',
      severity: 'error',
      from: { path: '^(apps|libs)/', pathNot: [SPEC, '^libs/testkit/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['^dist/', '^test/fixtures/', '^\\.posthaste/'] },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
};
