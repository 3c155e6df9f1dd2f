/**
 * A control group of the second version for one driver (Documentation/admin-guide/cgroup-v2.rst):
 * bounds of memory and processes, and one file whose writing ends all that is in it.
 */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { type OutOfMemory, readOutOfMemory } from './out-of-memory.ts';

export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly processes: number;
}

export interface Cgroup {
  readonly path: string;
  /** Controllers that this host does not give to the group; what they bound is not bounded by it. */
  readonly missing: readonly string[];
  /** `cgroup.procs`, open to be written: a process that writes 0 is in the group. */
  readonly procs: number;
  /** Whether the kernel ended something in it for want of memory; also after `end`. */
  outOfMemory(): OutOfMemory | undefined;
  /** Stops all processes in it where they are; false when the kernel did not say so in time. */
  freeze(): boolean;
  /**
   * Ends all processes in it, waits until none is left, and removes the group; may be called again.
   * `E_IO` when it cannot be done.
   */
  end(): Promise<void>;
}

const CONTROLLERS = ['memory', 'pids'];

/**
 * A new group below `parent`. `E_AGENT_REFUSED` when there is none, or when it cannot bound memory
 * and processes and `need` says that it must. `swaps` is where the kernel lists what it swaps to.
 */
export function makeCgroup(
  parent: string,
  name: string,
  limits: CgroupLimits,
  need: 'limits' | 'group',
  swaps = '/proc/swaps',
): Cgroup {
  const path = join(parent, name);
  try {
    const missing = delegate(parent);
    if (missing.length > 0 && need === 'limits')
      throw refusal(`${parent} has no ${missing.join(' and no ')} to give`, parent);
    makeAnew(path);
    try {
      // A group of the first version, or a plain folder, has no such file.
      readFileSync(join(path, 'cgroup.events'));
      // Linux 5.14
      if (!existsSync(join(path, 'cgroup.kill')))
        throw refusal('this kernel has no cgroup.kill, by which a driver is ended', path);
      limitGroup(path, limits, missing, swaps);
      return group(path, missing);
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
  } catch (error) {
    if (isErrno(error)) throw refusal(`${error.syscall} gave ${error.code}`, path, error);
    throw error;
  }
}

function group(path: string, missing: readonly string[]): Cgroup {
  const procs = openSync(join(path, 'cgroup.procs'), 'r+');
  let isOpen = true;
  let ending: Promise<void> | undefined;
  let killed: OutOfMemory | undefined;
  const outOfMemory = (): OutOfMemory | undefined => {
    killed ??= readOutOfMemory(path);
    return killed;
  };
  return {
    path,
    missing,
    procs,
    outOfMemory,
    freeze: () => freeze(path),
    end() {
      // What is counted goes with the group.
      outOfMemory();
      if (isOpen) closeSync(procs);
      isOpen = false;
      ending ??= endGroup(path).catch((error) => {
        ending = undefined;
        throw error;
      });
      return ending;
    },
  };
}

/** A group of that name can be left over from an agent that was killed; its processes died with it. */
function makeAnew(path: string): void {
  try {
    mkdirSync(path, { mode: 0o755 });
  } catch (error) {
    if (!isErrno(error) || error.code !== 'EEXIST') throw error;
    rmdirSync(path);
    mkdirSync(path, { mode: 0o755 });
  }
}

/** Returns at once, or a moment later: a brake waits for it, and not for ever. */
function freeze(path: string): boolean {
  writeOver(join(path, 'cgroup.freeze'), '1');
  const still = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited <= AGENT_LIMITS.freezeMs; waited++) {
    if (/^frozen 1$/m.test(readFileSync(join(path, 'cgroup.events'), 'utf8'))) return true;
    Atomics.wait(still, 0, 0, 1);
  }
  return false;
}

/** Gives the controllers to the groups below `parent`; returns those that it does not have. */
function delegate(parent: string): string[] {
  const has = (file: string): string[] => readFileSync(join(parent, file), 'utf8').split(/\s+/);
  const controllers = has('cgroup.controllers');
  const missing = CONTROLLERS.filter((name) => !controllers.includes(name));
  const given = has('cgroup.subtree_control');
  for (const name of CONTROLLERS)
    if (!missing.includes(name) && !given.includes(name))
      writeOver(join(parent, 'cgroup.subtree_control'), `+${name}`);
  return missing;
}

/** Bounds the group at `path` as far as its controllers go; reads back what was set. */
export function limitGroup(
  path: string,
  limits: CgroupLimits,
  missing: readonly string[],
  swaps: string,
): void {
  const set = (file: string, value: string): void => {
    writeOver(join(path, file), value);
    const found = readFileSync(join(path, file), 'utf8').trim();
    if (found !== value) throw refusal(`${file} is ${found} and not ${value}`, path);
  };
  if (!missing.includes('pids')) set('pids.max', String(limits.processes));
  if (missing.includes('memory')) return;
  // The kernel counts in pages.
  set('memory.max', String(limits.memoryBytes - (limits.memoryBytes % 4096)));
  set('memory.oom.group', '1');
  try {
    set('memory.swap.max', '0');
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
    // A kernel that does not account for swap (swapaccount=0), on a host that may have some.
    if (swapsTo(swaps))
      throw refusal('memory.max does not bound what is swapped out, and this host swaps', path);
  }
}

/** proc_swaps(5): a heading, then a line each. What cannot be read is no proof that there is none. */
function swapsTo(swaps: string): boolean {
  try {
    return readFileSync(swaps, 'utf8').trim().split('\n').length > 1;
  } catch (error) {
    // A kernel without swap has no such file.
    return !isErrno(error) || error.code !== 'ENOENT';
  }
}

/**
 * Ends all processes in the group at `path`, and removes it (cgroup-v2.rst, cgroup.kill: all of it at once,
 * and also what it is just about to make). `E_IO`.
 */
export async function endGroup(path: string): Promise<void> {
  try {
    writeOver(join(path, 'cgroup.kill'), '1');
    const since = performance.now();
    for (let pause = 1; ; pause = Math.min(100, 2 * pause)) {
      if (/^populated 0$/m.test(readFileSync(join(path, 'cgroup.events'), 'utf8'))) break;
      if (performance.now() - since > 1000 * AGENT_LIMITS.endSeconds) throw notEnded(path);
      await setTimeout(pause);
    }
    rmdirSync(path);
  } catch (error) {
    if (!isErrno(error)) throw error;
    // Removed by somebody else, which the kernel allows only when nothing is in it.
    if (error.code === 'ENOENT' && !existsSync(path)) return;
    throw notEnded(path, error);
  }
}

/** Of a file that is there: a group is never given one that it does not have. */
function writeOver(path: string, value: string): void {
  writeFileSync(path, value, { flag: 'r+' });
}

/** A process that was told to end, and did not: it waits for a device, or is not ours to end. */
export function notEnded(what: string, cause?: unknown): IronError {
  return new IronError('E_IO', `a driver could not be ended: ${what}`, {
    why: isErrno(cause)
      ? `${cause.syscall} gave ${cause.code}`
      : `the kernel did not let go of it within ${AGENT_LIMITS.endSeconds} seconds`,
    hint: 'it may still do all that it could; treat its device as in its hands, and look at the kernel log',
    ...(cause === undefined ? {} : { cause }),
    context: { reason: 'driver-not-ended' },
  });
}

function refusal(why: string, path: string, cause?: unknown): IronError {
  return new IronError('E_AGENT_REFUSED', 'a driver would have no control group of its own', {
    why,
    hint: 'mount cgroup v2 and delegate memory and pids to the agent (Delegate= of its unit)',
    ...(cause === undefined ? {} : { cause }),
    context: { reason: 'cgroup', path },
  });
}
