/** A device held through iommufd: a context of its own, with one address space in it. */

import { closeSync, openSync } from 'node:fs';
import type { Window } from '../../shared/manifest/windows.ts';
import { windowLength } from '../../shared/manifest/windows.ts';
import { isErrno } from '../../shared/node/errno.ts';
import type { DeviceSpace, Mapping, Reach } from './backend.ts';
import { libc } from './libc.ts';
import { decode, decode64, encode } from './struct.ts';
import { IOAS_MAP_FLAGS, REQUESTS, STRUCTS } from './uapi.ts';

export const IOMMU_NODE = '/dev/iommu';
/** How many ranges of addresses are asked for at first; the kernel says when there are more. */
const RANGES = 64;

/** Opens the device at `node` (`/dev/vfio/devices/vfio0`) in a new context, attached to nothing. */
export function openIommufd(node: string): DeviceSpace {
  return new IommufdSpace(node);
}

class IommufdSpace implements DeviceSpace {
  readonly backend = 'iommufd';
  readonly device: number;
  readonly #context: number;
  readonly #ioas: number;
  #isAttached = false;
  #isOpen = true;

  constructor(node: string) {
    this.#context = openSync(IOMMU_NODE, 'r+');
    let device: number | undefined;
    try {
      device = openSync(node, 'r+');
      const { bindIommufd, ioas } = STRUCTS;
      // Until it is bound to a context, a device answers EINVAL to everything else.
      ask(
        device,
        'VFIO_DEVICE_BIND_IOMMUFD',
        encode(bindIommufd, { argsz: bindIommufd.size, iommufd: this.#context }),
      );
      const made = ask(this.#context, 'IOMMU_IOAS_ALLOC', encode(ioas, { size: ioas.size }));
      this.device = device;
      this.#ioas = decode(ioas, made, 'out_ioas_id');
    } catch (error) {
      if (device !== undefined) closeSync(device);
      closeSync(this.#context);
      throw error;
    }
  }

  get isAttached(): boolean {
    return this.#isAttached;
  }

  attach(): void {
    const { attachPt } = STRUCTS;
    const argument = encode(attachPt, { argsz: attachPt.size, pt_id: this.#ioas });
    ask(this.device, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', argument);
    this.#isAttached = true;
  }

  detach(): void {
    const { detachPt } = STRUCTS;
    ask(this.device, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', encode(detachPt, { argsz: detachPt.size }));
    this.#isAttached = false;
  }

  reach(): Reach {
    const { iovaRanges, iovaRange } = STRUCTS;
    for (let room = RANGES; ; ) {
      const list = Buffer.alloc(room * iovaRange.size);
      const argument = encode(iovaRanges, {
        size: iovaRanges.size,
        ioas_id: this.#ioas,
        num_iovas: room,
        allowed_iovas: libc().addressOf(list),
      });
      try {
        ask(this.#context, 'IOMMU_IOAS_IOVA_RANGES', argument);
      } catch (error) {
        const more = decode(iovaRanges, argument, 'num_iovas');
        // EMSGSIZE comes with the number that there are.
        if (!(isErrno(error) && error.code === 'EMSGSIZE') || more <= room || more > 65_536)
          throw error;
        room = more;
        continue;
      }
      const count = decode(iovaRanges, argument, 'num_iovas');
      const ranges = Array.from({ length: count }, (_, i) => ({
        start: decode64(iovaRange, list, 'start', i * iovaRange.size),
        end: decode64(iovaRange, list, 'last', i * iovaRange.size) + 1n,
      }));
      return { ranges, pageSize: decode64(iovaRanges, argument, 'out_iova_alignment') };
    }
  }

  map({ window, access, address }: Mapping): void {
    const { ioasMap } = STRUCTS;
    const { fixedIova, readable, writable } = IOAS_MAP_FLAGS;
    const argument = encode(ioasMap, {
      size: ioasMap.size,
      // Without FIXED_IOVA the kernel would choose the address, and ignore ours in silence.
      flags: fixedIova | (access === 'write' ? 0 : readable) | (access === 'read' ? 0 : writable),
      ioas_id: this.#ioas,
      user_va: address,
      length: windowLength(window),
      iova: window.start,
    });
    ask(this.#context, 'IOMMU_IOAS_MAP', argument);
  }

  unmap(window: Window): void {
    this.#unmap(window.start, windowLength(window));
  }

  unmapAll(): void {
    try {
      this.#unmap(0n, (1n << 64n) - 1n);
    } catch (error) {
      // Nothing was mapped.
      if (!(isErrno(error) && error.code === 'ENOENT')) throw error;
    }
  }

  #unmap(iova: bigint, length: bigint): void {
    const { ioasUnmap } = STRUCTS;
    const argument = encode(ioasUnmap, { size: ioasUnmap.size, ioas_id: this.#ioas, iova, length });
    ask(this.#context, 'IOMMU_IOAS_UNMAP', argument);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#isAttached = false;
    // The device first: closing it detaches, and the context then has nothing that it would keep.
    closeSync(this.device);
    closeSync(this.#context);
  }
}

function ask(fd: number, request: keyof typeof REQUESTS, argument: Buffer): Buffer {
  libc().ioctl(fd, REQUESTS[request], argument, request);
  return argument;
}
