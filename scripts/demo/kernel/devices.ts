/** The devices and drivers of the played machine. */

export interface PlayedBar {
  readonly base: bigint;
  readonly size: bigint;
  /** As in include/linux/ioport.h. */
  readonly flags: bigint;
}

export interface PlayedDevice {
  readonly bdf: string;
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly class: number;
  readonly revision: number;
  readonly headerType: 0 | 1;
  readonly bars: readonly PlayedBar[];
  /** Vectors of MSI, a power of two; 0 for none. */
  readonly msi: number;
  /** IOMMU group, or null for a device that no IOMMU holds. */
  readonly group: number | null;
  /** The driver that is bound at the start. */
  readonly driver: string | null;
  /** Virtual functions that it can have. */
  readonly sriov?: PlayedSriov;
  /** More attributes, by name. */
  readonly attributes?: Readonly<Record<string, string>>;
}

/** PCIe 9.3.3: TotalVFs, and what virtual functions look like. */
export interface PlayedSriov {
  readonly total: number;
  readonly vfDevice: number;
  readonly vfBars: readonly PlayedBar[];
  /** Of the first one; each has one of its own, unless `isShared`. */
  readonly group: number;
  readonly isShared?: boolean;
}

export interface PlayedDriver {
  readonly name: string;
  /** Whether its table of ids has this device. */
  matches(device: PlayedDevice): boolean;
}

/** QEMU's educational device (hw/misc/edu.c). */
export const EDU_DEVICE: PlayedDevice = {
  bdf: '0000:00:05.0',
  vendor: 0x1234,
  device: 0x11e8,
  subsystemVendor: 0x1af4,
  subsystemDevice: 0x1100,
  class: 0x00ff00,
  revision: 0x10,
  headerType: 0,
  bars: [{ base: 0xfea0_0000n, size: 0x10_0000n, flags: 0x40200n }],
  msi: 1,
  group: 7,
  driver: 'edu_legacy',
};

/** Virtual functions of a played device, at the addresses after its own. */
export function virtualFunctionsOf(device: PlayedDevice, count: number): PlayedDevice[] {
  const { sriov, bdf } = device;
  if (sriov === undefined) return [];
  return Array.from({ length: count }, (_, i): PlayedDevice => {
    const { sriov: _own, attributes: _attributes, ...same } = device;
    return {
      ...same,
      bdf: `${bdf.slice(0, -1)}${i + 1}`,
      device: sriov.vfDevice,
      bars: sriov.vfBars.map(({ base, size, flags }) => ({
        base: base + BigInt(i) * size,
        size,
        flags,
      })),
      group: sriov.group + (sriov.isShared === true ? 0 : i),
      driver: null,
      attributes: { reset_method: 'flr\n' },
    };
  });
}

/** A device whose virtual functions are `edu`: no hardware, but what such hardware shows. */
export const EDU_PF: PlayedDevice = {
  ...EDU_DEVICE,
  bdf: '0000:00:06.0',
  device: 0x11e9,
  bars: [{ base: 0xfeb0_0000n, size: 0x10_0000n, flags: 0x40200n }],
  group: 8,
  driver: 'edu_pf',
  sriov: {
    total: 4,
    vfDevice: 0x11e8,
    vfBars: [{ base: 0xfec0_0000n, size: 0x10_0000n, flags: 0x40200n }],
    group: 20,
  },
};

/** A root port, as QEMU's ioh3420 shows itself. */
export const BRIDGE: PlayedDevice = {
  bdf: '0000:00:01.0',
  vendor: 0x8086,
  device: 0x3420,
  subsystemVendor: 0x0000,
  subsystemDevice: 0x0000,
  class: 0x060400,
  revision: 0x02,
  headerType: 1,
  bars: [],
  msi: 2,
  group: 1,
  driver: 'pcieport',
};

export const DRIVERS: readonly PlayedDriver[] = [
  { name: 'edu_legacy', matches: ({ vendor, device }) => vendor === 0x1234 && device === 0x11e8 },
  { name: 'edu_pf', matches: ({ vendor, device }) => vendor === 0x1234 && device === 0x11e9 },
  { name: 'pcieport', matches: (device) => device.class === 0x060400 },
  // Drivers without ids of their own: they bind by override alone.
  { name: 'pci-stub', matches: () => false },
  { name: 'vfio-pci', matches: () => false },
];

/** The first 256 bytes of configuration space (PCI 3.0, 6.1). */
export function configOf(device: PlayedDevice): Uint8Array {
  const config = new Uint8Array(256);
  const view = new DataView(config.buffer);
  view.setUint16(0x00, device.vendor, true);
  view.setUint16(0x02, device.device, true);
  view.setUint16(0x04, 0x0103, true); // command: memory and ports on, bus master off
  view.setUint16(0x06, 0x0010, true); // status: a list of capabilities
  config[0x08] = device.revision;
  config[0x09] = device.class & 0xff;
  config[0x0a] = (device.class >> 8) & 0xff;
  config[0x0b] = device.class >> 16;
  config[0x0e] = device.headerType;
  if (device.headerType === 0) {
    view.setUint32(0x10, Number(device.bars[0]?.base ?? 0n), true);
    view.setUint16(0x2c, device.subsystemVendor, true);
    view.setUint16(0x2e, device.subsystemDevice, true);
  }
  config[0x3d] = 1; // INTA
  if (device.msi > 0) {
    config[0x34] = 0x40;
    config[0x40] = 0x05; // MSI, the last capability
    view.setUint16(0x42, 0x0080 | (Math.log2(device.msi) << 1), true);
  }
  return config;
}

/** The `resource` file: a line each for six BARs and the ROM. */
export function resourceOf({ bars }: PlayedDevice): string {
  const hex = (value: bigint): string => `0x${value.toString(16).padStart(16, '0')}`;
  return Array.from({ length: 7 }, (_, i) => {
    const bar = bars[i];
    if (bar === undefined) return `${hex(0n)} ${hex(0n)} ${hex(0n)}\n`;
    return `${hex(bar.base)} ${hex(bar.base + bar.size - 1n)} ${hex(bar.flags)}\n`;
  }).join('');
}
