/**
 * The kernel's own records, from now on. Faults of the IOMMU are rate-limited, and the log forgets:
 * what was lost or suppressed is an event of its own, and confinement never depends on seeing one.
 */

import { closeSync, constants, openSync, readSync } from 'node:fs';
import { isErrno } from '../../shared/node/errno.ts';
import type { WatchEvent } from './event.ts';
import {
  isAbout,
  type KernelRecord,
  parseKernelRecord,
  readFault,
  readSuppressed,
} from './kernel-record.ts';

/** One read gives one record; the kernel's are no longer than this (kernel/printk/internal.h). */
const RECORD = 8192;
/** Records that are read in one go, so that a flood does not keep the brake waiting. */
const AT_ONCE = 256;

export class KernelLog {
  readonly #fd: number;
  readonly #device: string;
  /** Number of the last record. */
  #last: bigint | undefined;

  private constructor(fd: number, device: string) {
    this.#fd = fd;
    this.#device = device;
  }

  /** Opens it, and passes over what is there already; undefined without the right to read it. */
  static open(device: string, path = '/dev/kmsg'): KernelLog | undefined {
    let fd: number;
    try {
      fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (isErrno(error)) return undefined;
      throw error;
    }
    const log = new KernelLog(fd, device);
    try {
      while (log.read().length > 0 || log.#isMore) {
        // Old ones.
      }
      return log;
    } catch (error) {
      log.close();
      throw error;
    }
  }

  #isMore = false;
  #isClosed = false;

  /** What the records since then say about the device. */
  read(): WatchEvent[] {
    const events: WatchEvent[] = [];
    this.#isMore = false;
    for (let i = 0; i < AT_ONCE; i++) {
      const bytes = this.#next(events);
      if (bytes === 'none') return events;
      if (bytes !== 'lost') events.push(...this.#take(bytes));
    }
    this.#isMore = true;
    return events;
  }

  #next(events: WatchEvent[]): Uint8Array | 'none' | 'lost' {
    const buffer = Buffer.alloc(RECORD);
    try {
      const length = readSync(this.#fd, buffer, 0, RECORD, null);
      return length === 0 ? 'none' : buffer.subarray(0, length);
    } catch (error) {
      if (isErrno(error) && error.code === 'EAGAIN') return 'none';
      // Documentation/ABI/testing/dev-kmsg: records were overwritten; reading goes on after them.
      if (isErrno(error) && error.code === 'EPIPE') {
        events.push({ kind: 'records-lost', what: 'records of the kernel were overwritten' });
        this.#last = undefined;
        return 'lost';
      }
      throw error;
    }
  }

  #take(bytes: Uint8Array): WatchEvent[] {
    let record: KernelRecord;
    try {
      record = parseKernelRecord(bytes);
    } catch {
      return [{ kind: 'records-lost', what: 'a record of the kernel could not be read' }];
    }
    const events = recordEvents(record, this.#last, this.#device);
    this.#last = record.sequence;
    return events;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeSync(this.#fd);
  }
}

/** What one record says about a device, after the record numbered `last`. */
export function recordEvents(
  { sequence, isKernels, message }: KernelRecord,
  last: bigint | undefined,
  device: string,
): WatchEvent[] {
  const events: WatchEvent[] = [];
  const missing = last === undefined ? 0n : sequence - last - 1n;
  if (missing > 0n)
    events.push({ kind: 'records-lost', what: `${missing} records of the kernel are missing` });
  if (!isKernels) return events;
  const suppressed = readSuppressed(message);
  if (suppressed !== undefined)
    events.push({ kind: 'records-lost', what: `${suppressed} faults were not printed` });
  const fault = readFault(message);
  if (fault !== undefined && isAbout(fault, device)) {
    const { access, address, reason } = fault;
    const what = `${access} at 0x${address.toString(16)} was refused: ${reason}`;
    events.push({ kind: 'iommu-fault', what });
  }
  return events;
}
