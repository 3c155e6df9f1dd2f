/**
 * Starting a driver: a process of our own confines itself and becomes it. What runs is what was
 * sealed and measured, by its descriptor. The driver is handed over only when the kernel itself says
 * that it is confined; otherwise it is ended.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import os from 'node:os';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';
import { IronError, isIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { errnoName, fromErrno, isErrno } from '../../shared/node/errno.ts';
import type { Profile } from '../sandbox/filter.ts';
import { type Call, type LaunchLimits, LISTENING, planLaunch } from '../sandbox/launch-plan.ts';
import { RUNTIME_PROFILE, STATIC_PROFILE } from '../sandbox/profiles.ts';
import { KEY_BYTES } from '../sandbox/run-once.ts';
import { type Cgroup, notEnded } from './cgroup.ts';
import { JITLESS } from './jitless.ts';
import { CALLS_VARIABLE, LAUNCHER, type LaunchFailure } from './launcher.ts';
import { libc } from './libc.ts';
import type { OutOfMemory } from './out-of-memory.ts';
import { endedEarly, refused, requireRunning } from './running.ts';
import { within } from './within.ts';

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
  /** What it may ask of the kernel, when that is not what its kind of program may. */
  readonly profile?: Profile;
  /**
   * Takes over the descriptor by which one is told of calls that the profile tells of, before the
   * program runs.
   */
  readonly onListener?: ((listener: number) => void) | undefined;
  /** Ended with the driver, and also when there comes to be none. */
  readonly cgroup?: Cgroup | undefined;
  /** How long it may take to become the driver. */
  readonly seconds?: number;
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
  /** When the kernel ended it because there was no memory for it. */
  readonly outOfMemory?: OutOfMemory;
}

export interface Driver {
  readonly pid: number;
  /** What the kernel said of it when it began, by the names of proc_pid_status(5). */
  readonly status: ReadonlyMap<string, string>;
  readonly ended: Promise<DriverEnd>;
  /** What it wrote so far, up to a limit. */
  bytes(): Buffer;
  output(): string;
  /**
   * Ends it and all that is in its group; returns when nothing of it is left, and may be called again.
   * `E_IO` when the kernel does not let go of it in time: until then it may do all that it could.
   */
  end(): Promise<DriverEnd>;
}

/**
 * Starts the driver. `E_AGENT_REFUSED` where this host cannot confine it, where a step of that failed,
 * and where what came to run is not what was meant; `E_IO` when not even the launcher could be started.
 * No process is left then, and no control group: whoever made it and failed has nothing to take away.
 */
export async function launch(options: Launch): Promise<Driver> {
  try {
    return await start(options);
  } catch (error) {
    await options.cgroup?.end();
    throw error;
  }
}

async function start(options: Launch): Promise<Driver> {
  const { runtime, program, user, group, seconds = AGENT_LIMITS.launchSeconds } = options;
  const { child, output, report, gate } = spawnLauncher(options);
  const driver = new Child(child, output, options.cgroup);
  let isLate = false;
  // It waits for nothing: one that takes this long will not come to run.
  const timer = setTimeout(() => {
    isLate = true;
    child.kill('SIGKILL');
  }, 1000 * seconds);
  let isListened = false;
  const listen = (): void => {
    if (isListened) return;
    options.onListener?.(takeListener(driver.pid));
    isListened = true;
  };
  // What its runtime asks behind our back once the filter is there waits for an answer already.
  const early = setInterval(() => {
    if (gate === undefined || findListener(driver.pid) === undefined) return;
    try {
      listen();
    } catch (error) {
      // Asked for again by its word, which is where that is refused.
      if (!isIronError(error)) throw error;
    }
  }, EARLY_MS);
  try {
    const failure = await readFailure(report, () => {
      if (gate === undefined) return;
      listen();
      gate.end('\n');
    });
    if (failure !== undefined) throw launchError(failure);
    if (isLate) throw tooSlow(seconds);
    // Its end was taken note of already: its number may be another's by now.
    if (child.exitCode !== null || child.signalCode !== null)
      throw endedEarly('it had nothing to do, or failed at once');
    driver.status = requireRunning(driver.pid, { user, group, program: runtime?.fd ?? program });
    return driver;
  } catch (error) {
    await driver.end();
    throw error;
  } finally {
    clearTimeout(timer);
    clearInterval(early);
  }
}

/** Longer than a launcher needs between its filter and its word. */
const EARLY_MS = 250;

interface Launcher {
  readonly child: ChildProcess;
  /** What the driver will write. */
  readonly output: Readable;
  readonly report: Readable;
  /** Where it waits, when its filter is to be listened to. */
  readonly gate: Writable | undefined;
}

/** Starts the process that is to become the driver; when that throws there is none. */
function spawnLauncher(options: Launch): Launcher {
  const { program, runtime, cgroup } = options;
  const files = runtime === undefined ? [] : [runtime.fd, ...runtime.files];
  const kept = [...options.descriptors, ...(runtime === undefined ? [] : [program])];
  const first = 3 + kept.length;
  // In the launcher: 0 to 2, what is kept, the report, what is run, the files, the group.
  const handed = [
    runtime?.fd ?? program,
    ...files,
    ...(cgroup === undefined ? [] : [cgroup.procs]),
  ];
  const gates = options.onListener === undefined ? [] : (['pipe'] as const);
  const calls = JSON.stringify(callsOf(options, first, files.length));
  const koffi = createRequire(import.meta.url).resolve('koffi');
  // A pipe, and not what Node would make: its own are sockets, and a driver has no call for those.
  const [readable, written] = libc().pipe();
  const output = new Socket({ fd: readable, writable: false });
  try {
    const child = spawn(
      process.execPath,
      // No compiler: the filter that is about to come allows none to a static program.
      [...JITLESS, '-e', LAUNCHER, koffi, String(first)],
      {
        cwd: '/',
        env: { [CALLS_VARIABLE]: calls },
        stdio: ['ignore', written, written, ...kept, 'pipe', ...handed, ...gates],
      },
    );
    // Some of what can go wrong Node says only later: whoever has no number is not there.
    child.on('error', () => {});
    if (child.pid === undefined) throw notStarted('the kernel made no process for it');
    const gate = child.stdio[first + 1 + handed.length] as Writable | undefined;
    // One that ended waits for nothing any more.
    gate?.on('error', () => {});
    return { child, output, report: child.stdio[first] as Readable, gate };
  } catch (error) {
    output.destroy();
    throw isErrno(error) ? notStarted(fromErrno(error).message, error) : error;
  } finally {
    closeSync(written);
  }
}

/** What the launcher is to do; `first` is the first descriptor in it that the driver is not given. */
function callsOf(options: Launch, first: number, files: number): Call[] {
  const { runtime, cgroup, user, group, limits, environment } = options;
  if (process.arch !== 'x64' || os.endianness() !== 'LE')
    throw refused(
      'driver-machine',
      'drivers are confined on x86-64 only',
      `this is ${process.arch}`,
    );
  return planLaunch({
    parent: process.pid,
    user,
    group,
    lastCapability: Number(readFileSync('/proc/sys/kernel/cap_last_cap', 'utf8')),
    limits,
    landlockAbi: libc().landlockAbi(),
    profile: options.profile ?? (runtime === undefined ? STATIC_PROFILE : RUNTIME_PROFILE),
    key: randomBytes(KEY_BYTES),
    program: first + 1,
    files: Array.from({ length: files }, (_, i) => first + 2 + i),
    cgroup: cgroup === undefined ? undefined : first + 2 + files,
    listened:
      options.onListener === undefined
        ? undefined
        : { report: first, gate: first + 2 + files + (cgroup === undefined ? 0 : 1) },
    keepBelow: first,
    arguments:
      runtime === undefined
        ? ['driver']
        : ['runtime', ...runtime.arguments, `/proc/self/fd/${first - 1}`],
    environment,
  });
}

/**
 * Undefined when the report ended without a word: it does so when the program runs. `onListening` is
 * called when it says that its filter can be listened to.
 */
async function readFailure(
  report: Readable,
  onListening: () => void,
): Promise<LaunchFailure | undefined> {
  let text = '';
  for await (const chunk of report) {
    if (text === '' && (chunk as Buffer).toString('utf8') === LISTENING) onListening();
    else text += (chunk as Buffer).toString('utf8');
  }
  return text === '' ? undefined : (JSON.parse(text) as LaunchFailure);
}

/** seccomp(2), SECCOMP_FILTER_FLAG_NEW_LISTENER: our child waits until we have it. */
function takeListener(pid: number): number {
  try {
    const found = listenerOf(pid);
    if (found !== undefined) return libc().takeDescriptor(pid, found);
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw refused(
      'driver-listener',
      'what a driver is refused could not be listened to',
      fromErrno(error).message,
    );
  }
  throw refused('driver-listener', 'the launcher of the driver has no listener', `process ${pid}`);
}

/** The number that its listener has in the process. */
function listenerOf(pid: number): number | undefined {
  const folder = `/proc/${pid}/fd`;
  const isListener = (fd: string): boolean =>
    readlinkSync(`${folder}/${fd}`) === 'anon_inode:seccomp notify';
  const found = readdirSync(folder).find(isListener);
  return found === undefined ? undefined : Number(found);
}

/** The same of one that may be gone, or change while it is looked at. */
function findListener(pid: number): number | undefined {
  try {
    return listenerOf(pid);
  } catch (error) {
    if (!isErrno(error)) throw error;
    return undefined;
  }
}

class Child implements Driver {
  readonly pid: number;
  readonly ended: Promise<DriverEnd>;
  status: ReadonlyMap<string, string> = new Map();
  readonly #child: ChildProcess;
  readonly #cgroup: Cgroup | undefined;
  readonly #output: Buffer[] = [];
  #room: number = AGENT_LIMITS.driverOutput;
  #ending: Promise<DriverEnd> | undefined;

  constructor(child: ChildProcess, output: Readable, cgroup: Cgroup | undefined) {
    this.#child = child;
    this.#cgroup = cgroup;
    this.pid = child.pid ?? 0;
    this.ended = Promise.all([once(child, 'exit'), once(output, 'close')]).then(
      ([[status, signal]]) => {
        // By this signal, and all of its group at once (memory.oom.group).
        const outOfMemory = signal === 'SIGKILL' ? cgroup?.outOfMemory() : undefined;
        return { status, signal, ...(outOfMemory && { outOfMemory }) };
      },
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

  /** All who ask wait for the same end; when it failed, it can be asked for again. */
  end(): Promise<DriverEnd> {
    this.#ending ??= this.#end().catch((error) => {
      this.#ending = undefined;
      throw error;
    });
    return this.#ending;
  }

  async #end(): Promise<DriverEnd> {
    // False when it is gone already; there is no other reason for us.
    this.#child.kill('SIGKILL');
    await this.#cgroup?.end();
    return await within(this.ended, AGENT_LIMITS.endSeconds, () => notEnded(`process ${this.pid}`));
  }
}

function launchError({ step, result }: LaunchFailure): IronError {
  const name = errnoName(-result);
  return new IronError('E_AGENT_REFUSED', `the driver was not started: ${step} failed`, {
    why: name === undefined ? `the kernel answered ${result}` : `the kernel answered ${name}`,
    hint: 'nothing runs; the agent must be root, on a kernel with Landlock and seccomp',
    context: { reason: 'driver-launch', step, ...(name === undefined ? {} : { errno: name }) },
  });
}

function notStarted(why: string, cause?: unknown): IronError {
  return new IronError('E_IO', 'the launcher of the driver was not started', {
    why,
    hint: 'nothing runs; look at memory, processes and descriptors, and at the length of its environment',
    ...(cause === undefined ? {} : { cause }),
  });
}

function tooSlow(seconds: number): IronError {
  return refused(
    'driver-late',
    'the driver did not come to run',
    `its launcher was not done after ${seconds} seconds`,
  );
}
