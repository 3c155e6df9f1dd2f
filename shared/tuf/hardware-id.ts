/**
 * Hardware as operators give it to a vendor: all that a PCI vendor makes, or less of it. An id names
 * conditions, and covers a device, or what a ceiling asks for, when each of them is met (ADR 0080).
 */

import { IronError } from '../errors.ts';
import { quoted } from './names.ts';

export interface HardwareId {
  readonly bus: 'PCI';
  readonly vendor: number;
  readonly device?: number | undefined;
  /** Boards of this maker only, and of them this one only. */
  readonly subsystemVendor?: number | undefined;
  readonly subsystemDevice?: number | undefined;
  /** Base class, with subclass and programming interface or without. */
  readonly class?: PciClass | undefined;
}

/** The first `digits` hexadecimal digits of a class code, which has six. */
export interface PciClass {
  readonly code: number;
  readonly digits: 2 | 4 | 6;
}

/** What is known, or demanded, of a device. What is not named can be anything. */
export interface SomeDevice {
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor?: number | undefined;
  readonly subsystemDevice?: number | undefined;
  /** All 24 bits of it. */
  readonly class?: number | undefined;
}

const GRAMMAR =
  /^PCI:0x([0-9a-f]{4})(?::0x([0-9a-f]{4}))?(?:,subsystem=0x([0-9a-f]{4})(?::0x([0-9a-f]{4}))?)?(?:,class=0x((?:[0-9a-f]{2}){1,3}))?$/;

/**
 * `PCI:0x1234`, `PCI:0x1234:0x11e8` for one device of it; each with `,subsystem=0x1af4` or
 * `,subsystem=0x1af4:0x1100`, and with `,class=0x02`, `,class=0x0200` or `,class=0x020000`. `E_SCHEMA`.
 */
export function parseHardwareId(text: string): HardwareId {
  const match = GRAMMAR.exec(text);
  if (match === null) {
    throw new IronError('E_SCHEMA', `not a hardware id: ${quoted(text)}`, {
      hint: 'write PCI:0x1234 or PCI:0x1234:0x11e8; subsystem and class follow so: PCI:0x1234,subsystem=0x1af4,class=0x0200',
    });
  }
  const [, vendor, device, subsystemVendor, subsystemDevice, code] = match;
  return {
    bus: 'PCI',
    vendor: hex(vendor as string),
    device: device === undefined ? undefined : hex(device),
    ...(subsystemVendor === undefined ? {} : { subsystemVendor: hex(subsystemVendor) }),
    ...(subsystemDevice === undefined ? {} : { subsystemDevice: hex(subsystemDevice) }),
    ...(code === undefined
      ? {}
      : { class: { code: hex(code), digits: code.length as PciClass['digits'] } }),
  };
}

/** An id as somebody typed it: digits of either case, as data sheets print them. */
export function readHardwareId(typed: string): HardwareId {
  return parseHardwareId(typed.replace(/0x[0-9a-f]+/gi, (id) => id.toLowerCase()));
}

function hex(digits: string): number {
  return Number.parseInt(digits, 16);
}

export function formatHardwareId(id: HardwareId): string {
  const show = (n: number, digits = 4): string => `0x${n.toString(16).padStart(digits, '0')}`;
  const { device, subsystemVendor, subsystemDevice, class: pciClass } = id;
  const one = (n: number | undefined): string => (n === undefined ? '' : `:${show(n)}`);
  return [
    `${id.bus}:${show(id.vendor)}${one(device)}`,
    ...(subsystemVendor === undefined
      ? []
      : [`subsystem=${show(subsystemVendor)}${one(subsystemDevice)}`]),
    ...(pciClass === undefined ? [] : [`class=${show(pciClass.code, pciClass.digits)}`]),
  ].join(',');
}

/**
 * Whether every device that `device` may be is one of the id's. What the id demands and `device` does
 * not name may be otherwise: then it does not cover it.
 */
export function coversDevice(id: HardwareId, device: SomeDevice): boolean {
  return (
    coversModel(id, device) &&
    (id.subsystemVendor === undefined || id.subsystemVendor === device.subsystemVendor) &&
    (id.subsystemDevice === undefined || id.subsystemDevice === device.subsystemDevice) &&
    (id.class === undefined ||
      (device.class !== undefined && sameClass(id.class, { code: device.class, digits: 6 })))
  );
}

/** Whether the id is of this vendor and device, whatever else it demands. */
export function coversModel(id: HardwareId, { vendor, device }: SomeDevice): boolean {
  return id.vendor === vendor && (id.device === undefined || id.device === device);
}

/** Whether nothing that is known of `device` speaks against its being one of the id's. */
export function mayBeOf(id: HardwareId, { class: code, ...device }: SomeDevice): boolean {
  const pciClass = code === undefined ? {} : { class: { code, digits: 6 } as const };
  return overlap(id, { bus: 'PCI', ...device, ...pciClass });
}

/** Whether one device can be of both ids. */
export function overlap(a: HardwareId, b: HardwareId): boolean {
  const meet = (one: number | undefined, other: number | undefined): boolean =>
    one === undefined || other === undefined || one === other;
  return (
    a.bus === b.bus &&
    a.vendor === b.vendor &&
    meet(a.device, b.device) &&
    meet(a.subsystemVendor, b.subsystemVendor) &&
    meet(a.subsystemDevice, b.subsystemDevice) &&
    (a.class === undefined || b.class === undefined || sameClass(a.class, b.class))
  );
}

/** As far as both are said. */
function sameClass(a: PciClass, b: PciClass): boolean {
  const digits = Math.min(a.digits, b.digits);
  const first = ({ code, digits: all }: PciClass): number => code >>> (4 * (all - digits));
  return first(a) === first(b);
}
