/**
 * What the operators say about vendors, in one field at the top level of the signed targets:
 * which hardware a vendor may bind, and with which keys it speaks to the service. It does not
 * stand inside the delegations, where other clients would drop it as unknown.
 */

import type { PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import {
  coversDevice,
  coversModel,
  formatHardwareId,
  type HardwareId,
  mayBeOf,
  parseHardwareId,
  type SomeDevice,
} from './hardware-id.ts';
import { keyObject, parseKey } from './key.ts';
import { parseVendorName } from './names.ts';

export const EXTENSION_FIELD = 'x-ironport';

export interface Vendor {
  readonly name: string;
  readonly hardwareIds: readonly HardwareId[];
  /** Keys that sign requests to the service; never TUF keys, never evidence keys. */
  readonly apiKeys: readonly PublicKey[];
  /** Where to report a vulnerability. */
  readonly contact: string;
}

/**
 * Whether the operators gave the PCI device to the vendor, as far as it is known; to one without an entry
 * they gave nothing.
 */
export function speaksFor(vendor: Vendor | undefined, device: SomeDevice): boolean {
  return vendor?.hardwareIds.some((id) => mayBeOf(id, device)) === true;
}

/**
 * Throws `E_NOT_AUTHORISED` unless `vendor` was given the hardware: every device that `wanted` may be.
 * A vendor without an entry may bind nothing.
 */
export function verifyHardware(vendor: Vendor | undefined, name: string, wanted: SomeDevice): void {
  const ids = vendor?.hardwareIds ?? [];
  if (ids.some((id) => coversDevice(id, wanted))) return;
  const device = formatHardwareId({ bus: 'PCI', vendor: wanted.vendor, device: wanted.device });
  const isWider = ids.some((id) => coversModel(id, wanted));
  throw new IronError('E_NOT_AUTHORISED', `${name} may not speak for the hardware ${device}`, {
    why: `the signed targets give it ${ids.map(formatHardwareId).join(', ') || 'no hardware at all'}${
      isWider ? ', and more than that is asked for' : ''
    }`,
    hint: isWider
      ? 'nothing was changed; name the subsystem and the class that the operators named, too'
      : 'nothing was changed; the operators bind vendors to hardware ids when they admit them',
    context: { vendor: name, hardware: device },
  });
}

/** Vendors by name, from the signed part of the top-level targets. Absent field: no vendors. */
export function parseVendors(signed: Node): ReadonlyMap<string, Vendor> {
  const field = signed.maybe(EXTENSION_FIELD)?.maybe('vendors');
  return new Map((field?.entries() ?? []).map(([name, node]) => [name, parseVendor(name, node)]));
}

function parseVendor(name: string, node: Node): Vendor {
  const apiKeys = node
    .get('api_keys')
    .items(64)
    .map((item) => parseKey(item).publicKey);
  return {
    name: parseVendorName(name),
    hardwareIds: node
      .get('hardware_ids')
      .items(4096)
      .map((item) => parseHardwareId(item.string())),
    // A key of a kind that this program cannot use lets nobody in.
    apiKeys: apiKeys.filter((key) => key !== undefined),
    contact: node.get('contact').string(),
  };
}

/** The value of `x-ironport` in the top-level targets. */
export function vendorsField(vendors: Iterable<Vendor>): JsonObject {
  const entries = [...vendors].map(
    (vendor) =>
      [
        vendor.name,
        jsonObject([
          ['hardware_ids', vendor.hardwareIds.map(formatHardwareId)],
          ['api_keys', vendor.apiKeys.map(keyObject)],
          ['contact', vendor.contact],
        ]),
      ] as const,
  );
  return jsonObject([['vendors', jsonObject(entries)]]);
}
