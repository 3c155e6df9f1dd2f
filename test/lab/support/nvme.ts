/**
 * An NVMe controller driven straight through a device's descriptor, as far as one admin command: enough
 * to have it read and write memory and interrupt. And its siblings brought online, by the kernel's own
 * driver of the physical function. NVM Express Base Specification 2.0, by section.
 */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { libc } from '../../../agent/host/libc.ts';

/** 3.1.3, controller properties. */
const REGISTER = { cap: 0x00, cc: 0x14, csts: 0x1c, aqa: 0x24, asq: 0x28, acq: 0x30 } as const;
const DOORBELLS = 0x1000;
const ENTRIES = 16;
/** 3.1.3.5: enabled, submission entries of 2^6 bytes and completion entries of 2^4. */
const ENABLE = 1 | (6 << 16) | (4 << 20);
const READY = 1;
const PAUSE_MS = 20;

export const OPCODE = { identify: 0x06, virtualisation: 0x1c } as const;
/** 5.17.1, CNS of Identify. */
export const CNS = { controller: 0x01, secondary: 0x15 } as const;

/** Where what a controller sees lies in a memory: queues in the first two pages. */
const PLACE = { submission: 0, completion: 0x1000 } as const;

export interface Memory {
  readonly fd: number;
  readonly start: bigint;
}

export class Nvme {
  readonly #fd: number;
  readonly #base: number;
  readonly #memory: Memory;
  /** Of the one queue: where the next command goes, and its number. */
  #count = 0;

  constructor(fd: number, base: bigint, memory: Memory) {
    this.#fd = fd;
    this.#base = Number(base);
    this.#memory = memory;
  }

  #read(offset: number): number {
    const word = Buffer.alloc(4);
    readSync(this.#fd, word, 0, 4, this.#base + offset);
    return word.readUInt32LE();
  }

  #write(offset: number, value: number): void {
    const word = Buffer.alloc(4);
    word.writeUInt32LE(value);
    writeSync(this.#fd, word, 0, 4, this.#base + offset);
  }

  #writeAddress(offset: number, value: bigint): void {
    this.#write(offset, Number(value & 0xffff_ffffn));
    this.#write(offset + 4, Number(value >> 32n));
  }

  /** Whether it has capabilities: a secondary controller that is offline shows none. */
  get isOnline(): boolean {
    return this.#read(REGISTER.cap) !== 0;
  }

  /** 3.5.1, initialisation, with the admin queue alone. */
  async enable(): Promise<void> {
    const { start } = this.#memory;
    this.#write(REGISTER.aqa, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    this.#writeAddress(REGISTER.asq, start + BigInt(PLACE.submission));
    this.#writeAddress(REGISTER.acq, start + BigInt(PLACE.completion));
    this.#write(REGISTER.cc, ENABLE);
    // Not a bound on time: a device that never answers is one that the case's own limit ends.
    while ((this.#read(REGISTER.csts) & READY) === 0) await setTimeout(PAUSE_MS);
  }

  /** Has it write 4,096 bytes about itself to `iova`, and returns the status of the completion. */
  async identify(iova: bigint): Promise<number> {
    const { fd } = this.#memory;
    const slot = this.#count % ENTRIES;
    const phase = Math.floor(this.#count / ENTRIES) % 2 === 0 ? 1 : 0;
    this.#count++;
    // 3.3.3.1, command Dword 0 and PRP entry 1; 5.17, CNS in Dword 10.
    const command = Buffer.alloc(64);
    command.writeUInt8(OPCODE.identify, 0);
    command.writeUInt16LE(this.#count, 2);
    command.writeBigUInt64LE(iova, 24);
    command.writeUInt32LE(CNS.controller, 40);
    writeSync(fd, command, 0, 64, PLACE.submission + 64 * slot);
    this.#write(DOORBELLS, this.#count % ENTRIES);
    const entry = Buffer.alloc(16);
    // 3.3.3.2.2: the phase tag turns with each round through the queue.
    do {
      await setTimeout(PAUSE_MS);
      readSync(fd, entry, 0, 16, PLACE.completion + 16 * slot);
    } while ((entry.readUInt16LE(14) & 1) !== phase);
    equal(entry.readUInt16LE(12), this.#count, 'the completion is of this command');
    this.#write(DOORBELLS + 4, this.#count % ENTRIES);
    return entry.readUInt16LE(14) >> 1;
  }
}

/** include/uapi/linux/nvme_ioctl.h: `_IOWR('N', 0x41, struct nvme_passthru_cmd)`, 72 bytes. */
const NVME_IOCTL_ADMIN_CMD = 0xc048_4e41;

/** The node of the kernel's driver for the controller at `bdf`. */
export function nvmeNode(bdf: string): string {
  const [name] = readdirSync(`/sys/bus/pci/devices/${bdf}/nvme`);
  ok(name !== undefined, 'the kernel drives it');
  return `/dev/${name}`;
}

interface AdminCommand {
  readonly opcode: number;
  readonly cdw10: number;
  readonly cdw11?: number;
  readonly length?: number;
}

/** An admin command by way of the kernel's driver. Returns the data; fails on any status but success. */
export function admin(fd: number, { opcode, cdw10, cdw11 = 0, length = 0 }: AdminCommand): Buffer {
  const data = Buffer.alloc(length);
  const command = Buffer.alloc(72);
  command.writeUInt8(opcode, 0);
  if (length > 0) command.writeBigUInt64LE(libc().addressOf(data), 24);
  command.writeUInt32LE(length, 36);
  command.writeUInt32LE(cdw10 >>> 0, 40);
  command.writeUInt32LE(cdw11, 44);
  const status = libc().ioctl(fd, NVME_IOCTL_ADMIN_CMD, command, 'NVME_IOCTL_ADMIN_CMD');
  equal(status, 0, `admin command ${opcode.toString(16)}, ${cdw10.toString(16)}: status`);
  return data;
}

export interface Secondary {
  readonly id: number;
  readonly isOnline: boolean;
  /** 1 for the first virtual function. */
  readonly vf: number;
}

/** 5.17.2.16, Secondary Controller List. */
export function secondaries(fd: number): Secondary[] {
  const list = admin(fd, { opcode: OPCODE.identify, cdw10: CNS.secondary, length: 4096 });
  return Array.from({ length: list.readUInt8(0) }, (_, i) => {
    const at = 32 + 32 * i;
    return {
      id: list.readUInt16LE(at),
      isOnline: (list.readUInt8(at + 4) & 1) !== 0,
      vf: list.readUInt16LE(at + 8),
    };
  });
}

/** 5.28, Virtualization Management: actions, and the kinds of resources. */
const ACTION = { primaryFlexible: 1, assign: 8, online: 9 } as const;
const RESOURCE = { queues: 0, interrupts: 1 } as const;

function manage(fd: number, id: number, action: number, resource = 0, count = 0): void {
  const cdw10 = action | (resource << 8) | (id << 16);
  admin(fd, { opcode: OPCODE.virtualisation, cdw10, cdw11: count });
}

/** Gives the first `count` secondary controllers two queues and a vector each, and has them online. */
export function bringOnline(bdf: string, count: number): Secondary[] {
  const fd = openSync(nvmeNode(bdf), 'r');
  manage(fd, 0, ACTION.primaryFlexible, RESOURCE.interrupts, 0);
  manage(fd, 0, ACTION.primaryFlexible, RESOURCE.queues, 0);
  const chosen = secondaries(fd).filter(({ vf }) => vf >= 1 && vf <= count);
  deepEqual(
    chosen.map(({ vf }) => vf),
    Array.from({ length: count }, (_, i) => i + 1),
  );
  for (const { id } of chosen) {
    manage(fd, id, ACTION.assign, RESOURCE.interrupts, 1);
    manage(fd, id, ACTION.assign, RESOURCE.queues, 2);
    manage(fd, id, ACTION.online);
  }
  return secondaries(fd);
}
