/**
 * Starting a driver: a process of our own confines itself and becomes it. What runs is what was
 * sealed and measured, by its descriptor. The driver is handed over only when the kernel itself says
 * that it is confined; otherwise it is ended.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import os from 'node:os';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { type LaunchLimits, planLaunch } from '../sandbox/launch-plan.ts';
import { parseProcessStatus, requireConfined } from '../sandbox/process-status.ts';
import { RUNTIME_PROFILE, STATIC_PROFILE } from '../sandbox/profiles.ts';
import type { Cgroup } from './cgroup.ts';
import { LAUNCHER, type LaunchFailure } from './launcher.ts';
import { libc } from './libc.ts';

export interface Launch {
  /** Sealed memory with the driver: a static ELF program, or a program for `runtime`. */
  readonly program: number;
  readonly runtime?: Runtime;
  readonly user: number;
  readonly group: number;
  /** What the driver is given, as its descriptors 3, 4 and so on. */
  readonly descriptors: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
  readonly limits: LaunchLimits;
  readonly cgroup?: Cgroup | undefined;
}

/** What runs a program that is no program of the machine's own; each was opened once and measured. */
export interface Runtime {
  readonly fd: number;
  /** Between the runtime's name and the program. */
  readonly arguments: readonly string[];
  /** The loader, the libraries, and whatever else it must read. */
  readonly files: readonly number[];
}

export interface DriverEnd {
  readonly status: number | null;
  readonly signal: string | null;
}

export interface Driver {
  readonly pid: number;
  /** What the kernel said of it when it began, by the names of proc_pid_status(5). */
  readonly status: ReadonlyMap<string, string>;
  readonly ended: Promise<DriverEnd>;
  /** What it wrote so far, up to a limit. */
  bytes(): Buffer;
  output(): string;
  /** Ends it and all that is in its group; returns when nothing of it is left. */
  end(): Promise<DriverEnd>;
}

/**
 * Starts the driver. `E_AGENT_REFUSED` where this host cannot confine it, `E_IO` when a step failed;
 * no process is left then.
 */
export async function launch(options: Launch): Promise<Driver> {
  const { program, runtime, descriptors, cgroup, user, group, limits } = options;
  if (process.arch !== 'x64' || os.endianness() !== 'LE')
    throw refusal(
      'driver-machine',
      'drivers are confined on x86-64 only',
      `this is ${process.arch}`,
    );
  const files = runtime === undefined ? [] : [runtime.fd, ...runtime.files];
  const kept = [...descriptors, ...(runtime === undefined ? [] : [program])];
  const first = 3 + kept.length;
  // In the launcher: 0 to 2, what is kept, the report, what is run, the files, the group.
  const handed = [
    runtime?.fd ?? program,
    ...files,
    ...(cgroup === undefined ? [] : [cgroup.procs]),
  ];
  const calls = planLaunch({
    parent: process.pid,
    user,
    group,
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')),
    limits,
    landlockAbi: libc().landlockAbi(),
    profile: runtime === undefined ? STATIC_PROFILE : RUNTIME_PROFILE,
    program: first + 1,
    files: files.map((_, i) => first + 2 + i),
    cgroup: cgroup === undefined ? undefined : first + 2 + files.length,
    keepBelow: first,
    arguments:
      runtime === undefined
        ? ['driver']
        : ['runtime', ...runtime.arguments, `/proc/self/fd/${first - 1}`],
    environment: options.environment,
  });
  const koffi = createRequire(import.meta.url).resolve('koffi');
  // A pipe, and not what Node would make: its own are sockets, and a driver has no call for those.
  const [output, written] = libc().pipe();
  let child: ChildProcess;
  try {
    child = spawn(
      process.execPath,
      // No compiler: the filter that is about to come allows none to a static program.
      ['--jitless', '-e', LAUNCHER, koffi, JSON.stringify(calls), String(first)],
      { cwd: '/', env: {}, stdio: ['ignore', written, written, ...kept, 'pipe', ...handed] },
    );
  } catch (error) {
    closeSync(output);
    throw error;
  } finally {
    closeSync(written);
  }
  const driver = new Child(child, new Socket({ fd: output, writable: false }), cgroup);
  // It waits for nothing: one that takes this long will not come to run.
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * AGENT_LIMITS.launchSeconds);
  try {
    const failure = await readFailure(child.stdio[first] as Readable);
    if (failure !== undefined) throw launchError(failure);
    driver.check(options);
    return driver;
  } catch (error) {
    await driver.end();
    // It may end between two looks, and then there is nothing of it to be looked at.
    if (!isErrno(error)) throw error;
    throw refusal(
      'driver-ended',
      'the driver ended before it was looked at',
      fromErrno(error).message,
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Undefined when the report ended without a word: it does so when the program runs. */
async function readFailure(report: Readable): Promise<LaunchFailure | undefined> {
  const chunks: Buffer[] = [];
  for await (const chunk of report) chunks.push(chunk as Buffer);
  if (chunks.length === 0) return undefined;
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as LaunchFailure;
}

class Child implements Driver {
  readonly pid: number;
  readonly ended: Promise<DriverEnd>;
  status: ReadonlyMap<string, string> = new Map();
  readonly #child: ChildProcess;
  readonly #cgroup: Cgroup | undefined;
  readonly #output: Buffer[] = [];
  #room: number = AGENT_LIMITS.driverOutput;
  #isOver = false;

  constructor(child: ChildProcess, output: Readable, cgroup: Cgroup | undefined) {
    this.#child = child;
    this.#cgroup = cgroup;
    this.pid = child.pid ?? 0;
    this.ended = Promise.all([once(child, 'exit'), once(output, 'close')]).then(
      ([[status, signal]]) => ({ status, signal }),
    );
    // Whoever waits for it hears of a failure; nobody has to.
    this.ended.catch(() => {});
    output.on('data', (chunk: Buffer) => {
      // Read on when there is no more room, so that it does not wait for us.
      if (this.#room > 0) this.#output.push(chunk.subarray(0, this.#room));
      this.#room -= chunk.length;
    });
  }

  bytes(): Buffer {
    return Buffer.concat(this.#output);
  }

  output(): string {
    return this.bytes().toString('utf8');
  }

  /** Nothing here waits: while this process does not, the kernel gives the number to nobody else. */
  check({ user, group, runtime, program }: Launch): void {
    const place = `/proc/${this.pid}`;
    this.status = parseProcessStatus(readFileSync(`${place}/status`, 'utf8'));
    requireConfined(this.status, { user, group, parent: process.pid });
    const running = statSync(`${place}/exe`, { bigint: true });
    const meant = fstatSync(runtime?.fd ?? program, { bigint: true });
    if (running.dev !== meant.dev || running.ino !== meant.ino)
      throw refusal('driver-program', 'the process runs something else', `${place}/exe`);
  }

  async end(): Promise<DriverEnd> {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#child.kill('SIGKILL');
      await this.#cgroup?.end();
    }
    return this.ended;
  }
}

function launchError({ step, result }: LaunchFailure): IronError {
  const name = Object.entries(os.constants.errno).find(([, value]) => value === -result)?.[0];
  return new IronError('E_AGENT_REFUSED', `the driver was not started: ${step} failed`, {
    why: name === undefined ? `the kernel answered ${result}` : `the kernel answered ${name}`,
    hint: 'nothing runs; the agent must be root, on a kernel with Landlock and seccomp',
    context: { reason: 'driver-launch', step, ...(name === undefined ? {} : { errno: name }) },
  });
}

function refusal(reason: string, message: string, why: string): IronError {
  return new IronError('E_AGENT_REFUSED', message, {
    why,
    hint: 'it does not run, and nothing was changed',
    context: { reason },
  });
}
