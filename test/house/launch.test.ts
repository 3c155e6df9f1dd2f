import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const { bundle } = await import(new URL('../../scripts/bundle.mjs', import.meta.url).href);
const bundled: {
  readonly isFresh: (root: string, name: string) => boolean;
  readonly PROGRAMS: Readonly<Record<string, string>>;
} = require('../../bin/bundled.js');

/** A program of two modules: it says which of its files runs, and a word of the second. */
const MAIN = `import { word } from './word.ts';
export const main = async (): Promise<number> => {
  console.log([import.meta.url.split('/').at(-1), word].join(' '));
  return 7;
};
`;
const WORD = "export const word: string = 'one';\n";

/** A checkout with that program as its client. */
function checkout(test: Pick<typeof t, 'teardown'>): string {
  const root = mkdtempSync(join(tmpdir(), 'ironport-launch-'));
  test.teardown(() => rmSync(root, { recursive: true }));
  cpSync(join(CHECKOUT, 'bin'), join(root, 'bin'), { recursive: true });
  mkdirSync(join(root, 'client'));
  writeFileSync(join(root, 'client/main.ts'), MAIN);
  writeFileSync(join(root, 'client/word.ts'), WORD);
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(CHECKOUT, 'node_modules'), join(root, 'node_modules'));
  return root;
}

function start(root: string, env: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  const { IRONPORT_DEBUG: _, ...inherited } = process.env;
  return spawnSync(process.execPath, [join(root, 'bin/ironport-client.js')], {
    encoding: 'utf8',
    env: { ...inherited, ...env },
  });
}

t.test('a program runs its bundle as long as that is what its sources say', async (t) => {
  const root = checkout(t);
  t.equal(start(root).stdout, 'main.ts one\n', 'from its sources, before there is a bundle');

  t.equal(await bundle(root, 'client', 'client/main.ts'), true);
  const ran = start(root);
  t.equal(ran.stdout, 'client.cjs one\n');
  t.equal(ran.status, 7, 'the exit code of main');
  t.equal(await bundle(root, 'client', 'client/main.ts'), false, 'it is not made a second time');
  t.equal(start(root, { IRONPORT_DEBUG: '1' }).stdout, 'main.ts one\n', 'for readable stacks');

  // As many bytes, and the old time put back: what is left is that it was written to.
  const word = join(root, 'client/word.ts');
  const { atime, mtime } = statSync(word);
  writeFileSync(word, WORD.replace('one', 'two'));
  utimesSync(word, atime, mtime);
  t.equal(start(root).stdout, 'main.ts two\n', 'never a stale bundle');

  t.equal(await bundle(root, 'client', 'client/main.ts'), true);
  t.equal(start(root).stdout, 'client.cjs two\n');

  // The published package: no sources, and no stamp to compare them with.
  rmSync(join(root, 'client'), { recursive: true });
  rmSync(join(root, 'dist/bundle/client.stamp'));
  t.equal(start(root).stdout, 'client.cjs two\n', 'without sources there is nothing to compare');
});

t.test('a bundle is stale as soon as anything about it is not as it was', async (t) => {
  const root = checkout(t);
  await bundle(root, 'client', 'client/main.ts');
  const stamp = join(root, 'dist/bundle/client.stamp');
  const made = join(root, 'dist/bundle/client.cjs');
  const whole = readFileSync(stamp, 'utf8');
  const isFresh = (): boolean => bundled.isFresh(root, 'client');
  t.ok(isFresh());

  for (const length of [0, 1, whole.length - 1, whole.lastIndexOf('dist/')]) {
    writeFileSync(stamp, whole.slice(0, length));
    t.notOk(isFresh(), `a stamp cut to ${length} bytes`);
  }
  writeFileSync(stamp, whole);
  t.ok(isFresh());

  renameSync(join(root, 'client/word.ts'), join(root, 'client/gone.ts'));
  t.notOk(isFresh(), 'a source that is gone');
  writeFileSync(join(root, 'client/word.ts'), WORD);
  t.notOk(isFresh(), 'another file in its place, with the same content');

  await bundle(root, 'client', 'client/main.ts');
  t.ok(isFresh());
  writeFileSync(join(root, 'package-lock.json'), '{}');
  t.notOk(isFresh(), 'other packages');

  await bundle(root, 'client', 'client/main.ts');
  truncateSync(made, 10);
  t.notOk(isFresh(), 'a bundle that is not whole');
});

t.test('code that V8 compiled is found again, and lies beside the program', async (t) => {
  const root = checkout(t);
  await bundle(root, 'client', 'client/main.ts');
  const env = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
  start(root, env);
  const cache = join(root, 'dist/cache');
  t.ok(existsSync(cache) && readdirSync(cache).length > 0);
  const { stderr } = start(root, env);
  t.match(stderr, /client\.cjs was accepted/, 'under the same flags as when it was compiled');
  t.notMatch(stderr, new RegExp(`${tmpdir()}/node-compile-cache`), 'in no folder of everybody');
});

t.test('every program has a launcher and an entry', async (t) => {
  const launchers = readdirSync(join(CHECKOUT, 'bin')).filter((name) =>
    name.startsWith('ironport'),
  );
  const names = launchers.map(
    (file) => /launch\('([a-z]+)'\)/.exec(readFileSync(join(CHECKOUT, 'bin', file), 'utf8'))?.[1],
  );
  t.same(names.sort(), Object.keys(bundled.PROGRAMS).sort());
  for (const entry of Object.values(bundled.PROGRAMS))
    t.ok(existsSync(join(CHECKOUT, entry)), entry);
});
