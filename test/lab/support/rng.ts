/**
 * A virtio entropy device as an engine that writes into memory wherever it is told (virtio 1.2, 4.1
 * and 5.4), driven straight through its descriptor: PCI Express with error reporting, which `edu` is
 * not.
 */

import { equal, ok } from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { WindowMemory } from '../../../agent/host/memory.ts';
import type { VfioDevice } from '../../../agent/host/vfio-device.ts';

/** virtio 1.2, 4.1.4: where a structure is. */
interface Place {
  /** In the device's descriptor. */
  readonly at: number;
  /** Of the notifications' place alone. */
  readonly multiplier: number;
}

const VENDOR_SPECIFIC = 0x09;
const COMMON = 1;
const NOTIFY = 2;
/** 4.1.4.3: fields of the common configuration, and their widths. */
const FIELD = {
  featureSelect: [0x08, 4],
  feature: [0x0c, 4],
  status: [0x14, 1],
  queueSelect: [0x16, 2],
  queueSize: [0x18, 2],
  queueEnable: [0x1c, 2],
  queueNotifyOff: [0x1e, 2],
  queueDescriptors: [0x20, 4],
  queueDriver: [0x28, 4],
  queueDevice: [0x30, 4],
} as const;
const STATUS = { acknowledge: 1, driver: 2, driverOk: 4, featuresOk: 8 };
/** VIRTIO_F_VERSION_1 and VIRTIO_F_ACCESS_PLATFORM: bits 32 and 33. */
const FEATURES = 3;
const QUEUE = 8;
/** Where in the window the parts of the queue are, and what the device fills. */
const AT = { descriptors: 0, driver: 0x400, device: 0x800, buffer: 0x1000 };
const DEVICE_WRITES = 2;

export class Rng {
  readonly #vfio: VfioDevice;
  readonly #memory: WindowMemory;
  readonly #common: Place;
  readonly #notify: Place;
  #asked = 0;

  /** `memory`: two pages that the device may write, the first of which it may read too. */
  constructor(vfio: VfioDevice, memory: WindowMemory) {
    this.#vfio = vfio;
    this.#memory = memory;
    this.#common = this.#place(COMMON);
    this.#notify = this.#place(NOTIFY);
  }

  /** 3.1.1: from a reset to a queue that is in use. */
  async begin(): Promise<void> {
    this.#write('status', 0);
    while (this.#read('status') !== 0) await setImmediate();
    this.#write('status', STATUS.acknowledge | STATUS.driver);
    this.#write('featureSelect', 0);
    this.#write('feature', 0);
    this.#write('featureSelect', 1);
    this.#write('feature', FEATURES);
    const until = STATUS.acknowledge | STATUS.driver | STATUS.featuresOk;
    this.#write('status', until);
    equal(this.#read('status'), until, 'the device goes through the IOMMU');
    writeSync(this.#memory.fd, Buffer.alloc(AT.buffer), 0, AT.buffer, 0);
    this.#asked = 0;
    const { start } = this.#memory.window;
    this.#write('queueSelect', 0);
    this.#write('queueSize', QUEUE);
    this.#write64('queueDescriptors', start + BigInt(AT.descriptors));
    this.#write64('queueDriver', start + BigInt(AT.driver));
    this.#write64('queueDevice', start + BigInt(AT.device));
    this.#write('queueEnable', 1);
    this.#write('status', until | STATUS.driverOk);
  }

  /** Asks for `length` bytes at the beginning of the second page; when they come, they come. */
  ask(length: number): void {
    const entry = Buffer.alloc(16);
    entry.writeBigUInt64LE(this.#memory.window.start + BigInt(AT.buffer), 0);
    entry.writeUInt32LE(length, 8);
    entry.writeUInt16LE(DEVICE_WRITES, 12);
    this.#put(entry, AT.descriptors);
    // 2.7.6: flags, the index, and which descriptor is next; it is always the first.
    this.#asked = (this.#asked + 1) & 0xffff;
    const index = Buffer.alloc(2);
    index.writeUInt16LE(this.#asked);
    this.#put(index, AT.driver + 2);
    const queue = Buffer.alloc(2);
    const off = this.#read('queueNotifyOff') * this.#notify.multiplier;
    writeSync(this.#vfio.fd, queue, 0, 2, this.#notify.at + off);
  }

  fill(bytes: Buffer): void {
    this.#put(bytes, AT.buffer);
  }

  filled(length: number): Buffer {
    const bytes = Buffer.alloc(length);
    equal(readSync(this.#memory.fd, bytes, 0, length, AT.buffer), length);
    return bytes;
  }

  #put(bytes: Buffer, at: number): void {
    equal(writeSync(this.#memory.fd, bytes, 0, bytes.length, at), bytes.length);
  }

  /** 4.1.4: capabilities of the vendor's own kind say what is where. */
  #place(kind: number): Place {
    const config = this.#vfio.readConfig(0, 256);
    for (let at = config.readUInt8(0x34); at !== 0; at = config.readUInt8(at + 1)) {
      if (config.readUInt8(at) !== VENDOR_SPECIFIC || config.readUInt8(at + 3) !== kind) continue;
      const { offset } = this.#vfio.region(config.readUInt8(at + 4));
      const multiplier = kind === NOTIFY ? config.readUInt32LE(at + 16) : 0;
      return { at: Number(offset) + config.readUInt32LE(at + 8), multiplier };
    }
    ok(false, `the device has no structure of kind ${kind}`);
  }

  #read(field: keyof typeof FIELD): number {
    const [offset, width] = FIELD[field];
    const bytes = Buffer.alloc(4);
    equal(readSync(this.#vfio.fd, bytes, 0, width, this.#common.at + offset), width);
    return bytes.readUInt32LE();
  }

  #write(field: keyof typeof FIELD, value: number, more = 0): void {
    const [offset, width] = FIELD[field];
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    const at = this.#common.at + offset + more;
    equal(writeSync(this.#vfio.fd, bytes, 0, width, at), width);
  }

  /** 4.1.3.1: a field of 64 bits is written in halves. */
  #write64(field: 'queueDescriptors' | 'queueDriver' | 'queueDevice', value: bigint): void {
    this.#write(field, Number(value & 0xffff_ffffn));
    this.#write(field, Number(value >> 32n), 4);
  }
}
