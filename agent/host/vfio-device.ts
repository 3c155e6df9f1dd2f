/** Commands to a device held through VFIO: its regions, configuration space, interrupts, reset. */

import { readSync, writeSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import { libc } from './libc.ts';
import { decode, decode64, encode } from './struct.ts';
import { DEVICE_FLAGS, IRQ, IRQ_SET, REGION, REQUESTS, STRUCTS } from './uapi.ts';

/** PCI 3.0, 6.2.2: the command register, and the bit that lets a device begin transactions. */
const COMMAND = 0x04;
const BUS_MASTER = 0x0004;

/** One of a device's regions, as a range of its descriptor. */
export interface Region {
  /** Where it begins in the descriptor. */
  readonly offset: bigint;
  readonly size: bigint;
}

export class VfioDevice {
  readonly fd: number;
  readonly #config: Region;

  constructor(fd: number) {
    this.fd = fd;
    this.#config = this.region(REGION.config);
  }

  get hasReset(): boolean {
    const { deviceInfo } = STRUCTS;
    const answer = this.#ask(
      'VFIO_DEVICE_GET_INFO',
      encode(deviceInfo, { argsz: deviceInfo.size }),
    );
    return (decode(deviceInfo, answer, 'flags') & DEVICE_FLAGS.reset) !== 0;
  }

  /** A region by its index (`REGION`); one that the device has not is of size 0. */
  region(index: number): Region {
    const { regionInfo } = STRUCTS;
    const argument = encode(regionInfo, { argsz: regionInfo.size, index });
    const answer = this.#ask('VFIO_DEVICE_GET_REGION_INFO', argument);
    return {
      offset: decode64(regionInfo, answer, 'offset'),
      size: decode64(regionInfo, answer, 'size'),
    };
  }

  /** Reads `length` bytes of configuration space. */
  readConfig(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    const count = readSync(this.fd, bytes, 0, length, this.#config.offset + BigInt(offset));
    if (count !== length) throw new IronError('E_IO', 'configuration space ended too early');
    return bytes;
  }

  /** Writes 16 bits of configuration space. */
  #writeConfig16(offset: number, value: number): void {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    writeSync(this.fd, bytes, 0, 2, Number(this.#config.offset) + offset);
  }

  get isBusMaster(): boolean {
    return (this.readConfig(COMMAND, 2).readUInt16LE() & BUS_MASTER) !== 0;
  }

  /** Lets the device begin transactions, or forbids it; `E_IO` when it does not read back so. */
  setBusMaster(on: boolean): void {
    const command = this.readConfig(COMMAND, 2).readUInt16LE();
    this.#writeConfig16(COMMAND, on ? command | BUS_MASTER : command & ~BUS_MASTER);
    if (this.isBusMaster !== on)
      throw new IronError('E_IO', `bus mastering did not turn ${on ? 'on' : 'off'}`);
  }

  /** Resets the function. False when the device offers no way. */
  reset(): boolean {
    if (!this.hasReset) return false;
    libc().ioctl(this.fd, REQUESTS.VFIO_DEVICE_RESET, 0, 'VFIO_DEVICE_RESET');
    return true;
  }

  /** How many vectors an interrupt index has; 0 when the device has not that kind. */
  vectors(index: number): number {
    const { irqInfo } = STRUCTS;
    const argument = encode(irqInfo, { argsz: irqInfo.size, index });
    try {
      return decode(irqInfo, this.#ask('VFIO_DEVICE_GET_IRQ_INFO', argument), 'count');
    } catch (error) {
      // vfio-pci says this of the error index on a device that is not PCI Express.
      if (index === IRQ.error && isErrno(error) && error.code === 'EINVAL') return 0;
      throw error;
    }
  }

  /** Has the kernel signal these event descriptors, from vector 0 on. */
  setEvents(index: number, eventfds: readonly number[]): void {
    const { irqSet } = STRUCTS;
    const tail = 4 * eventfds.length;
    const argument = encode(
      irqSet,
      {
        argsz: irqSet.size + tail,
        flags: IRQ_SET.dataEventfd | IRQ_SET.actionTrigger,
        index,
        count: eventfds.length,
      },
      tail,
    );
    for (const [i, fd] of eventfds.entries()) argument.writeInt32LE(fd, irqSet.size + 4 * i);
    this.#ask('VFIO_DEVICE_SET_IRQS', argument);
  }

  /**
   * Disables every kind of interrupt, whoever enabled it. MSI cannot be masked through VFIO (ENOTTY),
   * so that this is also the brake of an interrupt storm.
   */
  disableInterrupts(): void {
    const { irqSet } = STRUCTS;
    const flags = IRQ_SET.dataNone | IRQ_SET.actionTrigger;
    for (const index of [IRQ.intx, IRQ.msi, IRQ.msix]) {
      try {
        this.#ask('VFIO_DEVICE_SET_IRQS', encode(irqSet, { argsz: irqSet.size, flags, index }));
      } catch (error) {
        // What vfio-pci says of a kind that is not enabled, or that the device has not.
        if (!(isErrno(error) && error.code === 'EINVAL')) throw error;
      }
    }
  }

  #ask(request: keyof typeof REQUESTS, argument: Buffer): Buffer {
    libc().ioctl(this.fd, REQUESTS[request], argument, request);
    return argument;
  }
}
