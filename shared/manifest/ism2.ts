/**
 * Reading ISM2 blobs. IronShim-rs reads leniently: what follows the end, overlaps or runs past
 * the address space passes there. Here `parseIsm2` refuses it, and it is what every decision
 * rests on; `inspectIsm2` shows it, for people who have to find out what a blob says.
 */

import { IronError } from '../errors.ts';
import { MANIFEST_LIMITS } from '../limits.ts';
import { type Objection, objectionError, windowObjections } from './objections.ts';
import {
  ISM2_HEADER_LENGTH,
  ISM2_MAGIC,
  type MmioRegion,
  malformations,
  type PortRange,
  type ResourceManifest,
} from './resource-manifest.ts';

export interface Inspected {
  /** What the blob says, good or bad. No window is revoked: blobs have no flags for it. */
  readonly manifest: ResourceManifest;
  readonly objections: readonly Objection[];
}

/**
 * The manifest in an ISM2 blob. Throws `E_MANIFEST_TRAILING`, `E_MANIFEST_OVERFLOW` or
 * `E_MANIFEST_OVERLAP`, naming the first bad window, and `E_MANIFEST` on everything else that is
 * not a well-formed blob.
 */
export function parseIsm2(blob: Uint8Array): ResourceManifest {
  const { manifest, objections } = inspectIsm2(blob);
  const [first] = objections;
  if (first !== undefined) throw objectionError(first);
  return manifest;
}

/**
 * What an ISM2 blob says, and every objection to it in the order in which the strict reader looks.
 * Throws `E_MANIFEST` only when it cannot be read: no ISM2, cut off, or more than 8 windows.
 */
export function inspectIsm2(blob: Uint8Array): Inspected {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  if (blob.length < ISM2_HEADER_LENGTH) {
    throw malformed(`${blob.length} bytes, and the header alone has ${ISM2_HEADER_LENGTH}`);
  }
  if (view.getUint32(0, true) !== ISM2_MAGIC) throw malformed('it does not begin with "ISM2"');
  const mmioLength = view.getUint16(20, true);
  const portsLength = view.getUint16(22, true);
  if (mmioLength > MANIFEST_LIMITS.mmio || portsLength > MANIFEST_LIMITS.ports) {
    throw malformed(
      `${mmioLength} MMIO and ${portsLength} port windows where at most 8 and 8 are read`,
    );
  }
  const portsAt = ISM2_HEADER_LENGTH + 16 * mmioLength;
  const end = portsAt + 4 * portsLength;
  if (blob.length < end) throw malformed(`${blob.length} bytes where its counts make ${end}`);

  const mmio = Array.from({ length: mmioLength }, (_, i): MmioRegion => {
    const at = ISM2_HEADER_LENGTH + 16 * i;
    return {
      base: view.getBigUint64(at, true),
      size: view.getBigUint64(at + 8, true),
      revoked: false,
    };
  });
  const ports = Array.from({ length: portsLength }, (_, i): PortRange => {
    const at = portsAt + 4 * i;
    return { port: view.getUint16(at, true), count: view.getUint16(at + 2, true), revoked: false };
  });
  const manifest: ResourceManifest = {
    driverId: view.getBigUint64(4, true),
    iommuDomain: view.getUint32(12, true),
    bindingNonce: view.getUint32(16, true),
    mmio,
    ports,
  };
  const objections = [...malformations(manifest), ...windowObjections(manifest)];
  if (blob.length > end) objections.unshift(trailing(blob.length - end));
  return { manifest, objections };
}

function malformed(what: string): IronError {
  return new IronError('E_MANIFEST', `not an ISM2 blob that can be read: ${what}`);
}

function trailing(count: number): Objection {
  const message = `${count} ${count === 1 ? 'byte follows' : 'bytes follow'} the last window of the blob`;
  return { code: 'E_MANIFEST_TRAILING', window: null, message };
}
