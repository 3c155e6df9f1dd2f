/**
 * Writing into sysfs. Binding and unbinding wait for drivers, and some drivers never answer: the
 * write is made by a child with nothing of ours but the three words it needs, in a session of its
 * own, so that neither our end nor a Ctrl-C reaches it. One that overstays is left alone: a signal
 * would make its wait uninterruptible, until the device's last descriptor closes.
 */

import { spawn } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import os from 'node:os';
import process from 'node:process';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import type { Sysfs } from './sysfs.ts';

/** What became of a write. `refused` carries the errno's name. */
export type Written =
  | { readonly outcome: 'written' }
  | { readonly outcome: 'refused'; readonly errno: string }
  | { readonly outcome: 'stuck'; readonly pid: number };

/**
 * All that the child does: `node -e PROGRAM MARK PATH TEXT`. What became of the write is its exit
 * status: 0, or the errno.
 */
function writer(): void {
  // The global one, by its full name: an import of it has another name in a bundle.
  const { process } = globalThis;
  const { closeSync, constants, openSync, writeSync } = process.getBuiltinModule('node:fs');
  const [, , path = '', text = ''] = process.argv;
  try {
    // As a shell's `>` opens it, but for O_CREAT: an attribute that is not there is not made.
    const file = openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NOFOLLOW);
    // One write(2): sysfs takes each as a whole command.
    writeSync(file, text);
    closeSync(file);
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    process.exitCode = errno === undefined ? 255 : -errno;
  }
}

/** It needs no file of its own, and starts in half the time. */
const PROGRAM = `(${writer.toString()})()`;

/** Writes `text`, as it is, to the attribute at `path`, for the device `bdf`. */
export function writeAttribute(
  sysfs: Sysfs,
  bdf: string,
  path: string,
  text: string,
  limitMs: number,
): Promise<Written> {
  const args = ['-e', PROGRAM, markOf(sysfs, bdf), sysfs.place(path), text];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      cwd: '/',
      detached: true,
      env: {},
      stdio: 'ignore',
    });
    const timer = setTimeout(() => {
      // Nobody waits for it any more, this process included.
      child.removeAllListeners();
      child.unref();
      resolve({ outcome: 'stuck', pid: child.pid ?? 0 });
    }, limitMs);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new IronError('E_IO', 'the process that writes into sysfs did not start', { cause }));
    });
    child.on('exit', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve({ outcome: 'written' });
      else resolve({ outcome: 'refused', errno: signal ?? errnoName(status ?? 255) });
    });
  });
}

function errnoName(number: number): string {
  const found = Object.entries(os.constants.errno).find(([, value]) => value === number);
  return found?.[0] ?? `status ${number}`;
}

/**
 * Process ids of writes for this device that have not returned, whoever began them: a write outlives
 * the agent that was killed while it waited. Nothing may touch the device while there is one.
 */
export async function findWriters(sysfs: Sysfs, bdf: string, proc = '/proc'): Promise<number[]> {
  const mark = markOf(sysfs, bdf);
  const found: number[] = [];
  for (const name of await readdir(proc).catch(() => [])) {
    if (!/^[1-9][0-9]*$/.test(name) || isKernels(`${proc}/${name}`)) continue;
    // A process may end between the two calls; then it has no arguments any more.
    const line = await readFile(`${proc}/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0')[3] === mark) found.push(Number(name));
  }
  return found;
}

/**
 * Whether it is a thread of the kernel, which has no program: most of what is in /proc. Its link is
 * told without waiting for the process's memory, and so needs no thread of ours.
 */
function isKernels(folder: string): boolean {
  try {
    readlinkSync(`${folder}/exe`);
    return false;
  } catch (error) {
    // Somebody else's is not told, and is looked at.
    return isErrno(error) && error.code === 'ENOENT';
  }
}

/** What the arguments of a writer say, so that it can be found again. */
function markOf(sysfs: Sysfs, bdf: string): string {
  return `ironport-sysfs-write:${sysfs.root}:${bdf}`;
}
