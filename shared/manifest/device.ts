/**
 * A PCI device: what a document says it must be, and what was found. Whoever finds (the agent, in
 * sysfs) fills in `DeviceFacts`; nothing here looks anywhere.
 */

import type { Node } from '../json/decode.ts';
import { type JsonObject, jsonObject } from '../json/value.ts';
import type { IsolationCapabilities } from './ceiling-isolation.ts';
import { hexId, readId } from './numbers.ts';
import type { Window } from './windows.ts';

/** What configuration space says about a device: ids of 16 bits, class of 24, revision of 8. */
export interface DeviceIdentity {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  /** Base class, subclass and programming interface: `0x00ff00`. */
  readonly class: number;
  readonly revision: number;
}

/** A condition on `DeviceIdentity`: every part that is there must be equal. */
export type DeviceMatch = Pick<DeviceIdentity, 'vendor' | 'device'> & Partial<DeviceIdentity>;

export interface DeviceBar {
  /** Number of the register, 0 to 5; a 64-bit BAR has the lower of its two. */
  readonly index: number;
  /** First address or port; 0 when firmware and kernel assigned none. */
  readonly base: bigint;
  /** Bytes or ports. */
  readonly size: bigint;
  readonly kind: 'memory' | 'io';
}

/** How a device can interrupt: pin or none, and how many vectors of each kind. */
export interface DeviceInterrupts {
  readonly intx: boolean;
  readonly msi: number;
  readonly msix: number;
}

/** A device as it was found on this host. */
export interface DeviceFacts extends DeviceIdentity {
  /** Its address, `0000:00:05.0`. */
  readonly path: string;
  /** The PCIe device serial number, when it has one. */
  readonly serial: string | null;
  readonly bars: readonly DeviceBar[];
  readonly interrupts: DeviceInterrupts;
  /** I/O virtual addresses that this device must not be given (`reserved_regions` of its group). */
  readonly reservedIova: readonly Window[];
  /** Absent: nobody looked, so nothing that needs one of these is granted. */
  readonly isolation?: IsolationCapabilities;
}

/** Whether `device` is what `match` asks for. */
export function matchesDevice(match: DeviceMatch, device: DeviceIdentity): boolean {
  return MATCH_KEYS.every((key) => match[key] === undefined || match[key] === device[key]);
}

const MATCH_KEYS = [
  'vendor',
  'device',
  'subsystemVendor',
  'subsystemDevice',
  'class',
  'revision',
] as const satisfies (keyof DeviceIdentity)[];

/** Reads `{vendor, device, subsystem_vendor?, subsystem_device?, class?, revision?}`. `E_SCHEMA`. */
export function parseDeviceMatch(node: Node): DeviceMatch {
  node.only('vendor', 'device', 'subsystem_vendor', 'subsystem_device', 'class', 'revision');
  const optional = (key: string, digits: 2 | 4 | 6): number | undefined => {
    const member = node.maybe(key);
    return member === undefined ? undefined : readId(member, digits);
  };
  const subsystemVendor = optional('subsystem_vendor', 4);
  const subsystemDevice = optional('subsystem_device', 4);
  const deviceClass = optional('class', 6);
  const revision = optional('revision', 2);
  return {
    vendor: readId(node.get('vendor'), 4),
    device: readId(node.get('device'), 4),
    ...(subsystemVendor === undefined ? {} : { subsystemVendor }),
    ...(subsystemDevice === undefined ? {} : { subsystemDevice }),
    ...(deviceClass === undefined ? {} : { class: deviceClass }),
    ...(revision === undefined ? {} : { revision }),
  };
}

/** A condition as documents write it. */
export function deviceMatchJson(match: DeviceMatch): JsonObject {
  const { subsystemVendor, subsystemDevice, class: deviceClass, revision } = match;
  return jsonObject([
    ['vendor', hexId(match.vendor, 4)],
    ['device', hexId(match.device, 4)],
    ...member('subsystem_vendor', subsystemVendor, 4),
    ...member('subsystem_device', subsystemDevice, 4),
    ...member('class', deviceClass, 6),
    ...member('revision', revision, 2),
  ]);
}

function member(key: string, id: number | undefined, digits: 2 | 4 | 6): [string, string][] {
  return id === undefined ? [] : [[key, hexId(id, digits)]];
}

/** The identity of a device as documents write it. */
export function identityJson(device: DeviceIdentity): JsonObject {
  return {
    vendor: hexId(device.vendor, 4),
    device: hexId(device.device, 4),
    subsystem_vendor: hexId(device.subsystemVendor, 4),
    subsystem_device: hexId(device.subsystemDevice, 4),
    class: hexId(device.class, 6),
    revision: hexId(device.revision, 2),
  };
}

/** `1234:11e8 (subsystem 1af4:1100, class 00ff00, revision 10)`. */
export function showIdentity(device: DeviceIdentity): string {
  const id = (value: number, digits: 2 | 4 | 6): string => hexId(value, digits).slice(2);
  const subsystem = `${id(device.subsystemVendor, 4)}:${id(device.subsystemDevice, 4)}`;
  const rest = `subsystem ${subsystem}, class ${id(device.class, 6)}, revision ${id(device.revision, 2)}`;
  return `${id(device.vendor, 4)}:${id(device.device, 4)} (${rest})`;
}

/** `1234:11e8, class 00ff00`: the parts that a match names. */
export function showMatch(match: DeviceMatch): string {
  const id = (value: number, digits: 2 | 4 | 6): string => hexId(value, digits).slice(2);
  const any = (value: number | undefined): string => (value === undefined ? '*' : id(value, 4));
  const { subsystemVendor, subsystemDevice } = match;
  return [
    `${id(match.vendor, 4)}:${id(match.device, 4)}`,
    ...(subsystemVendor === undefined && subsystemDevice === undefined
      ? []
      : [`subsystem ${any(subsystemVendor)}:${any(subsystemDevice)}`]),
    ...(match.class === undefined ? [] : [`class ${id(match.class, 6)}`]),
    ...(match.revision === undefined ? [] : [`revision ${id(match.revision, 2)}`]),
  ].join(', ');
}
