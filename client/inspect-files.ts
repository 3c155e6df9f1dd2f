/** What our other files say: bundles, ceilings, bills of materials, and the public part of key files. */

import { toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import type { Sbom } from '../shared/evidence/sbom.ts';
import { parseSpdx } from '../shared/evidence/spdx.ts';
import type { Node } from '../shared/json/decode.ts';
import { parseCeiling } from '../shared/manifest/ceiling.ts';
import { parsePublicHalf } from '../shared/node/signers/key-file.ts';
import { formatInstant } from '../shared/time.ts';
import { formatHardwareId } from '../shared/tuf/hardware-id.ts';
import { keyId } from '../shared/tuf/key.ts';
import { type BundleIndex, isMetadata } from './bundle/format.ts';

type Facts = (readonly [string, string])[];

export function bundleFacts({ created, artifacts, files }: BundleIndex): Facts {
  const bytes = files.reduce((sum, { length }) => sum + length, 0);
  return [
    ['created', `${formatInstant(created)}, as it says itself`],
    ...artifacts.map((path) => ['artifact', path] as const),
    ['files', `${files.length}, ${bytes} bytes`],
    ...files.map(
      ({ path, length }) =>
        [isMetadata(path) ? 'metadata' : 'target', `${path}, ${length} bytes`] as const,
    ),
  ];
}

/** A ceiling as the most that a driver may be granted; throws on one that is none. */
export function ceilingFacts(predicate: Node): Facts {
  const { devices, bars, ports, interrupts, dma, abi, generation } = parseCeiling(predicate);
  const hex = (value: bigint): string => `0x${value.toString(16)}`;
  return [
    ...devices.map(
      ({ vendor, device }) => ['device', formatHardwareId({ bus: 'PCI', vendor, device })] as const,
    ),
    ...bars.map(
      ({ index, window, access }) =>
        ['BAR', `${index}: ${hex(window.start)} up to ${hex(window.end)}, ${access}`] as const,
    ),
    ...ports.map(({ start, end }) => ['ports', `${hex(start)} up to ${hex(end)}`] as const),
    [
      'interrupts',
      `${interrupts.kind}, ${interrupts.vectors} vectors, ${interrupts.perSecondBudget} a second`,
    ],
    ['DMA', `${dma.maskBits} bits, ${dma.totalBytes} bytes, ${dma.direction}`],
    ['ABI', `${abi.min} to ${abi.max}`],
    ['generation', String(generation)],
  ];
}

export function spdxFacts(bytes: Uint8Array): Facts {
  const document = parseSpdx(bytes);
  return [
    ['name', document.name],
    ['namespace', document.namespace],
    ['created', formatInstant(document.created)],
    ...sbomFacts(document),
  ];
}

/** What every format of bills of materials says. */
export function sbomFacts({ format, described, packages }: Sbom): Facts {
  return [
    ['format', format],
    ['packages', String(packages.length)],
    ...described.flatMap(
      (element): Facts => [
        ['describes', element.name],
        ...[...element.checksums].map(([algorithm, value]) => [algorithm, value] as const),
      ],
    ),
  ];
}

/** The private half of a key file is not even looked at for what is shown. */
export function keyFacts(crypto: Crypto, bytes: Uint8Array, form: string): Facts {
  const key = parsePublicHalf(bytes);
  return [
    ['scheme', key.scheme],
    ['key id', keyId(crypto, key)],
    ['public key', toHex(key.bytes)],
    ['private half', form],
  ];
}
