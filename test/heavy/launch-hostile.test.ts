/**
 * A program that tries everything, confined by the launcher: under the profile of static programs,
 * and under that of runtimes. Each attempt has its control: the same program, unconfined, can.
 */

import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { type Launch, launch } from '../../agent/host/launch.ts';
import { requireRunning } from '../../agent/host/running.ts';
import { openMeasured, sealProgram } from '../../agent/host/sealed.ts';
import { elf, resultsOf, type Syscall } from '../agent/elf.ts';
import { ATTEMPTS, CALLS, CONTROL, isRefused, PAUSE, unsealed } from '../agent/hostile.ts';
import { node, sealed, sha256, WITH, whyNot, window } from '../agent/launch-support.ts';

t.setTimeout(600_000);

const HOSTILE = elf(CALLS);
const SLEEPER = elf([], [PAUSE]);

/** A program as a file that everybody may run, for as long as the test lasts. */
function asFile(t: Test, bytes: Uint8Array): string {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-hostile-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const path = join(folder, 'program');
  writeFileSync(path, bytes, { mode: 0o755 });
  return path;
}

/** Runs it confined, to its end, and returns what it wrote; it ends by a wait, so that it is seen. */
async function confined(options: Omit<Launch, keyof typeof WITH> & Partial<Launch>) {
  const driver = await launch({ ...WITH, descriptors: [window(), unsealed()], ...options });
  const wanted = 8 * ATTEMPTS.length;
  while (driver.bytes().length < wanted) await setTimeout(20);
  const left = processesOf(driver.pid);
  await driver.end();
  return { results: resultsOf(driver.bytes()), left };
}

/** Processes whose parent is `pid`. */
function processesOf(pid: number): string {
  const path = `/proc/${pid}/task/${pid}/children`;
  return existsSync(path) ? readFileSync(path, 'utf8').trim() : '';
}

t.test('a hostile program', { skip: whyNot() }, async (t) => {
  const waiting = elf(CALLS, [PAUSE]);
  const path = asFile(t, waiting);

  await t.test('control: unconfined, it can', async (t) => {
    const ended = spawnSync(asFile(t, HOSTILE), [], {
      stdio: ['ignore', 'pipe', 'pipe', window(), unsealed()],
    });
    // The process that it makes writes too, after it or before.
    const results = resultsOf(ended.stdout).slice(0, ATTEMPTS.length);
    for (const [i, [what]] of ATTEMPTS.entries()) {
      const result = results[i] ?? Number.NaN;
      const control = CONTROL[what];
      if (control === undefined) t.ok(result >= 0, `${what}: ${result}`);
      else t.equal(result, control, what);
    }
  });

  for (const [name, options] of [
    ['a static program', { program: sealed(waiting) }],
    [
      'a runtime',
      {
        program: sealed(Buffer.from('nothing')),
        runtime: { fd: openMeasured(path, sha256(waiting)), arguments: [], files: [] },
      },
    ],
  ] as const) {
    await t.test(`confined as ${name}, it cannot`, async (t) => {
      const { results, left } = await confined(options);
      t.equal(results.length, ATTEMPTS.length);
      for (const [i, [what]] of ATTEMPTS.entries()) {
        const result = results[i] ?? Number.NaN;
        t.ok(isRefused(what, result), `${what}: ${result}`);
      }
      t.equal(left, '', 'it has no processes');
    });
  }

  await t.test('it runs nothing a second time: not itself, and not what it may read', async (t) => {
    const mark: Syscall = [1, 1, 'x', 1];
    const other = asFile(t, elf([[1, 1, 'another', 7]], [PAUSE]));
    const runs = (path: string): Syscall => [322, 1023, path, 0, 0, 0x1000];
    const control = asFile(t, elf([mark, runs(other)]));
    const ran = spawn(control, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    for await (const chunk of ran.stdout) {
      text += chunk;
      if (text.length >= 'xanother'.length) break;
    }
    t.match(text, /^xanother/, 'control');
    ran.kill('SIGKILL');

    const itself = elf([mark, runs('/proc/self/exe')], [PAUSE]);
    // The thread does what the one that made it does: both of them try.
    const thread: Syscall = [56, 0x10f00, 0];
    const threaded = elf([mark, thread, runs(other)], [PAUSE]);
    const cases: [string, Pick<Launch, 'program' | 'runtime'>, number, number][] = [
      ['static', { program: sealed(itself) }, 1, 2],
      [
        'runtime',
        {
          program: sealed(Buffer.from('nothing')),
          runtime: {
            fd: openMeasured(asFile(t, threaded), sha256(threaded)),
            arguments: [],
            files: [openMeasured(other, sha256(readFileSync(other)))],
          },
        },
        2,
        3,
      ],
    ];
    for (const [name, options, threads, calls] of cases) {
      const driver = await launch({ ...WITH, ...options });
      const wanted = 1 + threads * 8 * calls;
      while (driver.bytes().length < wanted) await setTimeout(20);
      t.equal(driver.bytes().subarray(0, 1).toString(), 'x', name);
      for (let i = 0; i < threads; i++) {
        const results = resultsOf(driver.bytes().subarray(1 + 8 * calls * i));
        t.equal(results[calls - 1], -1, `${name}: ${results}`);
      }
      await driver.end();
    }
  });

  await t.test('calls of the x32 table end it', async (t) => {
    const second: Syscall = [35, new Uint8Array(new BigInt64Array([1n, 0n]).buffer), 0];
    const calls = [second, [0x40000000 + 39]] satisfies Syscall[];
    const control = spawnSync(asFile(t, elf(calls)));
    t.equal(resultsOf(control.stdout).length, 2, 'control: it goes on, whatever it is answered');
    const driver = await launch({ ...WITH, program: sealed(elf(calls)) });
    t.match(await driver.ended, { signal: 'SIGSYS' });
  });
});

t.test('descriptors and threads are bounded', { skip: whyNot() }, async (t) => {
  const start = (program: Buffer, limits = WITH.limits) =>
    launch({
      ...WITH,
      user: 64_002,
      limits,
      program: sealed(Buffer.from('nothing')),
      runtime: {
        fd: openMeasured(asFile(t, program), sha256(program)),
        arguments: [],
        files: [],
      },
    });
  // epoll_create1 gives a new one each time: 0 to 3 are there, and 256 is the end.
  const many = await start(
    elf(
      Array.from({ length: 300 }, (): Syscall => [291, 0]),
      [PAUSE],
    ),
  );
  while (many.bytes().length < 2400) await setTimeout(20);
  const made = resultsOf(many.bytes());
  t.equal(Math.max(...made), 255);
  t.strictSame(new Set(made.slice(252)), new Set([-24]), 'EMFILE');
  await many.end();

  // Every thread runs the same calls, and so makes threads too: 2^12 of them if nothing stops it.
  const bomb = elf(
    Array.from({ length: 12 }, (): Syscall => [56, 0x10f00, 0]),
    [PAUSE],
  );
  const driver = await start(bomb, { ...WITH.limits, threads: 16 });
  const threads = (): number =>
    Number(/^Threads:\s+([0-9]+)$/m.exec(readFileSync(`/proc/${driver.pid}/status`, 'utf8'))?.[1]);
  while (threads() < 16) await setTimeout(20);
  for (let i = 0; i < 10; i++) {
    await setTimeout(20);
    t.equal(threads(), 16);
  }
  await driver.end();
});

t.test('limits are those that were asked for', { skip: whyNot() }, async (t) => {
  const limits = { dataBytes: 3 << 20, threads: 5, stackBytes: 2 << 20 };
  const driver = await launch({ ...WITH, limits, program: sealed(SLEEPER) });
  const text = readFileSync(`/proc/${driver.pid}/limits`, 'utf8');
  for (const [name, value] of Object.entries({
    // fs/coredump.c: 1 means no dump at all, also where a program takes them.
    'Max core file size': 1,
    'Max locked memory': 0,
    'Max msgqueue size': 0,
    'Max data size': 3 << 20,
    'Max stack size': 2 << 20,
    'Max processes': 5,
    'Max open files': 256,
  }))
    t.match(text, new RegExp(`^${name} +${value} +${value} `, 'm'), name);
  await driver.end();
});

t.test('what runs is looked at', { skip: whyNot() }, async (t) => {
  const path = asFile(t, SLEEPER);
  const { user, group } = WITH;
  const refused = (reason: string) => ({ code: 'E_AGENT_REFUSED', context: { reason } });
  const program = openMeasured(path, sha256(SLEEPER));
  const plain = spawn(path, { stdio: 'ignore' });
  const look = (pid: number, meant = program) =>
    requireRunning(pid, { user, group, program: meant });
  t.throws(() => look(plain.pid as number), refused('driver-unconfined'), 'one of ours, as it is');
  const over = new Promise((resolve) => plain.once('exit', resolve));
  plain.kill('SIGKILL');
  await over;
  t.throws(() => look(plain.pid as number), refused('driver-ended'), 'one that is gone');

  const sealedProgram = sealed(SLEEPER);
  const driver = await launch({ ...WITH, program: sealedProgram });
  t.strictSame(look(driver.pid, sealedProgram).get('Seccomp'), '2', 'control');
  t.throws(() => look(driver.pid), refused('driver-program'), 'the same bytes in another file');
  process.kill(driver.pid, 'SIGKILL');
  // Nothing waits here, so that its end is not taken note of, and its number stays its own.
  while (!/^State:\s+Z/m.test(readFileSync(`/proc/${driver.pid}/status`, 'utf8'))) {}
  t.throws(() => look(driver.pid, sealedProgram), refused('driver-ended'), 'one that just ended');
  await driver.end();
});

t.test('files that are swapped after they were measured', { skip: whyNot() }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-swap-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  const text = (word: string) => Buffer.from(`console.log(${JSON.stringify(word)})`);
  const run = async (options: Omit<Launch, keyof typeof WITH> & Partial<Launch>) => {
    const driver = await launch({ ...WITH, ...options });
    await driver.ended;
    return driver.output();
  };

  // The driver: sealed when it was accepted; then its file is rewritten, and replaced by a link.
  const path = join(folder, 'driver');
  writeFileSync(path, text('accepted'));
  const source = openSync(path, 'r');
  const program = sealProgram(source, {
    length: text('accepted').length,
    sha256: sha256(text('accepted')),
  });
  writeFileSync(path, text('swapped!'));
  t.throws(
    () =>
      sealProgram(source, { length: text('swapped!').length, sha256: sha256(text('accepted')) }),
    { code: 'E_HASH' },
  );
  rmSync(path);
  symlinkSync('/etc/passwd', path);
  const runtime = node();
  t.equal(await run({ program, runtime }), 'accepted\n');

  // The runtime: what was opened runs, whatever has its name by now.
  const place = join(folder, 'runtime');
  const nap: Syscall = [35, new Uint8Array(new BigInt64Array([1n, 0n]).buffer), 0];
  writeFileSync(place, elf([[1, 1, 'measured', 8], nap]), { mode: 0o755 });
  const own = { fd: openMeasured(place, sha256(readFileSync(place))), arguments: [], files: [] };
  writeFileSync(`${place}.new`, elf([[1, 1, 'swapped!', 8], nap]), { mode: 0o755 });
  renameSync(`${place}.new`, place);
  t.match(await run({ program, runtime: own }), /^measured/);

  // A library: the same bytes under the same name are not the file that was measured.
  const library = '/lib/x86_64-linux-gnu/libdl.so.2';
  if (!existsSync(library)) return;
  const copy = join(folder, 'libdl.so.2');
  copyFileSync(library, copy);
  const others = node(['/libdl.so.2']);
  const withCopy = {
    program,
    runtime: {
      ...others,
      files: [...others.files, openMeasured(copy, sha256(readFileSync(copy)))],
    },
    environment: { LD_LIBRARY_PATH: folder },
  };
  t.equal(await run(withCopy), 'accepted\n', 'control');
  copyFileSync(copy, `${copy}.new`);
  renameSync(`${copy}.new`, copy);
  const swapped = await run(withCopy).catch(({ code }) => code);
  t.notMatch(swapped, 'accepted');
  t.match(swapped, /cannot open shared object|E_AGENT_REFUSED/);
});

const CHILD = fileURLToPath(new URL('../agent/launch-child.ts', import.meta.url));

t.test('the driver dies with the agent', { skip: whyNot() }, async (t) => {
  const path = asFile(t, SLEEPER);
  const startAndKill = async (how: string): Promise<boolean> => {
    const agent = spawn(process.execPath, [CHILD, how, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await agent.stdout.take(1).toArray()) as Buffer[];
    const pid = Number(line);
    t.ok(pid > 1 && existsSync(`/proc/${pid}`), `${how}: it runs`);
    const over = new Promise((resolve) => agent.once('exit', resolve));
    agent.kill('SIGKILL');
    await over;
    for (let i = 0; i < 100 && isAlive(pid); i++) await setTimeout(how === 'launch' ? 50 : 5);
    const survived = isAlive(pid);
    if (survived) process.kill(pid, 'SIGKILL');
    return survived;
  };
  t.ok(await startAndKill('spawn'), 'control: a program that is only started survives');
  t.notOk(await startAndKill('launch'), 'a driver does not');
});

/** Not one that ended and waits to be asked for. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
