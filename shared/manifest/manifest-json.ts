/** A resource manifest as a JSON object: the form that people write and that test vectors have. */

import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import type { JsonObject } from '../json/value.ts';
import { MANIFEST_LIMITS } from '../limits.ts';
import { hexU64, readU64 } from './numbers.ts';
import {
  checkManifest,
  type MmioRegion,
  type PortRange,
  type ResourceManifest,
} from './resource-manifest.ts';

/** What a vector says beside its input. Allowed so that one can be fed in whole; not believed. */
const RESULTS = [
  'canonical',
  'sha256',
  'ism2',
  'ism2_sha256_of_parsed',
  'well_formed',
  'warnings',
] as const;

/** Reads the text of one such object. `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`, `E_MANIFEST`. */
export function parseManifestJson(bytes: Uint8Array): ResourceManifest {
  return parseManifest(
    new Node(parseJson(bytes, { length: MANIFEST_LIMITS.document }), 'manifest'),
  );
}

/** Reads `{driver_id, iommu_domain, binding_nonce, mmio, ports}`. `E_SCHEMA`, `E_MANIFEST`. */
export function parseManifest(node: Node): ResourceManifest {
  node.only('driver_id', 'iommu_domain', 'binding_nonce', 'mmio', 'ports', ...RESULTS);
  return checkManifest({
    driverId: readU64(node.get('driver_id')),
    iommuDomain: node.get('iommu_domain').integer(0, 0xffff_ffff),
    bindingNonce: node.get('binding_nonce').integer(0, 0xffff_ffff),
    mmio: node.get('mmio').items().map(parseMmio),
    ports: node.get('ports').items().map(parsePorts),
  });
}

function parseMmio(node: Node): MmioRegion {
  node.only('base', 'size', 'revoked');
  return {
    base: readU64(node.get('base')),
    size: readU64(node.get('size')),
    revoked: node.maybe('revoked')?.boolean() ?? false,
  };
}

function parsePorts(node: Node): PortRange {
  node.only('port', 'count', 'revoked');
  return {
    port: node.get('port').integer(0, 0xffff),
    count: node.get('count').integer(0, 0xffff),
    revoked: node.maybe('revoked')?.boolean() ?? false,
  };
}

/** The object form of `manifest`, which `parseManifest` reads back. */
export function manifestJson(manifest: ResourceManifest): JsonObject {
  return {
    driver_id: hexU64(manifest.driverId),
    iommu_domain: manifest.iommuDomain,
    binding_nonce: manifest.bindingNonce,
    mmio: manifest.mmio.map(({ base, size, revoked }) => ({
      base: hexU64(base),
      size: hexU64(size),
      revoked,
    })),
    ports: manifest.ports.map(({ port, count, revoked }) => ({ port, count, revoked })),
  };
}
