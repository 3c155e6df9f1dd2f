/** What a process and a control group use of memory and descriptors, as the kernel counts it. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { readFileCapped } from '../../shared/node/files.ts';

export interface GroupMemory {
  /** All that is charged to the group: `memory.current`, in bytes. */
  readonly bytes: number;
  /** How often it was at its limit, and the kernel had to take something back: `max` of `memory.events`. */
  readonly hits: number;
}

/** Of the group in this folder. `E_NOT_FOUND` when it is gone, `E_IO`, `E_TOO_LARGE`, `E_SCHEMA`. */
export async function readGroupMemory(folder: string): Promise<GroupMemory> {
  const [current, events] = [join(folder, 'memory.current'), join(folder, 'memory.events')];
  return {
    bytes: parseCount(await text(current), current),
    hits: parseKeyed(await text(events), 'max', events),
  };
}

/** Byte for letter: the kernel writes no others. */
async function text(path: string): Promise<string> {
  const bytes = await readFileCapped(path, AGENT_LIMITS.attribute, { nofollow: true });
  return Buffer.from(bytes).toString('latin1');
}

/** A file with one number (cgroup-v2.rst, "Interface Files"). `E_SCHEMA`. */
export function parseCount(text: string, path: string): number {
  const [, digits] = /^([0-9]{1,20})\n?$/.exec(text) ?? [];
  return exact(digits, path);
}

/** The number of one key in a file of `KEY VALUE` lines ("Flat keyed"). `E_SCHEMA` unless it stands once. */
export function parseKeyed(text: string, key: string, path: string): number {
  const lines = text.split('\n').filter((line) => line.startsWith(`${key} `));
  if (lines.length !== 1) throw bad(path, `${key} stands in ${lines.length} lines`);
  const [, digits] = /^[a-z_.]+ ([0-9]{1,20})$/.exec(lines[0] as string) ?? [];
  return exact(digits, path);
}

function exact(digits: string | undefined, path: string): number {
  const value = Number(digits);
  if (digits === undefined || !Number.isSafeInteger(value)) throw bad(path, 'no number is in it');
  return value;
}

function bad(path: string, why: string): IronError {
  return new IronError('E_SCHEMA', `${path} is not what the kernel writes there`, {
    why,
    context: { path },
  });
}

/**
 * Open descriptors of a process (proc_pid_fd(5)); those of a thread that has a table of its own are not
 * among them. `E_NOT_FOUND` when it is gone, `E_IO` when it is not ours to look at.
 */
export async function countDescriptors(proc: string, pid: number): Promise<number> {
  const folder = `${proc}/${pid}/fd`;
  const names = await onPath(folder, () => readdir(folder), 'E_NOT_FOUND');
  return names.filter((name) => /^[0-9]+$/.test(name)).length;
}
