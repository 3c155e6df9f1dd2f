/**
 * IronShim's `ResourceManifest`: which addresses and ports a driver may touch, and its two byte
 * forms, bit for bit those of IronShim-rs. The canonical form is what is hashed; it carries the
 * revocation flags. The ISM2 blob is what a kernel loads; it does not. Both are little-endian.
 *
 * IronShim-rs encodes windows that overlap or run past the address space, and so does this; they
 * earn objections. ism2.ts reads, and its strict form refuses them.
 */

import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import { MANIFEST_LIMITS } from '../limits.ts';
import type { Objection } from './objections.ts';
import { ADDRESS_SPACE } from './windows.ts';

export interface MmioRegion {
  readonly base: bigint;
  /** Bytes, at least 1. */
  readonly size: bigint;
  readonly revoked: boolean;
}

export interface PortRange {
  readonly port: number;
  /** Ports, at least 1. */
  readonly count: number;
  readonly revoked: boolean;
}

export interface ResourceManifest {
  /** 64 bits, never 0. */
  readonly driverId: bigint;
  /** 32 bits, never 0. */
  readonly iommuDomain: number;
  /** 32 bits. */
  readonly bindingNonce: number;
  readonly mmio: readonly MmioRegion[];
  readonly ports: readonly PortRange[];
}

/** What IronShim-rs refuses to construct, each a bare fact of one manifest. */
export function* malformations(manifest: ResourceManifest): Generator<Objection> {
  const bad = (message: string, window: string | null = null): Objection => ({
    code: 'E_MANIFEST',
    window,
    message,
  });
  // IronShim-rs ResourceScope::new
  if (manifest.driverId === 0n) yield bad('the driver id is 0');
  if (manifest.iommuDomain === 0) yield bad('the IOMMU domain is 0');
  // IronShim-rs MmioRegion::new, IoPortRange::new
  for (const [i, region] of manifest.mmio.entries()) {
    if (region.size === 0n) yield bad(`mmio[${i}] has no size`, `mmio[${i}]`);
  }
  for (const [i, range] of manifest.ports.entries()) {
    if (range.count === 0) yield bad(`ports[${i}] has no count`, `ports[${i}]`);
  }
}

/**
 * `manifest` itself, when both encodings can hold it. Throws `E_MANIFEST` for what IronShim-rs
 * does not construct: driver 0, domain 0, empty windows, more than 8 of a kind, too many bits.
 */
export function checkManifest(manifest: ResourceManifest): ResourceManifest {
  const { mmio, ports } = manifest;
  // IronShim-rs ResourceManifest<MMIO = 8, PORTS = 8>
  if (mmio.length > MANIFEST_LIMITS.mmio || ports.length > MANIFEST_LIMITS.ports) {
    const found = `${mmio.length} MMIO and ${ports.length} port windows`;
    throw new IronError('E_MANIFEST', `${found} where a resource manifest holds 8 and 8`, {
      context: { mmio: mmio.length, ports: ports.length },
    });
  }
  for (const { message } of malformations(manifest)) throw new IronError('E_MANIFEST', message);
  const u64 = [manifest.driverId, ...mmio.flatMap((m) => [m.base, m.size])];
  const u32 = [manifest.iommuDomain, manifest.bindingNonce];
  const u16 = ports.flatMap((p) => [p.port, p.count]);
  const fits = (value: number, most: number): boolean =>
    Number.isInteger(value) && value >= 0 && value <= most;
  if (
    !u64.every((value) => value >= 0n && value < ADDRESS_SPACE) ||
    !u32.every((value) => fits(value, 0xffff_ffff)) ||
    !u16.every((value) => fits(value, 0xffff))
  ) {
    throw new IronError('E_MANIFEST', 'a number of the manifest does not fit its field');
  }
  return manifest;
}

/** The bytes that the hash covers: 20 + 17 an MMIO window + 5 a port window. `E_MANIFEST`. */
export function canonicalBytes(manifest: ResourceManifest): Uint8Array {
  const { mmio, ports } = checkManifest(manifest);
  const writer = new Writer(20 + 17 * mmio.length + 5 * ports.length);
  writeScope(writer, manifest);
  for (const { base, size, revoked } of mmio)
    writer
      .u64(base)
      .u64(size)
      .u8(revoked ? 1 : 0);
  for (const { port, count, revoked } of ports)
    writer
      .u16(port)
      .u16(count)
      .u8(revoked ? 1 : 0);
  return writer.bytes;
}

/** `"ISM2"` as the four bytes of a blob's beginning. */
export const ISM2_MAGIC = 0x324d_5349;
export const ISM2_HEADER_LENGTH = 24;

/** The blob that a kernel loads: 24 + 16 an MMIO window + 4 a port window. `E_MANIFEST`. */
export function ism2Bytes(manifest: ResourceManifest): Uint8Array {
  const { mmio, ports } = checkManifest(manifest);
  const writer = new Writer(ISM2_HEADER_LENGTH + 16 * mmio.length + 4 * ports.length);
  writeScope(writer.u32(ISM2_MAGIC), manifest);
  for (const { base, size } of mmio) writer.u64(base).u64(size);
  for (const { port, count } of ports) writer.u16(port).u16(count);
  return writer.bytes;
}

/** SHA-256 of the canonical bytes, in hexadecimal: the manifest's name everywhere. */
export function manifestSha256(manifest: ResourceManifest, crypto: Crypto): string {
  return toHex(crypto.sha256(canonicalBytes(manifest)));
}

/** The fields that both forms begin with. */
function writeScope(writer: Writer, manifest: ResourceManifest): void {
  writer
    .u64(manifest.driverId)
    .u32(manifest.iommuDomain)
    .u32(manifest.bindingNonce)
    .u16(manifest.mmio.length)
    .u16(manifest.ports.length);
}

/** Little-endian numbers one after the other into bytes of a length known before. */
class Writer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  u8(value: number): this {
    this.#view.setUint8(this.#next(1), value);
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.#next(2), value, true);
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#next(4), value, true);
    return this;
  }

  u64(value: bigint): this {
    this.#view.setBigUint64(this.#next(8), value, true);
    return this;
  }

  #next(width: number): number {
    this.#at += width;
    return this.#at - width;
  }
}
