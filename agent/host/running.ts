/** Whether what runs is the driver that was meant, confined: what the kernel itself says of a process. */

import { fstatSync, readFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { IronError } from '../../shared/errors.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { parseProcessStatus, requireConfined } from '../sandbox/process-status.ts';

export interface Meant {
  readonly user: number;
  readonly group: number;
  /** A descriptor of the file that it runs. */
  readonly program: number;
}

/**
 * What the kernel says of our child `pid`, by the names of proc_pid_status(5). `E_AGENT_REFUSED` when
 * it ended, when it is not confined, or when it runs another file. Nothing here waits: until this
 * process does, it takes no note of a child's end, and the kernel gives the number to nobody else.
 * That the child was not taken note of before is for the caller to see.
 */
export function requireRunning(
  pid: number,
  { user, group, program }: Meant,
): ReadonlyMap<string, string> {
  try {
    const status = parseProcessStatus(readFileSync(`/proc/${pid}/status`, 'utf8'));
    requireConfined(status, { user, group, parent: process.pid });
    const running = statSync(`/proc/${pid}/exe`, { bigint: true });
    const meant = fstatSync(program, { bigint: true });
    if (running.dev !== meant.dev || running.ino !== meant.ino)
      throw refused('driver-program', 'the process runs something else', `/proc/${pid}/exe`);
    return status;
  } catch (error) {
    // It may end between two looks, and then there is nothing of it to be looked at.
    if (!isErrno(error)) throw error;
    throw endedEarly(fromErrno(error).message);
  }
}

export function endedEarly(why: string): IronError {
  return refused('driver-ended', 'the driver ended before it was looked at', why);
}

/** `E_AGENT_REFUSED` of a driver that was not let run. */
export function refused(reason: string, message: string, why: string): IronError {
  return new IronError('E_AGENT_REFUSED', message, {
    why,
    hint: 'it does not run, and nothing was changed',
    context: { reason },
  });
}
