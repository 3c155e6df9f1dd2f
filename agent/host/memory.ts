/**
 * Memory that one device sees through one window: a descriptor sealed against every change of its
 * size and of its seals. One a window; it is never used for another, and overwritten with zeros
 * before it is given up.
 */

import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import type { DmaWindow } from '../../shared/manifest/ceiling.ts';
import { windowLength } from '../../shared/manifest/windows.ts';
import { libc, SEALS } from './libc.ts';

/** F_SEAL_WRITE cannot be among them: the memory is mapped, and meant to be written. */
const WANTED = SEALS.seal | SEALS.shrink | SEALS.grow;
const ZEROS = Buffer.alloc(1 << 20);

export interface WindowMemory extends DmaWindow {
  readonly fd: number;
  /** Where it is mapped in this process. */
  readonly address: bigint;
  readonly length: number;
  /** Zeros it and gives it up. To be called once, when no device reaches it any more. */
  end(): void;
}

/** New memory for `window`, zeroed by the kernel, sealed and mapped. */
export function makeWindowMemory({ window, access }: DmaWindow): WindowMemory {
  const length = Number(windowLength(window));
  if (!Number.isSafeInteger(length))
    throw new IronError('E_INTERNAL', `a window of ${windowLength(window)} bytes`);
  const fd = libc().memory('ironport-dma');
  let address: bigint;
  try {
    ftruncateSync(fd, length);
    libc().seal(fd, WANTED);
    if ((libc().seals(fd) & WANTED) !== WANTED)
      throw new IronError('E_IO', 'the memory of a window did not take its seals');
    address = libc().map(fd, length);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  let isOver = false;
  return {
    window,
    access,
    fd,
    address,
    length,
    end() {
      if (isOver) return;
      isOver = true;
      libc().unmap(address, length);
      try {
        for (let at = 0; at < length; at += ZEROS.length)
          writeSync(fd, ZEROS, 0, Math.min(ZEROS.length, length - at), at);
      } finally {
        closeSync(fd);
      }
    },
  };
}
