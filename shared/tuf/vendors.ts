/**
 * What the operators say about vendors, in one field at the top level of the signed targets:
 * which hardware a vendor may bind, and with which keys it speaks to the service. It does not
 * stand inside the delegations, where other clients would drop it as unknown.
 */

import type { PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import { keyObject, parseKey } from './key.ts';
import { parseVendorName, quoted } from './names.ts';

export const EXTENSION_FIELD = 'x-ironport';

export interface Vendor {
  readonly name: string;
  readonly hardwareIds: readonly HardwareId[];
  /** Keys that sign requests to the service; never TUF keys, never evidence keys. */
  readonly apiKeys: readonly PublicKey[];
  /** Where to report a vulnerability. */
  readonly contact: string;
}

/** `PCI:0x1234`, or `PCI:0x1234:0x11e8` for one device of it. */
export interface HardwareId {
  readonly bus: 'PCI';
  readonly vendor: number;
  readonly device: number | undefined;
}

export function parseHardwareId(text: string): HardwareId {
  const match = /^PCI:0x([0-9a-f]{4})(?::0x([0-9a-f]{4}))?$/.exec(text);
  if (match === null) {
    throw new IronError('E_SCHEMA', `not a hardware id: ${quoted(text)}`, {
      hint: 'write PCI:0x1234 or PCI:0x1234:0x11e8',
    });
  }
  const device = match[2] === undefined ? undefined : Number.parseInt(match[2], 16);
  return { bus: 'PCI', vendor: Number.parseInt(match[1] as string, 16), device };
}

export function formatHardwareId(id: HardwareId): string {
  const hex = (n: number): string => `0x${n.toString(16).padStart(4, '0')}`;
  return id.device === undefined
    ? `${id.bus}:${hex(id.vendor)}`
    : `${id.bus}:${hex(id.vendor)}:${hex(id.device)}`;
}

/** Whether `id` speaks of the PCI device `vendor:device`. */
export function coversDevice(id: HardwareId, vendor: number, device: number): boolean {
  return id.vendor === vendor && (id.device === undefined || id.device === device);
}

/** Whether the operators gave the PCI device to the vendor; to one without an entry they gave nothing. */
export function speaksFor(
  vendor: Vendor | undefined,
  device: { readonly vendor: number; readonly device: number },
): boolean {
  return vendor?.hardwareIds.some((id) => coversDevice(id, device.vendor, device.device)) === true;
}

/**
 * Throws `E_NOT_AUTHORISED` unless `vendor` was given the hardware. A vendor without an entry may
 * bind nothing.
 */
export function verifyHardware(
  vendor: Vendor | undefined,
  name: string,
  pciVendor: number,
  pciDevice: number,
): void {
  if (speaksFor(vendor, { vendor: pciVendor, device: pciDevice })) return;
  const wanted = formatHardwareId({ bus: 'PCI', vendor: pciVendor, device: pciDevice });
  throw new IronError('E_NOT_AUTHORISED', `${name} may not speak for the hardware ${wanted}`, {
    why: `the signed targets give it ${vendor?.hardwareIds.map(formatHardwareId).join(', ') || 'no hardware at all'}`,
    hint: 'nothing was changed; the operators bind vendors to hardware ids when they admit them',
    context: { vendor: name, hardware: wanted },
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
