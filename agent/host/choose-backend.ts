/** Which way this host has to hold a device, and the device's node on that way. */

import { access } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { IronError } from '../../shared/errors.ts';
import { BACKENDS, type BackendName, type DeviceSpace } from './backend.ts';
import { CONTAINER_NODE, openContainer } from './container.ts';
import { IOMMU_NODE, openIommufd } from './iommufd.ts';
import type { Sysfs } from './sysfs.ts';

/** Where the nodes of devices and groups are. */
const VFIO_FOLDER = '/dev/vfio';

/** Backends that this host has, the preferred first; `dev` is where nodes are. */
export async function availableBackends(dev = '/dev'): Promise<BackendName[]> {
  // sysfs shows vfio-dev/ on kernels without the character device too: the nodes decide.
  const nodes: Readonly<Record<BackendName, string>> = {
    iommufd: IOMMU_NODE,
    container: CONTAINER_NODE,
  };
  const found: BackendName[] = [];
  for (const name of BACKENDS)
    if (await exists(join(dev, relative('/dev', nodes[name])))) found.push(name);
  return found;
}

/** `forced`, or the first that the host has. `E_AGENT_REFUSED` with `context.reason` when it has not. */
export async function chooseBackend(forced?: BackendName): Promise<BackendName> {
  const found = await availableBackends();
  const chosen = forced ?? found[0];
  if (chosen === undefined || !found.includes(chosen)) {
    throw new IronError(
      'E_AGENT_REFUSED',
      chosen === undefined
        ? 'this kernel has no VFIO'
        : `this kernel has not the backend ${chosen}`,
      {
        why: `it has ${found.join(' and ') || `neither ${IOMMU_NODE} nor ${CONTAINER_NODE}`}`,
        hint: 'nothing was changed; load the modules vfio-pci and vfio_iommu_type1, or leave --backend out',
        context: { reason: 'no-backend', available: found.join(', ') || 'none' },
      },
    );
  }
  return chosen;
}

/**
 * Opens a device that is bound to `vfio-pci`. It reaches no memory yet. Throws what the kernel said
 * as an `Errno`, and `E_NO_IOMMU_GROUP`, or `E_GROUP_SHARED` when the group is not viable.
 */
export async function openDevice(
  backend: BackendName,
  sysfs: Sysfs,
  bdf: string,
): Promise<DeviceSpace> {
  const folder = await sysfs.deviceFolder(bdf);
  if (backend === 'container') {
    // Group numbers change with every start: always as it is now.
    const group = await sysfs.linkName(`${folder}/iommu_group`);
    if (group === undefined || !/^[0-9]+$/.test(group))
      throw new IronError('E_NO_IOMMU_GROUP', `${bdf} is in no IOMMU group`, {
        context: { reason: 'no-iommu-group', device: bdf },
      });
    return openContainer(`${VFIO_FOLDER}/${group}`, bdf);
  }
  const [name] = (await sysfs.names(`${folder}/vfio-dev`)).filter((one) =>
    /^vfio[0-9]+$/.test(one),
  );
  if (name === undefined)
    throw new IronError('E_IO', `the kernel gives no VFIO device for ${bdf}`, {
      why: 'there is nothing in its vfio-dev folder',
      context: { device: bdf },
    });
  return openIommufd(`${VFIO_FOLDER}/devices/${name}`);
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
