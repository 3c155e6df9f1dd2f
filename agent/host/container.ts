/** A device held through its group and a container of its own: VFIO's first interface, type 1. */

import { closeSync, openSync } from 'node:fs';
import { IronError } from '../../shared/errors.ts';
import type { Window } from '../../shared/manifest/windows.ts';
import { windowLength } from '../../shared/manifest/windows.ts';
import type { DeviceSpace, Mapping, Reach } from './backend.ts';
import { libc } from './libc.ts';
import { decode, decode64, encode } from './struct.ts';
import {
  CONTAINER,
  DMA_MAP_FLAGS,
  DMA_UNMAP_ALL,
  GROUP_FLAGS,
  REQUESTS,
  STRUCTS,
  TYPE_INFO,
} from './uapi.ts';

export const CONTAINER_NODE = '/dev/vfio/vfio';
/** The kernel's answers about an IOMMU are some hundred bytes; one that says more is not believed. */
const MOST_INFO = 65_536;

/**
 * Opens the device `bdf` of the group at `node` (`/dev/vfio/12`), with an empty table: it reaches
 * nothing. The kernel gives a group's devices only once the group is in a container with an IOMMU,
 * so that attaching is part of opening; `attach` and `detach` move the table in and out.
 */
export function openContainer(node: string, bdf: string): DeviceSpace {
  return new ContainerSpace(node, bdf);
}

class ContainerSpace implements DeviceSpace {
  readonly backend = 'container';
  readonly device: number;
  readonly #group: number;
  readonly #container: number;
  readonly #unmapAllAtOnce: boolean;
  /** What is mapped now; the kernel gives no list of it. */
  readonly #mapped = new Map<bigint, Mapping>();
  #isAttached = false;
  #isOpen = true;

  constructor(node: string, bdf: string) {
    this.#container = openSync(CONTAINER_NODE, 'r+');
    let group: number | undefined;
    try {
      this.#requireType1();
      group = openSync(node, 'r+');
      requireViable(group, node);
      const pointer = Buffer.alloc(4);
      pointer.writeInt32LE(this.#container);
      ask(group, 'VFIO_GROUP_SET_CONTAINER', pointer);
      ask(this.#container, 'VFIO_SET_IOMMU', CONTAINER.type1v2);
      this.#unmapAllAtOnce = this.#has(CONTAINER.unmapAll);
      this.#group = group;
      this.device = libc().ioctl(
        group,
        REQUESTS.VFIO_GROUP_GET_DEVICE_FD,
        Buffer.from(`${bdf}\0`),
        'VFIO_GROUP_GET_DEVICE_FD',
      );
    } catch (error) {
      if (group !== undefined) closeSync(group);
      closeSync(this.#container);
      throw error;
    }
  }

  #has(extension: number): boolean {
    return ask(this.#container, 'VFIO_CHECK_EXTENSION', extension) > 0;
  }

  #requireType1(): void {
    const version = ask(this.#container, 'VFIO_GET_API_VERSION', 0);
    if (version !== CONTAINER.apiVersion || !this.#has(CONTAINER.type1v2)) {
      throw new IronError('E_AGENT_REFUSED', 'the kernel has no IOMMU interface of type 1', {
        why: `API version ${version}`,
        hint: 'nothing was changed; load the module vfio_iommu_type1',
        context: { reason: 'no-type1' },
      });
    }
  }

  get isAttached(): boolean {
    return this.#isAttached;
  }

  attach(): void {
    for (const mapping of this.#mapped.values()) this.#enter(mapping);
    this.#isAttached = true;
  }

  detach(): void {
    this.#clear();
    this.#isAttached = false;
  }

  reach(): Reach {
    const { typeInfo } = STRUCTS;
    let bytes = encode(typeInfo, { argsz: typeInfo.size });
    ask(this.#container, 'VFIO_IOMMU_GET_INFO', bytes);
    const length = decode(typeInfo, bytes, 'argsz');
    if (length > MOST_INFO)
      throw new IronError('E_SCHEMA', `an answer of ${length} bytes about the IOMMU`);
    if (length > typeInfo.size) {
      bytes = encode(typeInfo, { argsz: length }, length - typeInfo.size);
      ask(this.#container, 'VFIO_IOMMU_GET_INFO', bytes);
    }
    const sizes = decode64(typeInfo, bytes, 'iova_pgsizes');
    const flags = decode(typeInfo, bytes, 'flags');
    const hasCaps = (flags & TYPE_INFO.caps) !== 0;
    return {
      ranges: hasCaps ? iovaRangesIn(bytes, decode(typeInfo, bytes, 'cap_offset')) : [],
      // A bit for each size: the lowest is the smallest page.
      pageSize: sizes & -sizes,
    };
  }

  map(mapping: Mapping): void {
    if (this.#isAttached) this.#enter(mapping);
    this.#mapped.set(mapping.window.start, mapping);
  }

  #enter({ window, access, address }: Mapping): void {
    const { dmaMap } = STRUCTS;
    const { read, write } = DMA_MAP_FLAGS;
    const argument = encode(dmaMap, {
      argsz: dmaMap.size,
      flags: (access === 'write' ? 0 : read) | (access === 'read' ? 0 : write),
      vaddr: address,
      iova: window.start,
      size: windowLength(window),
    });
    ask(this.#container, 'VFIO_IOMMU_MAP_DMA', argument);
  }

  unmap(window: Window): void {
    if (this.#isAttached) this.#leave(window);
    this.#mapped.delete(window.start);
  }

  #leave(window: Window): void {
    const { dmaUnmap } = STRUCTS;
    const size = windowLength(window);
    const argument = encode(dmaUnmap, { argsz: dmaUnmap.size, iova: window.start, size });
    ask(this.#container, 'VFIO_IOMMU_UNMAP_DMA', argument);
    // The kernel says how much it unmapped, and is content with less than was asked.
    const unmapped = decode64(dmaUnmap, argument, 'size');
    if (unmapped !== size)
      throw new IronError('E_IO', `${unmapped} of ${size} bytes were taken from the device`);
  }

  unmapAll(): void {
    this.#clear();
    this.#mapped.clear();
  }

  /** Takes everything from the device, also what we do not know of where the kernel can do that. */
  #clear(): void {
    if (this.#unmapAllAtOnce) {
      const { dmaUnmap } = STRUCTS;
      const argument = encode(dmaUnmap, { argsz: dmaUnmap.size, flags: DMA_UNMAP_ALL });
      ask(this.#container, 'VFIO_IOMMU_UNMAP_DMA', argument);
    } else if (this.#isAttached) {
      for (const { window } of this.#mapped.values()) this.#leave(window);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#isAttached = false;
    closeSync(this.device);
    // The last descriptor of the group takes it out of the container.
    closeSync(this.#group);
    closeSync(this.#container);
  }
}

function requireViable(group: number, node: string): void {
  const { groupStatus } = STRUCTS;
  const argument = encode(groupStatus, { argsz: groupStatus.size });
  ask(group, 'VFIO_GROUP_GET_STATUS', argument);
  const flags = decode(groupStatus, argument, 'flags');
  if ((flags & GROUP_FLAGS.viable) === 0) {
    throw new IronError('E_GROUP_SHARED', `the kernel does not call the group at ${node} viable`, {
      why: 'a device of the group is with a driver that maps memory of its own',
      hint: 'unbind the other devices of the group, or use a slot that isolates',
      context: { reason: 'group-not-viable' },
    });
  }
}

/** Walks the chain of capabilities; the offsets come from the kernel and are checked all the same. */
export function iovaRangesIn(bytes: Buffer, first: number): Window[] {
  const { capIovaRanges, iovaRange } = STRUCTS;
  for (let at = first, steps = 0; at !== 0 && steps < 64; steps++) {
    if (decode(capIovaRanges, bytes, 'id', at) === TYPE_INFO.capIovaRange) {
      const count = decode(capIovaRanges, bytes, 'nr_iovas', at);
      const list = at + capIovaRanges.size;
      if (list + count * iovaRange.size > bytes.length)
        throw new IronError('E_SCHEMA', `${count} ranges do not fit into the kernel's answer`);
      return Array.from({ length: count }, (_, i) => ({
        start: decode64(iovaRange, bytes, 'start', list + i * iovaRange.size),
        end: decode64(iovaRange, bytes, 'last', list + i * iovaRange.size) + 1n,
      }));
    }
    at = decode(capIovaRanges, bytes, 'next', at);
  }
  return [];
}

function ask(fd: number, request: keyof typeof REQUESTS, argument: Buffer | number): number {
  return libc().ioctl(fd, REQUESTS[request], argument, request);
}
