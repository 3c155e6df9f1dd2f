/** Which device it is about: an address that sysfs knows, or ids as people write them. */

import { join } from 'node:path';
import { fromUtf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { isBdf } from '../../shared/manifest/bdf.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { KnownDevice } from '../../shared/product/choose.ts';
import { quoted } from '../../shared/tuf/names.ts';

/** The size that sysfs gives every attribute, however short it is (Linux, filesystems/sysfs). */
const PAGE = 4096;

const IDS = /^PCI:0x([0-9a-f]{4}):0x([0-9a-f]{4})(?::0x([0-9a-f]{4}):0x([0-9a-f]{4}))?$/;

/**
 * `0000:00:05.0`, read below `sysfs`; or `PCI:0x1234:0x11e8`, with `:0x1af4:0x1100` behind it for
 * the subsystem's vendor and device. `E_USAGE`, `E_NOT_FOUND`, `E_SCHEMA`.
 */
export async function readDevice(text: string, sysfs: string): Promise<KnownDevice> {
  if (isBdf(text)) return readSysfs(text, sysfs);
  const match = IDS.exec(text);
  if (match === null) {
    throw new IronError('E_USAGE', `not a device: ${quoted(text)}`, {
      hint: 'write its address, 0000:00:05.0, or its ids: PCI:0x1234:0x11e8, PCI:0x1234:0x11e8:0x1af4:0x1100',
    });
  }
  const [vendor, device, subsystemVendor, subsystemDevice] = match
    .slice(1)
    .map((digits) => (digits === undefined ? undefined : Number.parseInt(digits, 16)));
  return {
    vendor: vendor as number,
    device: device as number,
    ...(subsystemVendor === undefined ? {} : { subsystemVendor }),
    ...(subsystemDevice === undefined ? {} : { subsystemDevice }),
  };
}

async function readSysfs(bdf: string, sysfs: string): Promise<KnownDevice> {
  const id = async (name: string, digits: number): Promise<number> => {
    // The address was parsed: it is one segment of a path and leads nowhere else.
    const path = join(sysfs, 'bus', 'pci', 'devices', bdf, name);
    const text = fromUtf8(await readFileCapped(path, PAGE)).trim();
    if (new RegExp(`^0x[0-9a-f]{${digits}}$`).test(text)) return Number(text);
    throw new IronError('E_SCHEMA', `${path} is not an id of ${digits} digits`, {
      context: { path },
    });
  };
  try {
    return {
      vendor: await id('vendor', 4),
      device: await id('device', 4),
      subsystemVendor: await id('subsystem_vendor', 4),
      subsystemDevice: await id('subsystem_device', 4),
      class: await id('class', 6),
      revision: await id('revision', 2),
    };
  } catch (error) {
    if (!isIronError(error, 'E_NOT_FOUND')) throw error;
    throw new IronError('E_NOT_FOUND', `there is no PCI device ${bdf}`, {
      why: error.message,
      hint: '`ironport-agent list` shows the devices of this host',
      context: { device: bdf },
      cause: error,
    });
  }
}
