/**
 * The bytes that run: an artifact copied into memory, sealed, and only then compared with the digest
 * that was verified. What is compared can no longer be changed by anybody, and no path leads to it.
 */

import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import { fromErrno, isErrno } from '../../shared/node/errno.ts';
import { kindOf } from '../../shared/node/files.ts';
import { libc, SEALS } from './libc.ts';

export interface Measured {
  readonly length: number;
  /** Lowercase hex. */
  readonly sha256: string;
}

const WANTED = SEALS.seal | SEALS.shrink | SEALS.grow | SEALS.write;
const CHUNK = 1 << 20;

/**
 * A descriptor of sealed memory with the bytes of `source`, which must be `expected`; else `E_HASH`,
 * and nothing is left. `source` stays open, and its position is not used.
 */
export function sealProgram(source: number, expected: Measured): number {
  const fd = libc().memory('ironport-driver', 'run');
  try {
    copy(source, fd, expected.length);
    libc().seal(fd, WANTED);
    if ((libc().seals(fd) & WANTED) !== WANTED)
      throw new IronError('E_IO', 'the memory of a program did not take its seals');
    requireDigest(fd, expected, 'the program');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A file that stays where it is: opened once, compared, and used by its descriptor from then on. */
export function openMeasured(path: string, sha256: string): number {
  const fd = openRegularSync(path);
  try {
    requireDigest(fd, { sha256 }, path);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** A descriptor of a regular file, for reading. `E_NOT_FOUND`; `E_IO` when it is anything else. */
export function openRegularSync(path: string): number {
  let fd: number;
  try {
    // Without O_NONBLOCK a pipe that nobody writes to would hold up the agent, and every brake.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (!isErrno(error)) throw error;
    throw fromErrno(error, path, error.code === 'ENOENT' ? 'E_NOT_FOUND' : undefined);
  }
  const found = fstatSync(fd);
  if (found.isFile()) return fd;
  closeSync(fd);
  throw new IronError('E_IO', `${path} is not a regular file`, {
    why: `it is ${kindOf(found)}`,
    hint: 'nothing was run; accept the driver again, or correct the path in the fleet policy',
    context: { path, kind: kindOf(found) },
  });
}

/** Up to one byte more than `length`, so that what is longer is seen to be. */
function copy(from: number, to: number, length: number): void {
  const chunk = Buffer.alloc(CHUNK);
  for (let at = 0; at <= length; ) {
    const count = readSync(from, chunk, 0, Math.min(CHUNK, length + 1 - at), at);
    if (count === 0) return;
    for (let done = 0; done < count; ) done += writeSync(to, chunk, done, count - done, at + done);
    at += count;
  }
}

function requireDigest(
  fd: number,
  expected: Pick<Measured, 'sha256'> & Partial<Measured>,
  what: string,
): void {
  const hash = createHash('sha256');
  const chunk = Buffer.alloc(CHUNK);
  let length = 0;
  for (;;) {
    const count = readSync(fd, chunk, 0, CHUNK, length);
    if (count === 0) break;
    hash.update(chunk.subarray(0, count));
    length += count;
  }
  const sha256 = hash.digest('hex');
  if (sha256 === expected.sha256 && length === (expected.length ?? length)) return;
  throw new IronError('E_HASH', `${what} is not what was verified`, {
    why: `it is ${length} bytes with SHA-256 ${sha256}, and ${expected.sha256} was named`,
    hint: 'nothing was run; accept it again, or correct the digest that is named',
    context: { expected: expected.sha256, found: sha256, length },
  });
}
