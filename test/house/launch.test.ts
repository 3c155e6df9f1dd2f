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
import { program } from '../../client/main.ts';

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(import.meta.url);
const { bundle } = await import(new URL('../../scripts/bundle.mjs', import.meta.url).href);
const { CLIENT_COMMANDS }: { readonly CLIENT_COMMANDS: readonly string[] } =
  require('../../bin/launch.js');
const bundled: {
  readonly isFresh: (root: string, name: string) => boolean;
  readonly PROGRAMS: Readonly<Record<string, string>>;
} = require('../../bin/bundled.js');

/** A program of two modules: it says which of its files runs, and a word of the second. */
const MAIN = `import { word } from './word.ts';
export const main = async (): Promise<number> => {
  console.log([import.meta.url.split('/').at(-1), word].join(' '));
  if (process.argv.includes('throw')) throw new Error('on purpose');
  if (process.argv.includes('import')) console.log((await import('node:os')).EOL.length);
  return process.argv.includes('well') ? 0 : 7;
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
  return command(root, [], env);
}

function command(
  root: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  program = 'ironport-client',
): SpawnSyncReturns<string> {
  const { IRONPORT_DEBUG: _, ...inherited } = process.env;
  return spawnSync(process.execPath, [join(root, `bin/${program}.js`), ...args], {
    encoding: 'utf8',
    env: { ...inherited, ...env },
  });
}

const codeFiles = (root: string): string[] =>
  readdirSync(join(root, 'dist/cache')).filter((name) => !name.startsWith('v'));

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
  mkdirSync(join(root, 'agent'));
  cpSync(join(root, 'client/word.ts'), join(root, 'agent/word.ts'));
  cpSync(join(root, 'client/main.ts'), join(root, 'agent/main.ts'));
  await bundle(root, 'agent', 'agent/main.ts');
  const env = { NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
  command(root, [], env, 'ironport-agent');
  const cache = join(root, 'dist/cache');
  t.ok(existsSync(cache) && readdirSync(cache).length > 0);
  const { stderr } = command(root, [], env, 'ironport-agent');
  t.match(stderr, /agent\.cjs was accepted/, 'under the same flags as when it was compiled');
  t.notMatch(stderr, new RegExp(`${tmpdir()}/node-compile-cache`), 'in no folder of everybody');
  command(root, ['well'], {}, 'ironport-agent');
  t.same(codeFiles(root), [], 'the agent writes nothing of its own when it ends');
});

t.test(
  'a command of the client that went well leaves its compiled code for the next',
  async (t) => {
    const root = checkout(t);
    await bundle(root, 'client', 'client/main.ts');
    for (const args of [['fetch'], ['well', '--help'], ['well', '--version'], ['throw', 'well']])
      command(root, args);
    t.same(codeFiles(root), [], 'nothing of what failed, or only told about itself');

    t.equal(command(root, ['fetch', 'well', 'import']).stdout, 'client.cjs one\n1\n');
    const [kept = ''] = codeFiles(root);
    t.equal(kept, `client-fetch-${process.version}-${process.arch}.code`);
    const file = join(root, 'dist/cache', kept);
    const { ino } = statSync(file);
    const again = command(root, ['fetch', 'well', 'import']);
    t.equal(again.stdout, 'client.cjs one\n1\n');
    t.equal(again.stderr, '');
    t.equal(statSync(file).ino, ino, 'it was taken: what is refused is written anew');
    t.match(command(root, ['fetch', 'throw']).stderr, /client\.cjs:\d+:\d+/, 'a stack says where');

    for (const word of ['../../up', 'a/b', 'A', '-v', '', `a${'b'.repeat(40)}`])
      t.equal(command(root, [word, 'well']).status, 0);
    t.same(
      codeFiles(root).sort(),
      [kept, `client-${process.version}-${process.arch}.code`].sort(),
      'what is not a word of a command has one file in common',
    );
  },
);

t.test('the command after an address is the one whose code is kept', async (t) => {
  const words = program.commands.map(({ name }) => name.split(' ')[0] as string);
  t.same([...CLIENT_COMMANDS].sort(), [...new Set(words)].sort());
  t.equal(CLIENT_COMMANDS.at(-1), program.addressDefault);

  const root = checkout(t);
  await bundle(root, 'client', 'client/main.ts');
  for (const args of [
    ['127.0.0.1:8080', 'get-verified', 'well'],
    ['https://drivers.example', 'acme', 'well'],
    ['https://drivers.example', 'other', 'well'],
    ['https://drivers.example', '--json', 'well'],
  ])
    t.equal(command(root, args).status, 0);
  const kept = ['client-get-verified', 'client-index', 'client'];
  t.same(
    codeFiles(root).sort(),
    kept.map((name) => `${name}-${process.version}-${process.arch}.code`).sort(),
    'one of the command, one of all that products are listed by, one of what is neither',
  );
});

t.test('a cache that is not whole, or of another bundle, counts for none', async (t) => {
  const root = checkout(t);
  await bundle(root, 'client', 'client/main.ts');
  const run = (): SpawnSyncReturns<string> => command(root, ['fetch', 'well']);
  run();
  const file = join(root, 'dist/cache', codeFiles(root)[0] ?? '');
  const whole = readFileSync(file);
  const damaged = (at: number): Buffer => {
    const copy = Buffer.from(whole);
    copy[at] = (copy[at] ?? 0) ^ 0x01;
    return copy;
  };
  const lengths = [0, 1, 31, 32, 33, whole.length - 1].map((length) => whole.subarray(0, length));
  const flipped = [0, 31, 32, 60, Math.floor(whole.length / 2), whole.length - 1].map(damaged);
  for (const content of [...lengths, ...flipped, Buffer.concat([whole, whole])]) {
    writeFileSync(file, content);
    const { status, stdout, stderr } = run();
    t.same([status, stdout, stderr], [0, 'client.cjs one\n', ''], `${content.length} bytes`);
    t.notSame(readFileSync(file), content, 'and a good one took its place');
  }

  // As many letters: V8 itself compares no more than their number.
  const old = readFileSync(file);
  writeFileSync(join(root, 'client/word.ts'), WORD.replace('one', 'two'));
  await bundle(root, 'client', 'client/main.ts');
  writeFileSync(file, old);
  t.equal(run().stdout, 'client.cjs two\n');
  t.equal(run().stdout, 'client.cjs two\n');

  rmSync(join(root, 'dist/cache'), { recursive: true });
  writeFileSync(join(root, 'dist/cache'), 'no folder');
  t.same([run().status, run().stderr], [0, ''], 'without a place for it there is none');
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
