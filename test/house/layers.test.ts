// The layering check refuses what it says it refuses: each case plants one violation in a tree of
// its own, and beside them stand the uses that are allowed.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { checkLayers } from '../../scripts/check-layers.ts';

type Tree = Readonly<Record<string, string>>;

interface Plant {
  readonly rule: string;
  readonly what: string;
  readonly tree: Tree;
}

const EMPTY = 'export {};\n';
const imports = (...specifiers: string[]): string =>
  specifiers.map((specifier) => `import '${specifier}';\n`).join('');

const PLANTS: readonly Plant[] = [
  {
    rule: 'pure-rooms-stay-pure',
    what: 'a pure room imports a module of Node',
    tree: { 'shared/tuf/root.ts': imports('node:fs') },
  },
  {
    rule: 'pure-rooms-stay-pure',
    what: 'a pure room imports a package that is not noble or zod',
    tree: { 'shared/log/tile.ts': imports('undici') },
  },
  {
    rule: 'pure-rooms-stay-pure',
    what: 'a pure room imports only a type of Node',
    tree: {
      'shared/bytes.ts':
        "import type { Stats } from 'node:fs';\nexport type Size = Stats['size'];\n",
    },
  },
  {
    rule: 'evidence-stays-pure',
    what: 'evidence imports a module of Node',
    tree: { 'shared/evidence/dsse.ts': imports('node:crypto') },
  },
  {
    rule: 'pure-rooms-reach-no-platform',
    what: 'a pure room reaches shared/node by two steps',
    tree: {
      'shared/verify/client.ts': imports('../tuf/walk.ts'),
      'shared/tuf/walk.ts': imports('../node/files.ts'),
      'shared/node/files.ts': imports('node:fs'),
    },
  },
  {
    rule: 'shared-reaches-no-program',
    what: 'shared/cli reaches a program',
    tree: {
      'shared/cli/run.ts': imports('../../client/list.ts'),
      'client/list.ts': EMPTY,
    },
  },
  {
    rule: 'shared-node-has-no-barrel',
    what: 'a barrel file in shared/node',
    tree: { 'client/a.ts': imports('../shared/node/index.ts'), 'shared/node/index.ts': EMPTY },
  },
  ...(
    [
      ['client', 'server'],
      ['client', 'agent'],
      ['server', 'publisher'],
      ['publisher', 'agent'],
      ['agent', 'client'],
      ['agent', 'server'],
    ] as const
  ).map(
    ([from, to]): Plant => ({
      rule: `${from}-reaches-no-other-program`,
      what: `${from} reaches ${to}`,
      tree: {
        [`${from}/a.ts`]: imports('./b.ts'),
        [`${from}/b.ts`]: imports(`../${to}/c.ts`),
        [`${to}/c.ts`]: EMPTY,
      },
    }),
  ),
  {
    rule: 'client-only-by-its-updater',
    what: 'the server uses the client elsewhere than in preflight',
    tree: {
      'server/jobs/check.ts': imports('../../client/updater/run.ts'),
      'client/updater/run.ts': EMPTY,
    },
  },
  {
    rule: 'preflight-and-rebase-use-the-updater-alone',
    what: 'preflight takes the client’s own fetcher',
    tree: {
      'server/publish/preflight.ts': imports('../../client/fetch/http.ts'),
      'client/fetch/http.ts': EMPTY,
    },
  },
  {
    rule: 'updater-is-given-its-fetcher',
    what: 'the updater reaches undici',
    tree: {
      'client/updater/run.ts': imports('../fetch/http.ts'),
      'client/fetch/http.ts': imports('undici'),
    },
  },
  {
    rule: 'agent-has-no-http-client',
    what: 'the agent reaches an HTTP client through shared/node',
    tree: {
      'agent/accept.ts': imports('../shared/node/report.ts'),
      'shared/node/report.ts': imports('node:https'),
    },
  },
  {
    rule: 'front-reaches-no-rights',
    what: 'the front reaches what binds devices by way of the wire',
    tree: {
      'agent/front/front.ts': imports('../wire/ask.ts'),
      'agent/wire/ask.ts': imports('../host/libc.ts'),
      'agent/host/libc.ts': imports(),
    },
  },
  {
    rule: 'front-reaches-no-rights',
    what: 'the front reaches a key',
    tree: {
      'agent/front/front.ts': imports('../../shared/node/signers/file.ts'),
      'shared/node/signers/file.ts': imports(),
    },
  },
  {
    rule: 'static-reaches-no-key-database-or-publish',
    what: 'static reaches the database by two steps',
    tree: {
      'server/static/serve.ts': imports('../config.ts'),
      'server/config.ts': imports('./db/open.ts'),
      'server/db/open.ts': EMPTY,
    },
  },
  {
    rule: 'static-reaches-no-key-database-or-publish',
    what: 'static reaches a signer',
    tree: {
      'server/static/serve.ts': imports('../../shared/node/signers/file.ts'),
      'shared/node/signers/file.ts': EMPTY,
    },
  },
  {
    rule: 'intake-reaches-no-signer',
    what: 'intake reaches a signer',
    tree: {
      'server/intake/receive.ts': imports('../audit/note.ts'),
      'server/audit/note.ts': imports('../../shared/node/signers/file.ts'),
      'shared/node/signers/file.ts': EMPTY,
    },
  },
  {
    rule: 'nothing-imports-a-main',
    what: 'a file imports the main of its program',
    tree: { 'server/http/routes.ts': imports('../main.ts'), 'server/main.ts': EMPTY },
  },
  ...(
    [
      ['undici', 'undici', 'server/publish/send.ts'],
      ['fastify', '@fastify/static', 'server/jobs/a.ts'],
      ['fastify', 'fastify', 'client/a.ts'],
      ['commander', 'commander', 'client/main.ts'],
      ['better-sqlite3', 'better-sqlite3', 'server/db/queue.ts'],
      ['koffi', 'koffi', 'agent/apply.ts'],
      ['pkcs11js', 'pkcs11js', 'server/ceremony/a.ts'],
      ['pipeline-parsers', 'web-tree-sitter', 'publisher/commands/apply.ts'],
      ['pipeline-parsers', 'smol-toml', 'server/config.ts'],
    ] as const
  ).map(
    ([name, specifier, file]): Plant => ({
      rule: `${name}-only-in-its-place`,
      what: `${file} imports ${specifier}`,
      tree: { [file]: imports(specifier) },
    }),
  ),
  {
    rule: 'pkcs11js-is-lazy',
    what: 'the signer imports pkcs11js at its start',
    tree: { 'shared/node/signers/pkcs11.ts': imports('pkcs11js') },
  },
  {
    rule: 'web-imports-pure-rooms-alone',
    what: 'the console imports a module of Node',
    tree: { 'web/worker.ts': imports('node:path') },
  },
  {
    rule: 'web-reaches-pure-rooms-alone',
    what: 'the console reaches shared/node',
    tree: {
      'web/worker.ts': imports('./files.ts'),
      'web/files.ts': imports('../shared/node/files.ts'),
      'shared/node/files.ts': EMPTY,
    },
  },
  ...(['test', 'bench', 'scripts', 'examples'] as const).map(
    (room): Plant => ({
      rule: 'nothing-reaches-the-workshop',
      what: `a program reaches ${room}/`,
      tree: { 'client/a.ts': imports(`../${room}/b.ts`), [`${room}/b.ts`]: EMPTY },
    }),
  ),
  {
    rule: 'programs-need-no-dev-dependency',
    what: 'a program imports a development dependency',
    tree: { 'client/a.ts': imports('fast-check') },
  },
  {
    rule: 'imports-resolve',
    what: 'a file imports what is not there',
    tree: { 'client/a.ts': imports('./nowhere.ts') },
  },
  {
    rule: 'every-file-has-a-room',
    what: 'a file of shared/ is in no known room',
    tree: { 'shared/misc/a.ts': EMPTY },
  },
  {
    rule: 'there-is-something',
    what: 'a tree without TypeScript',
    tree: { 'README.md': 'nothing\n' },
  },
];

const ALLOWED: Tree = {
  'shared/json/read.ts': EMPTY,
  'shared/tuf/root.ts': imports('../json/read.ts', '@noble/hashes/sha2.js', 'zod'),
  'shared/evidence/dsse.ts': imports('../json/read.ts', 'zod'),
  'shared/node/files.ts': imports('node:fs', '../tuf/root.ts'),
  'shared/node/signers/pkcs11.ts': "export const load = () => import('pkcs11js');\n",
  'shared/cli/parse.ts': imports('commander', '../node/files.ts'),
  'client/fetch/http.ts': imports('undici'),
  'client/updater/run.ts': imports('../../shared/tuf/root.ts'),
  'client/main.ts': imports('./updater/run.ts', './fetch/http.ts', '../shared/cli/parse.ts'),
  'publisher/rebase.ts': imports('../client/updater/run.ts'),
  'publisher/upload/send.ts': imports('undici'),
  'publisher/pipeline/c/grammar.ts': imports('web-tree-sitter'),
  'server/publish/preflight/index.ts': imports('../../../client/updater/run.ts'),
  'server/jobs/webhook.ts': imports('undici', '../publish/preflight/index.ts'),
  'server/db/open.ts': imports('better-sqlite3'),
  'server/intake/queue.ts': imports('../db/open.ts'),
  'server/static/serve.ts': imports('fastify', '../../shared/node/files.ts'),
  'server/http/app.ts': imports('fastify', '../intake/queue.ts'),
  'agent/accept.ts': imports('../shared/node/files.ts'),
  'web/worker.ts': imports('../shared/tuf/root.ts'),
  'test/any.test.ts': imports('../client/main.ts', '../server/db/open.ts', 'fast-check', 'undici'),
};

t.test('a tree that keeps the rules is let through, and counted', async (t) => {
  const { seen, problems } = await checkLayers(plant(t, ALLOWED));
  t.strictSame(problems, []);
  t.equal(seen, Object.keys(ALLOWED).length);
});

for (const { rule, what, tree } of PLANTS) {
  t.test(`refused: ${what}`, async (t) => {
    const { problems } = await checkLayers(plant(t, tree));
    const rules = problems.map((problem) => problem.rule);
    t.ok(rules.includes(rule), `${rule} is among: ${rules.join(', ')}`);
  });
}

t.test('every rule has a case here', async (t) => {
  const config = readFileSync(new URL('../../.dependency-cruiser.cjs', import.meta.url), 'utf8');
  const named = [...config.matchAll(/^ {6}name: '([^']+)'/gm)].map(([, name]) => name);
  const planted = new Set(PLANTS.map(({ rule }) => rule));
  t.strictSame(
    named.filter((name) => name !== undefined && !planted.has(name)),
    [],
  );
});

t.test('a file that the cruise did not look at is a problem and not a silence', async (t) => {
  const blind = "module.exports = { forbidden: [], options: { exclude: { path: 'b.ts' } } };\n";
  const root = plant(t, { 'client/a.ts': EMPTY, 'client/b.ts': EMPTY, 'blind.cjs': blind });
  const { seen, problems } = await checkLayers(root, join(root, 'blind.cjs'));
  t.equal(seen, 1);
  t.strictSame(
    problems.map(({ rule }) => rule),
    ['every-file-is-seen'],
  );
});

function plant(t: Test, tree: Tree): string {
  type Folder = { [name: string]: Folder | string };
  const folder: Folder = {};
  for (const [path, text] of Object.entries(tree)) {
    const parts = path.split('/');
    const name = parts.pop() ?? path;
    let at = folder;
    for (const part of parts) {
      const next = at[part] ?? {};
      at[part] = next;
      if (typeof next !== 'string') at = next;
    }
    at[name] = text;
  }
  return t.testdir(folder);
}
