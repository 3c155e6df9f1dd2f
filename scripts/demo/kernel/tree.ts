/**
 * A tree like sysfs, of plain files, links and pipes. Pipes stand where a write is a command that
 * changes something else (`bind`, `unbind`, `drivers_probe`): a write into one reaches the process
 * that plays the kernel, and waits when that process does not open it.
 */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { configOf, DRIVERS, type PlayedDevice, type PlayedSriov, resourceOf } from './devices.ts';

export const NO_OVERRIDE = '(null)\n';

export class Tree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  deviceFolder(bdf: string): string {
    return join(this.root, 'devices', 'pci0000:00', bdf);
  }

  driverFolder(driver: string): string {
    return join(this.root, 'bus', 'pci', 'drivers', driver);
  }

  override(bdf: string): string {
    return join(this.deviceFolder(bdf), 'driver_override');
  }

  numVfs(bdf: string): string {
    return join(this.deviceFolder(bdf), 'sriov_numvfs');
  }

  autoprobe(bdf: string): string {
    return join(this.deviceFolder(bdf), 'sriov_drivers_autoprobe');
  }

  get probe(): string {
    return join(this.root, 'bus', 'pci', 'drivers_probe');
  }

  /** Every place where a write is a command. */
  pipes(): string[] {
    const ofDriver = ({ name }: { name: string }): string[] =>
      ['bind', 'unbind'].map((file) => join(this.driverFolder(name), file));
    return [this.probe, ...DRIVERS.flatMap(ofDriver)];
  }

  /** Makes the links that the kernel makes when a driver binds. */
  link(bdf: string, driver: string): void {
    this.#symlink(this.driverFolder(driver), join(this.deviceFolder(bdf), 'driver'));
    this.#symlink(this.deviceFolder(bdf), join(this.driverFolder(driver), bdf));
  }

  unlink(bdf: string, driver: string): void {
    unlinkSync(join(this.deviceFolder(bdf), 'driver'));
    unlinkSync(join(this.driverFolder(driver), bdf));
  }

  /** Makes the tree, unless there is one from an earlier run. */
  build(devices: readonly PlayedDevice[]): void {
    if (existsSync(join(this.root, 'bus'))) return;
    for (const driver of DRIVERS) mkdirSync(this.driverFolder(driver.name), { recursive: true });
    mkdirSync(join(this.root, 'bus', 'pci', 'devices'), { recursive: true });
    for (const [module, parameter] of [
      ['vfio', 'enable_unsafe_noiommu_mode'],
      ['vfio_iommu_type1', 'allow_unsafe_interrupts'],
    ] as const) {
      const folder = join(this.root, 'module', module, 'parameters');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, parameter), 'N\n');
    }
    makePipes(this.pipes());
    for (const device of devices) this.#buildDevice(device);
  }

  /** drivers/pci/iov.c, pci_iov_add_virtfn() */
  addVirtual(pf: string, device: PlayedDevice, number: number): void {
    this.#buildDevice(device);
    this.#symlink(this.deviceFolder(pf), join(this.deviceFolder(device.bdf), 'physfn'));
    this.#symlink(this.deviceFolder(device.bdf), join(this.deviceFolder(pf), `virtfn${number}`));
  }

  /** drivers/pci/iov.c, pci_iov_remove_virtfn() */
  removeVirtual(pf: string, { bdf, group }: PlayedDevice, number: number): void {
    rmSync(join(this.deviceFolder(pf), `virtfn${number}`), { force: true });
    rmSync(join(this.root, 'bus', 'pci', 'devices', bdf), { force: true });
    rmSync(this.deviceFolder(bdf), { recursive: true, force: true });
    rmSync(join(this.root, 'kernel', 'iommu_groups', String(group)), {
      recursive: true,
      force: true,
    });
  }

  #buildDevice(device: PlayedDevice): void {
    const folder = this.deviceFolder(device.bdf);
    mkdirSync(folder, { recursive: true });
    const id = (value: number, digits: number): string =>
      `0x${value.toString(16).padStart(digits, '0')}\n`;
    const attributes: Record<string, string | Uint8Array> = {
      vendor: id(device.vendor, 4),
      device: id(device.device, 4),
      subsystem_vendor: id(device.subsystemVendor, 4),
      subsystem_device: id(device.subsystemDevice, 4),
      class: id(device.class, 6),
      revision: id(device.revision, 2),
      config: configOf(device),
      resource: resourceOf(device),
      driver_override: NO_OVERRIDE,
      ...(device.sriov === undefined ? {} : sriovOf(device.sriov)),
      ...device.attributes,
    };
    for (const [name, content] of Object.entries(attributes))
      writeFileSync(join(folder, name), content);
    this.#symlink(join(this.root, 'bus', 'pci'), join(folder, 'subsystem'));
    this.#symlink(folder, join(this.root, 'bus', 'pci', 'devices', device.bdf));
    if (device.group !== null) this.#buildGroup(device, device.group);
    if (device.driver !== null) this.link(device.bdf, device.driver);
  }

  #buildGroup(device: PlayedDevice, number: number): void {
    const group = join(this.root, 'kernel', 'iommu_groups', String(number));
    mkdirSync(join(group, 'devices'), { recursive: true });
    writeFileSync(join(group, 'type'), 'DMA\n');
    // What x86 reserves for MSI.
    writeFileSync(join(group, 'reserved_regions'), '0x00000000fee00000 0x00000000feefffff msi\n');
    this.#symlink(this.deviceFolder(device.bdf), join(group, 'devices', device.bdf));
    this.#symlink(group, join(this.deviceFolder(device.bdf), 'iommu_group'));
  }

  #symlink(target: string, link: string): void {
    symlinkSync(relative(join(link, '..'), target), link);
  }
}

function sriovOf({ total, vfDevice }: PlayedSriov): Record<string, string> {
  return {
    sriov_totalvfs: `${total}\n`,
    sriov_numvfs: '0\n',
    sriov_drivers_autoprobe: '1\n',
    sriov_vf_device: `${vfDevice.toString(16)}\n`,
  };
}

/** Node has no mkfifo(3). */
export function makePipes(paths: readonly string[]): void {
  const { status, stderr, error } = spawnSync('mkfifo', ['-m', '600', ...paths], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`mkfifo: ${error?.message ?? stderr}`);
}
