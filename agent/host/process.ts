/** A process that is no child of ours: which one it is, its end, and ending it. */

import { closeSync } from 'node:fs';
import os from 'node:os';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { notEnded } from './cgroup.ts';
import { libc } from './libc.ts';
import { readProc } from './proc.ts';
import { within } from './within.ts';

/** What tells a process from any other that had, or will have, its number in this boot. */
export interface ProcessName {
  readonly pid: number;
  /** When it began, in ticks since the boot (proc_pid_stat(5), starttime). */
  readonly started: string;
}

/** A process that may end at any time. */
export interface OtherProcess extends ProcessName {
  /** Resolves when it ended. */
  readonly ended: Promise<void>;
  /**
   * Asks it to end, and ends it when it does not do so in time. `E_IO` when the kernel does not let go
   * of it.
   */
  end(seconds?: number): Promise<void>;
}

/** The name of the process that has this number now; undefined when there is none. */
export async function processName(pid: number, proc = '/proc'): Promise<ProcessName | undefined> {
  const text = await readProc(`${proc}/${pid}/stat`).catch(() => '');
  // The second field is the name of its program, which may have blanks and brackets in it.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const started = fields[19];
  return started !== undefined && /^[0-9]+$/.test(started) ? { pid, started } : undefined;
}

/**
 * The very process of that name, or undefined when it is gone. `E_IO` where that cannot be told: it may be
 * there still.
 */
export async function openProcess({
  pid,
  started,
}: ProcessName): Promise<OtherProcess | undefined> {
  let fd: number;
  try {
    fd = libc().openProcess(pid);
  } catch (error) {
    if (!isErrno(error)) throw error;
    // pidfd_open(2): only this says that there is none of that number.
    if (error.code === 'ESRCH') return undefined;
    // A thread of another has the number now, which is refused in words that differ between kernels.
    const now = await processName(pid);
    if (now !== undefined && now.started !== started) return undefined;
    throw fromErrno(error);
  }
  // After it was opened: from then on the number cannot become another's unseen.
  if ((await processName(pid))?.started === started && !libc().isReadable(fd))
    return other(fd, { pid, started });
  closeSync(fd);
  return undefined;
}

function other(fd: number, name: ProcessName): OtherProcess {
  let isOver = false;
  const ended = new Promise<void>((resolve) => {
    const unwatch = libc().watch(fd, () => {
      if (isOver) return;
      isOver = true;
      unwatch();
      closeSync(fd);
      resolve();
    });
  });
  const { SIGTERM, SIGKILL } = os.constants.signals;
  const signal = (number: number): void => {
    if (!isOver) libc().signalProcess(fd, number);
  };
  const late = (): Error => notEnded(`process ${name.pid}`);
  return {
    ...name,
    ended,
    async end(seconds = AGENT_LIMITS.endSeconds) {
      signal(SIGTERM);
      await within(ended, seconds, late).catch(async () => {
        signal(SIGKILL);
        await within(ended, AGENT_LIMITS.endSeconds, late);
      });
    },
  };
}
