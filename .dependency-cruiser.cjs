// Who may reach whom. `npm run layers` holds it; a rule's comment is what a refused change is told.
//
// Rules with `reachable` follow imports through any number of files. The others name every edge
// that may leave a room, which comes to the same: a way out has to begin with one such edge.
// Type-only imports count.

const pkg = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)|^(${names.join('|')})(/|$)`;
const core = (...names) => `^(node:)?(${names.join('|')})(/|$)`;
const anyOf = (...patterns) => patterns.map((pattern) => `(?:${pattern})`).join('|');

const PURE_ROOMS =
  'json|errors|bytes|limits|layout|time|crypto|tuf|evidence|manifest|revocation|log|verify|handoff|product|api';
const PURE = `^shared/(${PURE_ROOMS})(/|\\.ts$)`;
const PURE_PACKAGES = pkg('@noble/[^/]+', 'zod');
// evidence/ may also have a CEL evaluator, which it bounds itself, and readers of two small grammars.
const EVIDENCE_PACKAGES = [
  '@marcbachmann/cel-js',
  'packageurl-js',
  'spdx-expression-parse',
  'spdx-license-ids',
];
const WEB_PACKAGES = pkg('preact', '@preact/[^/]+', 'uplot');
const HTTP_CLIENTS = anyOf(
  pkg('undici', 'axios', 'got', 'node-fetch', 'make-fetch-happen', 'ky'),
  core('http', 'https', 'http2'),
);
const SIGNERS = '^shared/node/(signers?|keys?)(/|[-.])|^server/ceremony/';
const OUTSIDE = '^(test|bench|scripts|examples)/';
const PROGRAMS = '^(publisher|server|client|agent|web)/';
const EVERYTHING_ELSE = anyOf(OUTSIDE, '^bin/');

const UPDATER = '^client/updater(/|\\.ts$)';
const MAY_USE_UPDATER = '^(server/publish/preflight|publisher/rebase)(/|\\.ts$)';

function room(name, forbidden) {
  return {
    name: `${name}-reaches-no-other-program`,
    comment: `${name} reaches shared/ and itself; what two programs need belongs in shared/.`,
    severity: 'error',
    from: { path: `^${name}/` },
    to: { path: `^(${forbidden})/`, reachable: true },
  };
}

function packageOnlyIn(name, packages, places, extra = {}) {
  return {
    name: `${name}-only-in-its-place`,
    comment: `${name} may be imported only by ${places}.`,
    severity: 'error',
    from: { pathNot: anyOf(places, OUTSIDE) },
    to: { path: pkg(...packages), ...extra },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'pure-rooms-stay-pure',
      comment: 'A pure room of shared/ imports pure rooms, @noble and zod, and nothing else.',
      severity: 'error',
      from: { path: PURE, pathNot: '^shared/evidence/' },
      to: { pathNot: anyOf(PURE, PURE_PACKAGES) },
    },
    {
      name: 'evidence-stays-pure',
      comment:
        'shared/evidence imports pure rooms, @noble, zod, its CEL evaluator and two grammars.',
      severity: 'error',
      from: { path: '^shared/evidence/' },
      to: { pathNot: anyOf(PURE, PURE_PACKAGES, ...EVIDENCE_PACKAGES.map((name) => pkg(name))) },
    },
    {
      name: 'pure-rooms-reach-no-platform',
      comment: 'A pure room reaches neither shared/node nor shared/cli, by any way.',
      severity: 'error',
      from: { path: PURE },
      to: { path: '^shared/(node|cli)/', reachable: true },
    },
    {
      name: 'shared-reaches-no-program',
      comment: 'shared/ is below every program: it takes what it needs as an argument.',
      severity: 'error',
      from: { path: '^shared/' },
      to: { path: PROGRAMS, reachable: true },
    },
    {
      name: 'shared-node-has-no-barrel',
      comment:
        'Import the one file of shared/node that you mean, so that a program loads only that.',
      severity: 'error',
      from: {},
      to: { path: '^shared/node/index\\.ts$' },
    },
    room('client', 'server|publisher|agent|web'),
    room('server', 'publisher|agent|web'),
    room('publisher', 'server|agent|web'),
    room('agent', 'server|publisher|client|web'),
    {
      name: 'client-only-by-its-updater',
      comment: 'Only server/publish/preflight and publisher/rebase import the client.',
      severity: 'error',
      from: { path: '^(server|publisher)/', pathNot: MAY_USE_UPDATER },
      to: { path: '^client/' },
    },
    {
      name: 'preflight-and-rebase-use-the-updater-alone',
      comment: 'They run the updater with a fetcher of their own: no other file of the client.',
      severity: 'error',
      from: { path: MAY_USE_UPDATER },
      to: { path: '^client/', pathNot: UPDATER },
    },
    {
      name: 'updater-is-given-its-fetcher',
      comment: 'client/updater takes a Fetcher: no HTTP client is reachable from it.',
      severity: 'error',
      from: { path: UPDATER },
      to: { path: HTTP_CLIENTS, reachable: true },
    },
    {
      name: 'agent-has-no-http-client',
      comment: 'The agent acts on what was handed over: no HTTP client is reachable from it.',
      severity: 'error',
      from: { path: '^agent/' },
      to: { path: HTTP_CLIENTS, reachable: true },
    },
    {
      name: 'front-reaches-no-rights',
      comment:
        'The front has no rights and needs none: of the agent it reaches what lies on the wire, and no key.',
      severity: 'error',
      from: { path: '^agent/(front|wire)/' },
      to: {
        path: anyOf('^agent/(?!(front|wire)/)', SIGNERS, pkg('koffi', 'pkcs11js')),
        reachable: true,
      },
    },
    {
      name: 'static-reaches-no-key-database-or-publish',
      comment: 'What serves the public tree reaches no key, no database and no publishing.',
      severity: 'error',
      from: { path: '^server/static/' },
      to: {
        path: anyOf(SIGNERS, '^server/(db|publish)/', pkg('better-sqlite3', 'pg', 'pkcs11js')),
        reachable: true,
      },
    },
    {
      name: 'intake-reaches-no-signer',
      comment: 'Intake ends by writing a queue row; jobs/ takes it from there.',
      severity: 'error',
      from: { path: '^server/intake/' },
      to: { path: anyOf(SIGNERS, '^server/publish/', pkg('pkcs11js')), reachable: true },
    },
    {
      name: 'nothing-imports-a-main',
      comment: 'main.ts wires its program; what others need of it belongs in a file of its own.',
      severity: 'error',
      from: { pathNot: EVERYTHING_ELSE },
      to: { path: '^(server|client|agent|publisher)/main\\.ts$' },
    },
    packageOnlyIn('undici', ['undici'], '^(client/fetch|publisher/upload|server/jobs)(/|\\.ts$)'),
    packageOnlyIn(
      'fastify',
      ['fastify', '@fastify/[^/]+', 'fastify-[^/]+'],
      '^server/(http|static)/',
    ),
    packageOnlyIn('commander', ['commander'], '^shared/cli/'),
    packageOnlyIn('better-sqlite3', ['better-sqlite3'], '^server/db/open\\.ts$'),
    packageOnlyIn('koffi', ['koffi'], '^agent/host/'),
    packageOnlyIn('pkcs11js', ['pkcs11js'], '^shared/node/signers/'),
    packageOnlyIn(
      'pipeline-parsers',
      ['web-tree-sitter', 'tree-sitter-c', 'smol-toml'],
      '^publisher/pipeline/',
    ),
    {
      name: 'pkcs11js-is-lazy',
      comment: 'pkcs11js is optional and may be missing: import() it where it is used.',
      severity: 'error',
      from: { pathNot: OUTSIDE },
      to: { path: pkg('pkcs11js'), dynamic: false, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'web-imports-pure-rooms-alone',
      comment: 'web/ runs in a browser: pure rooms of shared/ and its own few packages.',
      severity: 'error',
      from: { path: '^web/' },
      to: { pathNot: anyOf('^web/', PURE, PURE_PACKAGES, WEB_PACKAGES) },
    },
    {
      name: 'web-reaches-pure-rooms-alone',
      comment: 'web/ reaches no program and nothing that touches Node, by any way.',
      severity: 'error',
      from: { path: '^web/' },
      to: { path: '^(shared/(node|cli)|publisher|server|client|agent)/', reachable: true },
    },
    {
      name: 'nothing-reaches-the-workshop',
      comment:
        'test/, bench/, scripts/ and examples/ may reach anything and are reached by nothing.',
      severity: 'error',
      from: { pathNot: OUTSIDE },
      to: { path: OUTSIDE, reachable: true },
    },
    {
      name: 'programs-need-no-dev-dependency',
      comment: 'What a program imports at run time is a dependency and not a devDependency.',
      severity: 'error',
      from: { pathNot: EVERYTHING_ELSE },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'imports-resolve',
      comment: 'The module is not there.',
      severity: 'error',
      from: {},
      // Optional: it is compiled on installing, and left out where that does not work. And the
      // example of the library names this package as its users do.
      to: { couldNotResolve: true, pathNot: '^(pkcs11js|ironport)$' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: '(^|/)node_modules/' },
    exclude: { path: '^(dist|coverage|repo-data|\\.[^./][^/]*)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts'],
    },
  },
};
