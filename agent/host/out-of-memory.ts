/** Whether the kernel ended what was in a control group because there was no memory for it. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isIronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { parseKeyed } from './use.ts';

/** The group's own bound was met, or there was none left in a group above it, or on the host. */
export type OutOfMemory = 'limit' | 'host';

/**
 * Of the group in this folder, by its `memory.events` (cgroup-v2.rst): `oom_kill` counts what was ended
 * there, whoever had no memory; `oom` how often it was the bound of this group that was met. Undefined
 * when nothing was ended, and where that cannot be told.
 */
export function readOutOfMemory(folder: string): OutOfMemory | undefined {
  const path = join(folder, 'memory.events');
  try {
    const text = readFileSync(path, 'latin1');
    if (parseKeyed(text, 'oom_kill', path) === 0) return undefined;
    return parseKeyed(text, 'oom', path) > 0 ? 'limit' : 'host';
  } catch (error) {
    // Without the controller there is no such file; it is a reason to be told, and stops nothing.
    if (isErrno(error) || isIronError(error)) return undefined;
    throw error;
  }
}

/** As what follows a process and its end: `the driver, which met its limit of memory`. */
export function outOfMemoryText(what: OutOfMemory): string {
  return what === 'limit'
    ? 'it met its limit of memory'
    : 'there was no memory left on the host, or in a group above its own';
}
