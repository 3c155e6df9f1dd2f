/** One device as sysfs shows it now: everything that gates, plan and grant are decided from. */

import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { type DeviceFacts, identityJson } from '../../shared/manifest/device.ts';
import { hexId, hexU64 } from '../../shared/manifest/numbers.ts';
import { parseInterrupts, parseResourceFile } from '../../shared/manifest/pci.ts';
import type { DeviceName } from '../../shared/manifest/quarantine.ts';
import type { BindingState } from '../binding-state.ts';
import { isBdf } from './bdf.ts';
import { deviceSerial, headerType } from './config.ts';
import { type Group, readGroup } from './group.ts';
import type { InUse } from './in-use.ts';
import { type ResetFacts, readReset } from './reset-set.ts';
import { readSriov, type SriovFacts, sriovJson } from './sriov.ts';
import type { Sysfs } from './sysfs.ts';
import { type DeviceUse, findUses } from './usage.ts';

export interface DeviceSnapshot extends DeviceFacts {
  readonly binding: BindingState;
  /** From configuration space; null when it could not be read that far. */
  readonly headerType: number | null;
  readonly group: Group | null;
  /** False for what is no display; null when the kernel's answer is no known one. */
  readonly bootVga: boolean | null;
  /** Null for what cannot have virtual functions. */
  readonly sriov: SriovFacts | null;
  /** The physical function, when this is a virtual one. */
  readonly physicalFunction: string | null;
  readonly reset: ResetFacts;
  readonly uses: readonly DeviceUse[];
}

/** The addresses of all PCI functions, sorted. */
export async function listDevices(sysfs: Sysfs): Promise<string[]> {
  return (await sysfs.names('bus/pci/devices')).filter(isBdf);
}

/** What tells a device from all others. `E_NOT_FOUND`, `E_SCHEMA`. */
export async function readName(sysfs: Sysfs, bdf: string): Promise<DeviceName> {
  const folder = await sysfs.deviceFolder(bdf);
  return await nameOf(sysfs, bdf, folder, await readConfig(sysfs, folder));
}

async function readConfig(sysfs: Sysfs, folder: string): Promise<Uint8Array> {
  return (await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config)) ?? new Uint8Array();
}

async function nameOf(
  sysfs: Sysfs,
  bdf: string,
  folder: string,
  config: Uint8Array,
): Promise<DeviceName> {
  const id = async (name: string, digits: 2 | 4 | 6): Promise<number> =>
    parseId(`${bdf}/${name}`, await sysfs.text(`${folder}/${name}`), digits);
  return {
    path: bdf,
    vendor: await id('vendor', 4),
    device: await id('device', 4),
    subsystemVendor: await id('subsystem_vendor', 4),
    subsystemDevice: await id('subsystem_device', 4),
    class: await id('class', 6),
    revision: await id('revision', 2),
    serial: deviceSerial(config),
  };
}

/** `E_NOT_FOUND` when there is no such device; `E_SCHEMA` when an attribute is not as documented. */
export async function readDevice(sysfs: Sysfs, bdf: string, inUse: InUse): Promise<DeviceSnapshot> {
  const folder = await sysfs.deviceFolder(bdf);
  const config = await readConfig(sysfs, folder);
  const group = await readGroup(sysfs, folder);
  return {
    ...(await nameOf(sysfs, bdf, folder, config)),
    headerType: headerType(config),
    bars: parseResourceFile((await sysfs.text(`${folder}/resource`)) ?? ''),
    interrupts: parseInterrupts(config),
    reservedIova: group?.reserved ?? [],
    binding: await readBinding(sysfs, folder),
    group,
    bootVga: parseBootVga(await sysfs.text(`${folder}/boot_vga`)),
    sriov: await readSriov(sysfs, folder),
    physicalFunction: (await sysfs.linkName(`${folder}/physfn`)) ?? null,
    reset: await readReset(sysfs, folder),
    uses: await findUses(sysfs, folder, inUse),
  };
}

/** The driver bound now and the override, of the device in `folder`. */
export async function readBinding(sysfs: Sysfs, folder: string): Promise<BindingState> {
  const driver = (await sysfs.linkName(`${folder}/driver`)) ?? null;
  const text = await sysfs.text(`${folder}/driver_override`);
  if (text === undefined) throw new IronError('E_NOT_FOUND', `${folder} has no driver_override`);
  return { driver, override: parseOverride(text) };
}

/**
 * drivers/pci/pci-sysfs.c, driver_override_show(): `%s\n`, and `(null)` for none. What is not one
 * whole line is not the kernel's answer: it becomes a name that equals no driver's.
 */
export function parseOverride(text: string): string | null {
  const name = /^([^\n]+)\n$/.exec(text)?.[1];
  if (name === undefined) return `unreadable: ${JSON.stringify(text.slice(0, 64))}`;
  return name === '(null)' ? null : name;
}

/** drivers/pci/pci-sysfs.c, boot_vga_show(): `%u\n`, and only displays have it. */
function parseBootVga(text: string | undefined): boolean | null {
  if (text === undefined) return false;
  const digit = text.trim();
  return digit === '1' ? true : digit === '0' ? false : null;
}

function parseId(what: string, text: string | undefined, digits: 2 | 4 | 6): number {
  const match = new RegExp(`^0x[0-9a-f]{${digits}}\n?$`).exec(text ?? '');
  if (match === null) throw new IronError('E_SCHEMA', `${what} is not an id of ${digits} digits`);
  return Number(match[0].trim());
}

/** The snapshot as a document: for `--json`, and as the input whose hash the audit log keeps. */
export function snapshotJson(device: DeviceSnapshot): JsonObject {
  const { group, sriov } = device;
  return {
    address: device.path,
    ...identityJson(device),
    serial: device.serial,
    header_type: device.headerType,
    bars: device.bars.map(({ index, base, size, kind }) => ({
      index,
      base: hexU64(base),
      length_bytes: hexU64(size),
      kind,
    })),
    interrupts: { ...device.interrupts },
    driver: device.binding.driver,
    driver_override: device.binding.override,
    iommu_group:
      group === null
        ? null
        : {
            id: group.id,
            type: group.type,
            name: group.name,
            members: group.members.map((member) => ({
              address: member.path,
              class: hexId(member.class, 6),
              driver: member.driver,
            })),
            reserved: group.reserved.map(({ start, end }) => [hexU64(start), hexU64(end - 1n)]),
          },
    boot_vga: device.bootVga,
    sriov: sriov === null ? null : sriovJson(sriov),
    physical_function: device.physicalFunction,
    reset_methods: [...(device.reset.methods ?? [])],
    resets_alone: device.reset.alone,
    reset_set: [...device.reset.set],
    uses: device.uses.map(({ kind, name }) => ({ kind, name })),
  };
}
