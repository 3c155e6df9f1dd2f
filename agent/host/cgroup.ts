/**
 * A control group of the second version for one driver (Documentation/admin-guide/cgroup-v2.rst):
 * bounds of memory and processes, and one file whose writing ends all that is in it.
 */

import { closeSync, mkdirSync, openSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';

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
  /** Ends all processes in it, waits until none is left, and removes the group. */
  end(): Promise<void>;
}

const CONTROLLERS = ['memory', 'pids'];

/**
 * A new group below `parent`. `E_AGENT_REFUSED` when there is none, or when it cannot bound memory
 * and processes and `need` says that it must.
 */
export function makeCgroup(
  parent: string,
  name: string,
  limits: CgroupLimits,
  need: 'limits' | 'group',
): Cgroup {
  const path = join(parent, name);
  try {
    const missing = delegate(parent);
    if (missing.length > 0 && need === 'limits')
      throw refusal(`${parent} has no ${missing.join(' and no ')} to give`, parent);
    mkdirSync(path, { mode: 0o755 });
    try {
      // A group of the first version, or a plain folder, has no such file.
      readFileSync(join(path, 'cgroup.events'));
      limit(path, limits, missing);
      const procs = openSync(join(path, 'cgroup.procs'), 'r+');
      return { path, missing, procs, end: () => end(path, procs) };
    } catch (error) {
      rmdirSync(path);
      throw error;
    }
  } catch (error) {
    if (isErrno(error)) throw refusal(`${error.syscall} gave ${error.code}`, path, error);
    throw error;
  }
}

/** Gives the controllers to the groups below `parent`; returns those that it does not have. */
function delegate(parent: string): string[] {
  const has = (file: string): string[] => readFileSync(join(parent, file), 'utf8').split(/\s+/);
  const controllers = has('cgroup.controllers');
  const missing = CONTROLLERS.filter((name) => !controllers.includes(name));
  const given = has('cgroup.subtree_control');
  for (const name of CONTROLLERS)
    if (!missing.includes(name) && !given.includes(name))
      writeFileSync(join(parent, 'cgroup.subtree_control'), `+${name}`);
  return missing;
}

function limit(path: string, limits: CgroupLimits, missing: readonly string[]): void {
  const set = (file: string, value: string): void => {
    writeFileSync(join(path, file), value);
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
    // A host that has no swap to account for.
    if (!isErrno(error) || error.code !== 'ENOENT') throw error;
  }
}

async function end(path: string, procs: number): Promise<void> {
  closeSync(procs);
  writeFileSync(join(path, 'cgroup.kill'), '1');
  for (let pause = 1; ; pause = Math.min(100, 2 * pause)) {
    if (/^populated 0$/m.test(readFileSync(join(path, 'cgroup.events'), 'utf8'))) break;
    await setTimeout(pause);
  }
  rmdirSync(path);
}

function refusal(why: string, path: string, cause?: unknown): IronError {
  return new IronError('E_AGENT_REFUSED', 'a driver would have no control group of its own', {
    why,
    hint: 'mount cgroup v2 and delegate memory and pids to the agent (Delegate= of its unit)',
    ...(cause === undefined ? {} : { cause }),
    context: { reason: 'cgroup', path },
  });
}
