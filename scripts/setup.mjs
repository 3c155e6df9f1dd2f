// Brings node_modules to what package-lock.json says, and the bundles of the programs to what their
// sources say; does nothing where that is so already.
// Runs before `demo`, `start` and `test`, on whatever Node the machine has (20 or newer).
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const modules = join(root, 'node_modules');
const installed = join(modules, '.package-lock.json');
// Written last, with the state of .taprc: an install that was cut short has none and is done again.
// tap builds its test class from the plugins that .taprc names.
const sentinel = join(modules, '.ironport-setup');

const wanted = createHash('sha256')
  .update(readFileSync(join(root, '.taprc')))
  .digest('hex');
if (!isWhole()) {
  const began = performance.now();
  console.error('setup: installing the dependencies with npm ci (a minute or two, once) ...');
  rmSync(sentinel, { force: true });
  run('npm', ['ci', '--loglevel=error']);
  run(join(modules, '.bin', 'tap'), ['build']);
  writeFileSync(sentinel, wanted);
  console.error(`setup: done in ${Math.round((performance.now() - began) / 1000)} s`);
}

bundle();

// By the Node just installed, because the sources are for that one. Without bundles the programs
// start from their sources: slower, and otherwise the same.
function bundle() {
  const { isFresh, PROGRAMS, WORKSHOP } = createRequire(import.meta.url)('../bin/bundled.js');
  if (Object.keys({ ...PROGRAMS, ...WORKSHOP }).every((name) => isFresh(root, name))) return;
  const node = join(modules, '.bin', 'node');
  const { status } = spawnSync(node, [join(root, 'scripts/bundle.mjs')], { stdio: 'inherit' });
  if (status !== 0) console.error('setup: no bundles were made: programs start more slowly');
}

function isWhole() {
  if (!existsSync(installed) || !existsSync(sentinel)) return false;
  return readFileSync(sentinel, 'utf8') === wanted && isWhatTheLockfileSays();
}

// By contents and not by time: a checkout gives every file the time of the checkout. npm leaves out
// the optional packages of other platforms. That npm wrote a package down is not believed without
// the package's folder: somebody may have taken it away since.
function isWhatTheLockfileSays() {
  const locked = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const present = JSON.parse(readFileSync(installed, 'utf8')).packages;
  return Object.entries(locked).every(([path, entry]) => {
    if (path === '') return true;
    const found = present[path];
    if (found === undefined) return entry.optional === true;
    return found.integrity === entry.integrity && existsSync(join(root, path, 'package.json'));
  });
}

// The lifecycle's environment stays: npm has put node_modules/.bin first in PATH, so that tap runs
// on the Node just installed.
function run(command, args) {
  const PATH = `${join(modules, '.bin')}:${process.env.PATH}`;
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PATH },
  });
  if (status === 0) return;
  console.error(
    `setup: \`${command} ${args.join(' ')}\` failed${error ? `: ${error.message}` : ''}`,
  );
  process.exit(1);
}
