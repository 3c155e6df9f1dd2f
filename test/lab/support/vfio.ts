/** Binding in the plainest way, for cases about what lies below the agent. */

import { ok } from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';

export const EDU = ['0000:00:05.0', '0000:00:06.0'] as const;

export function driverOf(bdf: string): string | null {
  try {
    return basename(readlinkSync(`/sys/bus/pci/devices/${bdf}/driver`));
  } catch (error) {
    // Not asked for beforehand: the link may go while somebody lets go of the device.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Gives the device to `vfio-pci` and leaves no override. */
export function giveToVfio(bdf: string): void {
  const override = `/sys/bus/pci/devices/${bdf}/driver_override`;
  writeFileSync(override, 'vfio-pci');
  writeFileSync('/sys/bus/pci/drivers_probe', bdf);
  writeFileSync(override, '\n');
}

export function takeFromVfio(bdf: string): void {
  writeFileSync('/sys/bus/pci/drivers/vfio-pci/unbind', bdf);
}

/** What a binding changes of a device, and what it leaves: read from sysfs. */
export function stateOf(bdf: string): {
  driver: string | null;
  override: string;
  busMaster: boolean;
} {
  const folder = `/sys/bus/pci/devices/${bdf}`;
  return {
    driver: driverOf(bdf),
    override: readFileSync(`${folder}/driver_override`, 'utf8').trim(),
    busMaster: (readFileSync(`${folder}/config`).readUInt16LE(4) & 4) !== 0,
  };
}

/** Gives the device to a driver by its name, and leaves the override set: a state to come back to. */
export function giveTo(bdf: string, driver: string): void {
  writeFileSync(`/sys/bus/pci/devices/${bdf}/driver_override`, driver);
  writeFileSync('/sys/bus/pci/drivers_probe', bdf);
}

export function unbindAll(bdf: string): void {
  const driver = driverOf(bdf);
  if (driver !== null) writeFileSync(`/sys/bus/pci/drivers/${driver}/unbind`, bdf);
  writeFileSync(`/sys/bus/pci/devices/${bdf}/driver_override`, '\n');
}

/** virtio-rng behind a root port: PCI Express, with error reporting. */
export function rngDevice(): string {
  return rngDevices()[0];
}

/** The same, able to translate addresses by itself (ATS). */
export function translatingDevice(): string {
  return rngDevices()[1];
}

/** In the order of the ports that they are behind (`scripts/lab/qemu.ts`). */
function rngDevices(): [string, string] {
  const folder = '/sys/bus/pci/devices';
  // QEMU's docs/specs/pci-ids.rst: 1af4:1044, and 1005 in its older form.
  const isRng = (bdf: string): boolean =>
    ['0x1044', '0x1005'].includes(readFileSync(`${folder}/${bdf}/device`, 'utf8').trim());
  const [first, second] = readdirSync(folder).filter(isRng).sort();
  ok(first !== undefined && second !== undefined, 'the machine has two such devices');
  return [first, second];
}
