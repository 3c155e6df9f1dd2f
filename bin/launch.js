// Starts a program on a Node that is new enough: the running one, or the one installed beside it.
// Plain JavaScript without newer syntax than an old Node reads, so that it can still say what to
// do; CommonJS, because a start is often half of what a command costs, and this is the quicker one.
const { existsSync } = require('node:fs');
const nodeModule = require('node:module');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { bundlePath, isFresh, CACHE, PROGRAMS, WORKSHOP } = require('./bundled.js');

const FLOOR = [22, 19];
const RESPAWNED = 'IRONPORT_RESPAWNED';
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const ROOT = join(__dirname, '..');

// Keeps the young generation at the size it begins with. Streams arrive in pieces outside the heap,
// each freed when the young generation is next collected; one that has grown is collected so seldom
// that dead pieces pile up (measured: a service that takes 1 GiB peaks at 120 MiB instead of 190,
// in the same time). Before the program is loaded, because loading it makes the generation grow.
const SMALL_HEAP = ['--semi-space-growth-factor=1'];
// The parser of HTTP is WebAssembly, and short-lived: compiling it a second time, to be faster, took
// 40 % of the processor time of a refresh, and 15 MiB.
const PLAIN_WASM = ['--no-wasm-tier-up', '--no-wasm-dynamic-tiering'];
// A short command ends before code that was made faster has paid for its making (measured: a refresh
// with one target takes 8 % less of the processor, one over 10,000 targets 18 %), and one that works
// for long gets there later (over 100,000 targets: 4 % more).
const LATE_COMPILERS = [
  '--no-sparkplug',
  '--invocation-count-for-maglev=10000',
  '--invocation-count-for-maglev-osr=1000',
  '--invocation-count-for-turbofan=30000',
];
// These read evidence, of which one bill of materials says as much as all else that is fetched: what
// is compiled late there is compiled too late (measured on 5,000 packages: 8 to 16 ms more).
const EVIDENCE_READERS = ['get-verified', 'verify', 'handoff', 'bundle'];
// What nearly every command uses of Node. Node has these compiled already, but under its own flags:
// they come before ours are set, or each start compiles them anew (measured: 12 ms).
const BUILTINS = [
  'node:crypto',
  'node:fs/promises',
  'node:stream',
  'node:timers/promises',
  'node:tty',
  'node:util',
];
// Node 22 calls this one experimental when it is loaded, on stderr; who uses it there silences that.
const LOCK = 'node:sqlite';
const SILENT_LOCK = 24;
const FETCHERS = ['client', ...Object.keys(WORKSHOP)];

// What the client can be told to do, by the first word; the last of them where an address stands alone.
const CLIENT_COMMANDS = [
  ...['init', 'refresh', 'find', 'get', 'get-verified', 'get-all', 'handoff', 'verify', 'status'],
  ...['bundle', 'watch', 'inspect', 'doctor', 'env', 'policy', 'vsa', 'index'],
];

/**
 * Runs `main(argv)` of a program and makes its result the exit code.
 * @param {string} name of a bundle
 * @param {string} [command] by which its compiled code is kept apart
 * @returns {Promise<void>}
 */
async function launch(name, command = commandIn(process.argv.slice(2))) {
  if (!isNewEnough(process.versions.node)) {
    respawn();
    return;
  }
  // The mark is for this process alone: what it starts in turn may need a respawn of its own.
  delete process.env[RESPAWNED];
  const fetches = FETCHERS.includes(name);
  for (const builtin of BUILTINS) require(builtin);
  if (fetches) {
    require('node:http');
    if (majorOf(process.versions.node) >= SILENT_LOCK) require(LOCK);
  }
  prepare(flagsFor(fetches, command));
  const { exports, keep } = await load(name, PROGRAMS[name] || WORKSHOP[name], fetches, command);
  const exit = await exports.main(process.argv.slice(2));
  process.exitCode = exit;
  if (exit === 0) keep();
}

// The word of the command, also after an address (shared/cli/parse.ts). What stands there and is no
// command is the name of a product: each would keep a cache of its own.
function commandIn([first, second]) {
  if (first === undefined || first.startsWith('-') || !first.includes(':')) return first;
  if (second === undefined || second.startsWith('-')) return undefined;
  return CLIENT_COMMANDS.includes(second) ? second : CLIENT_COMMANDS.at(-1);
}

function flagsFor(fetches, command) {
  if (!fetches) return SMALL_HEAP;
  const compilers = EVIDENCE_READERS.includes(command) ? [] : LATE_COMPILERS;
  return [...SMALL_HEAP, ...PLAIN_WASM, ...compilers];
}

// The flags come first: code that was compiled under other flags is not taken from the cache.
function prepare(flags) {
  const v8 = require('node:v8');
  for (const flag of flags) v8.setFlagsFromString(flag);
  // Never Node's default folder: it lies in /tmp, under a name that anybody can take first, and what
  // is in it is run without a look.
  nodeModule.enableCompileCache(join(ROOT, CACHE));
}

// A checkout runs its bundle when it is made from the sources as they are, and else the sources.
// The published package has no sources: Node does not strip types inside node_modules. Whoever
// looks for a defect gets files and lines that can be read.
async function load(name, entry, isShort, command) {
  const source = join(ROOT, entry);
  const bundle = join(ROOT, bundlePath(name));
  const isReadable = (process.env.IRONPORT_DEBUG || '0') !== '0';
  const isCheckout = existsSync(source);
  if (!isReadable && (isCheckout ? isFresh(ROOT, name) : existsSync(bundle))) {
    if (isShort) return require('./code-cache.js').runBundle(ROOT, name, command);
    return { exports: require(bundle), keep: () => {} };
  }
  const module = isCheckout ? source : join(ROOT, 'dist', entry.replace(/ts$/, 'js'));
  return { exports: await import(pathToFileURL(module).href), keep: () => {} };
}

function majorOf(version) {
  return Number.parseInt(version, 10);
}

function isNewEnough(version) {
  const [major, minor] = version.split('.').map(Number);
  return major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
}

// spawn and not spawnSync: a blocked parent cannot forward SIGTERM and would orphan the child.
function respawn() {
  const { realpathSync } = require('node:fs');
  const { spawn } = require('node:child_process');
  const node = installedNode();
  if (node === undefined || process.env[RESPAWNED] !== undefined) {
    giveUp(
      `this is Node ${process.versions.node}, and ${FLOOR.join('.')} is the oldest that runs it`,
    );
    return;
  }
  const script = realpathSync(process.argv[1]);
  const child = spawn(node, [...process.execArgv, script, ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, [RESPAWNED]: '1' },
  });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => giveUp(`${node} does not start: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code;
    else dieOf(signal);
  });
}

// Beside this file in a checkout; one folder further out when this package is itself installed.
function installedNode() {
  const places = ['node_modules/.bin/node', '../.bin/node'];
  return places.map((place) => join(ROOT, place)).find((place) => existsSync(place));
}

// Ends the way the child ended, so that a caller sees the signal; where the signal does not kill,
// the shell's convention stands in for it.
function dieOf(signal) {
  const { constants } = require('node:os');
  process.removeAllListeners(signal);
  process.exitCode = 128 + constants.signals[signal];
  process.kill(process.pid, signal);
}

function giveUp(why) {
  console.error(`ironport does not start: ${why}.`);
  console.error('Install Node 24, or run `npm ci` in the checkout: it brings a Node of its own.');
  process.exitCode = 1;
}

module.exports = { launch, CLIENT_COMMANDS };
