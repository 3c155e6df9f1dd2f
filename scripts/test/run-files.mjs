// Runs test files, each in a process of its own, some at a time, and reads what they say (TAP 14).
//
// tap writes the tests' words; its own runner is left out. It puts a loader into every process that
// a test starts, for the coverage that this project does not ask for, and the programs under test
// paid for it: the whole suite took half as long again (measured: 372 s, and 243 s without).
import { spawn } from 'node:child_process';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const PRELOAD = fileURLToPath(new URL('compile-cache.cjs', import.meta.url));
// One more than two cores: most files wait for the processes that they start.
const JOBS = 3;
/**
 * Seconds for a test that sets no time of its own, and those after which a whole file is killed. Long,
 * since they only end what hangs: on a slow or busy machine the same test takes ten times as long.
 */
const TEST_SECONDS = 400;
const FILE_SECONDS = 900;
/** As much of a file's output as is kept: what a failure is explained by, not what it is flooded with. */
const KEPT = 64 * 1024 * 1024;

/** What is asked a second time: no more of a run, since many that fail do not fail by chance. */
const AGAIN_FILES = 2;
/**
 * What these find by chance (a kill, a fault, a power cut at a random instant) is what they are for.
 * By their names in the checkout, whatever the checkout itself is called.
 */
const NEVER_AGAIN = /kill|crash|fault|power|disk|processes|store|attack|fuzz/;

/**
 * Runs them and says of each failure at once what it was.
 * @param {readonly string[]} files
 * @param {{isAgain?: boolean}} [options] `isAgain`: up to two files that failed are asked once more,
 *   each alone; one that passes then is counted as passing and named in `unsteady`
 * @returns {Promise<{passed: number, failed: number, skipped: number, failures: string[], unsteady: string[]}>}
 *   the assertions of all, and a line for each that failed, or that failed the first time only
 */
export async function runFiles(files, { isAgain = false } = {}) {
  const waiting = [...files];
  const all = [];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const found = await runFile(file);
      all.push({ file, found });
      if (found.failed > 0) explain(file, found);
      progress(all.length, files.length);
    }
  };
  await Promise.all(Array.from({ length: JOBS }, worker));
  const unsteady = isAgain ? await askAgain(all) : [];
  const sum = (key) => all.reduce((total, { found }) => total + found[key], 0);
  return {
    passed: sum('passed'),
    failed: sum('failed'),
    skipped: sum('skipped'),
    failures: all.flatMap(({ found }) => found.failures),
    unsteady,
  };
}

/** Runs again, alone, what failed; in `all` stands what came of it. The failures that were not there again. */
async function askAgain(all) {
  const failed = all.filter(({ found }) => found.failed > 0);
  if (failed.length > AGAIN_FILES) return [];
  const unsteady = [];
  for (const one of failed) {
    if (NEVER_AGAIN.test(relative('', one.file))) continue;
    console.log(`again, alone: ${one.file}`);
    const found = await runFile(one.file);
    if (found.failed > 0) {
      explain(one.file, found);
      continue;
    }
    unsteady.push(...one.found.failures);
    one.found = found;
  }
  return unsteady;
}

async function runFile(file) {
  const began = performance.now();
  const child = spawn(process.execPath, ['--require', PRELOAD, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP: '1', TAP_TIMEOUT: String(TEST_SECONDS) },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    if (stdout.length < KEPT) stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    if (stderr.length < KEPT) stderr += text;
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), FILE_SECONDS * 1000);
  const { status, why } = await new Promise((resolve) => {
    child.on('error', (error) => resolve({ status: null, why: error.message }));
    const end = (code, signal) => resolve({ status: code, why: `ended with ${signal ?? code}` });
    child.on('close', end);
    // A process that the test left behind may hold the pipe open: it is not waited for.
    child.on('exit', (code, signal) => setTimeout(() => end(code, signal), 2000));
  });
  clearTimeout(timer);
  child.stdout.destroy();
  child.stderr.destroy();
  const counts = countsOf(stdout);
  const failures = failuresOf(stdout).map((failure) => `${file} > ${failure}`);
  // A file that ended badly and counted no failure (a crash, a time-out, no assertion at all) has
  // failed all the same.
  const isBad = status !== 0 || counts === undefined || counts.passed + counts.skipped === 0;
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 0, skipped: 0 };
  if (isBad && failed === 0) failures.push(`${file} ${counts ? why : `${why}, and did not count`}`);
  return {
    passed,
    failed: isBad && failed === 0 ? 1 : failed,
    skipped,
    failures,
    stdout,
    stderr,
    seconds: (performance.now() - began) / 1000,
  };
}

/** A file closes with `# { total: 46, pass: 45, skip: 1 }`, and leaves out what is 0. */
function countsOf(output) {
  const summary = output.match(/^# \{ total: .*\}$/gm)?.at(-1);
  if (summary === undefined) return undefined;
  const read = (key) => Number(new RegExp(`\\b${key}: (\\d+)`).exec(summary)?.[1] ?? 0);
  return { passed: read('pass'), failed: read('fail'), skipped: read('skip') + read('todo') };
}

/** A line for each assertion that failed: the tests that it stands in, and its name. */
function failuresOf(output) {
  const failures = [];
  /** By depth, what failed inside a test that has not been named yet: TAP names it at its end. */
  const inside = [];
  for (const [, indent, rest] of output.matchAll(/^( *)not ok \d+ - (.*)$/gm)) {
    const depth = indent.length / 4;
    const name = rest.replace(/ # time=.*$/, '').slice(0, 160);
    const inner = inside[depth + 1] ?? [];
    inside.length = depth + 1;
    const lines = inner.length > 0 ? inner.map((line) => `${name} > ${line}`) : [name];
    if (depth === 0) failures.push(...lines);
    else inside[depth] = [...(inside[depth] ?? []), ...lines];
  }
  return failures;
}

/** The assertions that failed with what TAP says of them, and what the file wrote beside. */
function explain(file, { stdout, stderr, seconds }) {
  console.log(`\nFAIL ${file} ${seconds.toFixed(1)} s`);
  const lines = stdout.split('\n');
  let shown = 0;
  for (let at = 0; at < lines.length && shown < 20; at++) {
    const indent = /^( *)not ok /.exec(lines[at])?.[1];
    if (indent === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && line === `${indent}  ...`);
    const diagnosis = lines[at + 1] === `${indent}  ---` && end > 0 ? lines.slice(at + 2, end) : [];
    // A test that failed by what is in it has nothing to say of its own.
    const isOwn = diagnosis.some((line) => /^ *(stack|diff|expired):/.test(line));
    for (const line of [lines[at], ...(isOwn ? diagnosis.slice(0, 80) : [])]) console.log(line);
    shown++;
  }
  if (stderr.trim() !== '') console.log(stderr.trimEnd().split('\n').slice(-40).join('\n'));
}

/** One line that is written over on a terminal, and a line for every 25 files elsewhere. */
function progress(ended, all) {
  if (process.stdout.isTTY) process.stdout.write(`\r${ended} of ${all} files `);
  else if (ended % 25 === 0 && ended < all) console.log(`       ${ended} of ${all} files`);
  if (ended === all && process.stdout.isTTY) process.stdout.write('\r');
}
