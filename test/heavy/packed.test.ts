/**
 * The package as npm packs it, unpacked where somebody would have it: the four programs without
 * their sources, the main job through them, and the library with its types.
 */

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import t from 'tap';
import { walkReadme } from '../support/readme.ts';

t.setTimeout(600_000);

const folder = mkdtempSync(join(tmpdir(), 'ironport-packed-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
const require = createRequire(import.meta.url);

/** A copy of the checkout as the build of docker/Dockerfile is given it: it packs there as well. */
function asForTheImage(): string {
  const left = readFileSync('docker/Dockerfile.dockerignore', 'utf8')
    .split('\n')
    .filter((line) => /^[.a-z_-]+$/.test(line));
  const copy = at('checkout');
  mkdirSync(copy);
  for (const name of readdirSync('.'))
    if (!left.includes(name)) cpSync(name, join(copy, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  return copy;
}

/** Packs, unpacks, and lends the package what npm would install beside it. */
function install(): string[] {
  const pack = spawnSync('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: asForTheImage(),
    encoding: 'utf8',
  });
  if (pack.status !== 0) throw new Error(pack.stderr);
  const archive = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string;
  mkdirSync(at('node_modules'));
  const tar = spawnSync('tar', ['xzf', at(archive), '-C', at('node_modules')]);
  if (tar.status !== 0) throw new Error(String(tar.stderr));
  spawnSync('mv', [at('node_modules', 'package'), at('node_modules', 'ironport')]);
  for (const name of readdirSync('node_modules')) {
    // Its own development tools must not be what makes it run.
    if (!name.startsWith('.') && name !== 'node' && name !== 'typescript')
      symlinkSync(resolve('node_modules', name), at('node_modules', name));
  }
  return spawnSync('tar', ['tzf', at(archive)], { encoding: 'utf8' }).stdout.split('\n');
}

const program = (name: string): string => at('node_modules', 'ironport', 'bin', `${name}.js`);

const packed = install();

t.test('only what runs is packed', async (t) => {
  for (const file of packed)
    t.notMatch(file, /^package\/(test|bench|scripts|examples|docs|\.ci)\//, file);
  t.notOk(
    packed.some((file) => /\.ts$/.test(file) && !/\.d\.ts$/.test(file)),
    'no sources',
  );
  t.ok(packed.includes('package/LICENSE'));
});

t.test('the four programs say what they are', async (t) => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const name of ['ironport', 'ironport-repo', 'ironport-client', 'ironport-agent']) {
    const said = spawnSync(process.execPath, [program(name), '--version'], { encoding: 'utf8' });
    t.equal(said.stdout.trim(), `${name} ${version}`);
    const help = spawnSync(process.execPath, [program(name), '--help'], { encoding: 'utf8' });
    t.equal(help.status, 0);
    t.match(help.stdout, new RegExp(`${name} `));
  }
});

t.test('the sessions of the README', async (t) => {
  mkdirSync(at('tour'));
  symlinkSync(at('node_modules', 'ironport', 'bin'), at('tour', 'bin'));
  // Node, and the programs that the README starts with it; the package's own are found beside it.
  for (const name of ['examples', 'scripts', 'node_modules'])
    symlinkSync(resolve(name), at('tour', name));
  await walkReadme(t, at('tour'));
});

t.test('the grammar of C is where the package looks for it', async (t) => {
  writeFileSync(at('code.c'), 'int probe(void *p) { return pci_enable_device(p); }\n');
  writeFileSync(at('port.c'), 'int probe(void *p) { return iron_enable(p); }\n');
  const argv = ['extract', at('code.c'), at('port.c'), '1.0', at('p.toml')];
  const ran = spawnSync(process.execPath, [program('ironport'), ...argv], { encoding: 'utf8' });
  t.equal(ran.status, 0, ran.stderr);
  t.match(readFileSync(at('p.toml'), 'utf8'), /iron_enable/);
});

t.test('the library is one import, with types', async (t) => {
  writeFileSync(
    at('use.mts'),
    [
      "import { CODES, IronError, openRepository, type Repository } from 'ironport';",
      'const open: (address: string) => Promise<Repository> = (address) => openRepository({ address });',
      'if (!(new Error() instanceof IronError)) console.log(typeof open, CODES.E_NO_PIN.exit);',
      '',
    ].join('\n'),
  );
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2023'];
  const types = [
    '--module',
    'nodenext',
    '--types',
    'node',
    '--typeRoots',
    at('node_modules/@types'),
  ];
  const tsc = require.resolve('typescript/bin/tsc');
  const checked = spawnSync(process.execPath, [tsc, ...options, ...types, 'use.mts'], {
    cwd: folder,
    encoding: 'utf8',
  });
  t.equal(checked.stdout, '');
  t.equal(checked.status, 0);
  const ran = spawnSync(process.execPath, ['use.mts'], { cwd: folder, encoding: 'utf8' });
  t.match(ran.stdout, /^function \d+\n$/);
});
