/** Errors of the operating system, as errors of ours. */

import os from 'node:os';
import { type Code, type ErrorDetails, IronError } from '../errors.ts';

export interface Errno extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
  readonly dest?: string;
  readonly address?: string;
  readonly port?: number;
}

/** Whether `error` is one that a system call reported. */
export function isErrno(error: unknown): error is Errno {
  return (
    error instanceof Error &&
    'syscall' in error &&
    'code' in error &&
    typeof error.code === 'string'
  );
}

/** The name of an error's number, as errno(3) has it: undefined for one that is not known. */
export function errnoName(number: number): string | undefined {
  return Object.entries(os.constants.errno).find(([, value]) => value === number)?.[0];
}

/** What the errors that a user can do something about mean, in words. */
const MEANING: Readonly<Record<string, readonly [what: string, hint?: string]>> = {
  EACCES: ['permission denied', 'check who owns it and its mode'],
  EPERM: ['the operation is not permitted', 'check who owns it and its mode'],
  EROFS: ['the file system is mounted read-only', 'choose a place that can be written to'],
  EISDIR: ['it is a folder', 'name a file'],
  ENOTDIR: ['a part of the path is not a folder', 'check the path'],
  ENOENT: ['it, or the folder that it is to be in, does not exist', 'check the path'],
  EEXIST: ['something stands there already', 'choose another name, or move it away'],
  ELOOP: ['it is a symbolic link where none is followed'],
  ENAMETOOLONG: ['the name is too long for the file system'],
  EMFILE: ['too many files are open', 'raise the limit: `ulimit -n`'],
  ENFILE: ['too many files are open on this machine'],
  EIO: ['the device reported an error', 'look at the kernel log; the disk may be failing'],
  EADDRINUSE: ['another program listens there already', 'stop it or choose another port'],
  EADDRNOTAVAIL: ['this machine has no such address'],
  ECONNREFUSED: ['nothing listens there', 'check the address and that the service runs'],
  ECONNRESET: ['the other side broke off'],
  ENOTFOUND: ['the host name is not known'],
  ETIMEDOUT: ['the other side did not answer in time'],
  EPROTO: ['the other side speaks another protocol', 'check whether it is http:// or https://'],
};

/**
 * The coded form of a system error: `E_NO_SPACE` for a full disk or quota, `E_NETWORK` for
 * connections, `E_IO` with the path for the rest. `code` overrides that where the caller knows
 * what, for instance, a missing file means.
 */
export function fromErrno(error: Errno, path = error.path, code?: Code): IronError {
  const [what, hint] = MEANING[error.code] ?? [error.code];
  const chosen = code ?? codeOf(error, path);
  const place =
    path ?? (error.address === undefined ? undefined : `${error.address}:${error.port}`);
  const details: ErrorDetails = {
    why: what,
    cause: error,
    context: {
      errno: error.code,
      syscall: error.syscall,
      ...(place === undefined ? {} : { path: place }),
    },
    ...(hint === undefined ? {} : { hint }),
  };
  const at = place === undefined ? '' : ` ${place}`;
  if (chosen === 'E_NO_SPACE') {
    return new IronError(chosen, `no space is left${at === '' ? '' : ` for${at}`}`, {
      ...details,
      why: 'the disk or the quota is full',
      hint: 'free some space and run it again; files already complete stay, none is half-written',
    });
  }
  return new IronError(chosen, `${error.syscall}${at} failed: ${what}`, details);
}

function codeOf(error: Errno, path: string | undefined): Code {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return 'E_NO_SPACE';
  const isNetwork = /^(ECONN|EAI_|EHOST|ENET|ETIMEDOUT|ENOTFOUND)/.test(error.code);
  return path === undefined && isNetwork ? 'E_NETWORK' : 'E_IO';
}
