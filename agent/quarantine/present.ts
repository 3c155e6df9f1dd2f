/** Which devices of this host are in quarantine: an incident is about a device, and not about a slot. */

import { type DeviceName, type Present, placesOf } from '../../shared/manifest/quarantine.ts';
import { listDevices, readName } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { Incident } from './incident.ts';

/** Every PCI function that is there now. */
export async function readPresent(sysfs: Sysfs): Promise<Present[]> {
  const present: Present[] = [];
  for (const path of await listDevices(sysfs)) {
    // One that cannot be read is told by its address alone.
    const name = await readName(sysfs, path).catch((): DeviceName | undefined => undefined);
    present.push({ path, name });
  }
  return present;
}

/**
 * The incidents that `device` is in, in their order. It counts as it was read before, whatever is read
 * now: what shows another serial number meanwhile is no other device for that. `readAll` gives every
 * function that is there, and is asked only when something is in quarantine.
 */
export async function incidentsOf(
  readAll: () => Promise<readonly Present[]>,
  incidents: readonly Incident[],
  device: Present,
): Promise<Incident[]> {
  if (incidents.length === 0) return [];
  // Without a list of them its own address and number count: that can only be one incident too many.
  const found = await readAll().catch((): readonly Present[] => []);
  const others = found.filter(({ path }) => path !== device.path);
  const present = [...others, device];
  return incidents.filter((one) => placesOf(one.device, present).includes(device.path));
}
