// `npm test [-- FILTER...]`: the checks, then the tests. A filter is a file, a folder or a part of
// a path (`npm test -- test/json`); with one, only the tests that it names run and no checks.
// The last line counts: `N passed, N failed`.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, normalize } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { runFiles } from './test/run-files.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// Slow, or in want of a machine of their own: these run when a filter names them. .ci/run does.
const HEAVY_FOLDERS = ['test/heavy/', 'test/e2e-heavy/', 'test/crash-heavy/'];
const NOT_TESTS = ['test/vectors/', 'test/support/'];

/** @type {readonly {name: string, script: string, args: string[]}[]} */
const CHECKS = [
  { name: 'types', script: 'typescript/bin/tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'layers', script: '../scripts/check-layers.ts', args: [] },
  { name: 'types, pure rooms', script: 'typescript/bin/tsc', args: ['-p', 'tsconfig.pure.json'] },
  {
    name: 'lint and format',
    script: '@biomejs/biome/bin/biome',
    args: ['check', '--error-on-warnings'],
  },
];

const total = { passed: 0, failed: 0, skipped: 0 };
const filters = process.argv.slice(2);

if (process.features.typescript === undefined || process.features.typescript === false) {
  console.error(`Node ${process.versions.node} does not run TypeScript: use \`npm test\`.`);
  process.exit(1);
}
process.chdir(root);
if (filters.length === 0) await runChecks();
else console.log('checks left out: only what the filter names');
await runTests(testFiles(filters));

const { passed, failed, skipped } = total;
if (failed > 0) process.exitCode = 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);

/** Two side by side, the longest first: each keeps one core busy. */
async function runChecks() {
  const waiting = [...CHECKS];
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      await runCheck(check);
    }
  };
  await Promise.all([worker(), worker()]);
}

/** A check is quiet while it passes: it counts as one. */
async function runCheck({ name, script, args }) {
  const began = performance.now();
  const { status, output } = await node(script, args);
  const ok = status === 0;
  total[ok ? 'passed' : 'failed'] += 1;
  const lastLine = name === 'layers' ? ` (${output.trim().split('\n').at(-1)})` : '';
  console.log(`${ok ? 'ok    ' : 'FAILED'} ${name}${lastLine} ${seconds(began)}`);
  if (!ok) process.stdout.write(`${output}\n`);
}

/** Runs the files, shows what fails, and adds their assertions to the count. */
async function runTests(files) {
  if (files.length === 0) {
    console.log(`FAILED tests: no test file matches ${filters.join(' ') || 'test/**/*.test.ts'}`);
    total.failed += 1;
    return;
  }
  const began = performance.now();
  const counts = await runFiles(files, { isAgain: process.env.IRONPORT_TEST_AGAIN === '1' });
  for (const key of Object.keys(total)) total[key] += counts[key];
  const word = counts.failed === 0 ? 'ok    ' : 'FAILED';
  console.log(
    `${word} tests (${counts.passed} assertions, ${files.length} files) ${seconds(began)}`,
  );
  for (const failure of counts.failures) console.log(`FAILED ${failure}`);
  for (const failure of counts.unsteady) console.log(`UNSTEADY ${failure}`);
}

function testFiles(wanted) {
  const all = readdirSync('test', { recursive: true })
    .map((name) => join('test', name))
    .filter((path) => path.endsWith('.test.ts') && !NOT_TESTS.some((it) => path.startsWith(it)))
    .sort();
  const isHeavy = (path) => HEAVY_FOLDERS.some((folder) => path.startsWith(folder));
  if (wanted.length === 0) return all.filter((path) => !isHeavy(path));
  const filters = wanted.map((filter) => normalize(filter).replace(/^\.\//, ''));
  return all.filter((path) =>
    filters.some((it) => path.includes(it) && (!isHeavy(path) || isHeavy(`${it}/`))),
  );
}

/** Runs a script of node_modules to its end; what it wrote, on either stream, is its output. */
function node(script, args) {
  const child = spawn(process.execPath, [join('node_modules', script), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const hear = (text) => {
    output += text;
  };
  child.stdout.setEncoding('utf8').on('data', hear);
  child.stderr.setEncoding('utf8').on('data', hear);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ status: null, output: error.message }));
    child.on('close', (status) => resolve({ status, output }));
  });
}

function seconds(began) {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`;
}
