/**
 * QEMU's `edu` as an engine that moves bytes wherever it is told, driven straight through a device's
 * descriptor: what it can reach is exactly what the IOMMU lets it.
 */

import { readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** docs/specs/edu.rst of QEMU, "MMIO area spec" and "DMA controller". */
const REGISTER = { source: 0x80, destination: 0x88, count: 0x90, command: 0x98 } as const;
/** Where the DMA engine sees the device's buffer, of 4,096 bytes. */
const BUFFER = 0x40000n;
const START = 1;
const TO_MEMORY = 2;
/** A transfer takes the device 100 ms of its own time. */
const PAUSE_MS = 20;

export class Edu {
  readonly #fd: number;
  /** Where BAR 0 begins in the descriptor. */
  readonly #base: number;

  constructor(fd: number, base: bigint = 0n) {
    this.#fd = fd;
    this.#base = Number(base);
  }

  read32(offset: number): number {
    const word = Buffer.alloc(4);
    readSync(this.#fd, word, 0, 4, this.#base + offset);
    return word.readUInt32LE();
  }

  write(offset: number, value: bigint): void {
    const word = Buffer.alloc(8);
    word.writeBigUInt64LE(value);
    // The registers of addresses are 64 bits wide, in two accesses of four bytes or one of eight.
    writeSync(this.#fd, word, 0, 8, this.#base + offset);
  }

  write32(offset: number, value: number): void {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(value);
    writeSync(this.#fd, word, 0, 4, this.#base + offset);
  }

  /** Into the device's buffer, from where the device sees `iova`. */
  take(iova: bigint, length: number): Promise<void> {
    return this.#transfer(iova, BUFFER, length, START);
  }

  /** Out of the device's buffer. */
  give(iova: bigint, length: number): Promise<void> {
    return this.#transfer(BUFFER, iova, length, START | TO_MEMORY);
  }

  /** Begins, and waits until the device says that it is done, whatever became of the bytes. */
  async #transfer(from: bigint, to: bigint, length: number, command: number): Promise<void> {
    this.write(REGISTER.source, from);
    this.write(REGISTER.destination, to);
    this.write(REGISTER.count, BigInt(length));
    this.write32(REGISTER.command, command);
    // Not a bound on time: a device that never ends is one that the case's own limit ends.
    while ((this.read32(REGISTER.command) & START) !== 0) await setTimeout(PAUSE_MS);
  }
}

/** Bytes that depend on their place and on `seed`; none of them is 0. */
export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = 1 + ((i * 31 + (i >> 8) * 7 + seed * 101) % 255);
  return bytes;
}
