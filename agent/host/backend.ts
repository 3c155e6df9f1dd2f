/**
 * What the two ways to hold a device through VFIO have in common. iommufd is the newer one; the
 * container is all that many kernels have. To what is above, they behave alike: a device that was
 * opened reaches no memory, one that is attached reaches what was mapped, and after `detach` nothing.
 */

import type { DmaAccess } from '../../shared/manifest/ceiling.ts';
import type { Window } from '../../shared/manifest/windows.ts';

export const BACKENDS = ['iommufd', 'container'] as const;
export type BackendName = (typeof BACKENDS)[number];

/** Memory of this process that the device is to see. */
export interface Mapping {
  /** I/O virtual addresses. */
  readonly window: Window;
  /** What the device may do with it. */
  readonly access: DmaAccess;
  /** Address in this process; a whole page. */
  readonly address: bigint;
}

/** What the IOMMU lets a device address. */
export interface Reach {
  readonly ranges: readonly Window[];
  /** Mappings are made of these: a window that is not would be widened. */
  readonly pageSize: bigint;
}

/**
 * A device and the one address space that is its own. Owned by whoever opened it; nobody else may
 * hold the descriptors by which it is attached and mapped.
 */
export interface DeviceSpace {
  readonly backend: BackendName;
  /** The device's descriptor: whoever holds it commands the whole device. */
  readonly device: number;
  readonly isAttached: boolean;
  attach(): void;
  /** The device reaches nothing any more, whatever is mapped. Not an error when it is detached. */
  detach(): void;
  /** To be asked again after every attach: attaching narrows it. */
  reach(): Reach;
  map(mapping: Mapping): void;
  unmap(window: Window): void;
  unmapAll(): void;
  /** Gives everything back, whatever the state. */
  close(): void;
}
