/** What of a host decides whether drivers can be confined on it, read once. */

import { asIronError, type IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { BackendName } from '../host/backend.ts';
import { availableBackends } from '../host/choose-backend.ts';
import { translations } from '../host/config.ts';
import { type HostFacts, readHostFacts } from '../host/host-facts.ts';
import { listDevices } from '../host/inventory.ts';
import { type Lockdown, readLockdown } from '../host/lockdown.ts';
import { memlockLimit } from '../host/memlock.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { type SandboxFound, trySandbox } from '../try-sandbox.ts';

export interface HostView {
  readonly facts: HostFacts;
  /** IOMMUs by the names that their drivers gave them: `dmar0`, `ivhd0`. */
  readonly iommus: readonly string[];
  /** The type of each group; null on kernels that do not say. */
  readonly groupTypes: readonly (string | null)[];
  readonly translating: readonly Translating[];
  readonly backends: readonly BackendName[];
  /** Bytes that this process may lock; undefined when it is not limited. */
  readonly memlock: bigint | undefined;
  readonly lockdown: Lockdown;
  /** Controllers of cgroup v2 at its root; undefined where there is no such tree. */
  readonly controllers: readonly string[] | undefined;
  /** How trying it out went; undefined where that was not possible. */
  readonly sandbox: SandboxFound | IronError | undefined;
}

/** A device that can translate addresses by itself, or that does not let itself be looked at. */
export interface Translating {
  readonly device: string;
  /** `ATS`, `PRI`, `PASID`; undefined when its configuration cannot be read so far. */
  readonly able: readonly string[] | undefined;
  readonly enabled: readonly string[];
}

export interface ViewOptions {
  readonly proc: string;
  readonly dev: string;
  /** How to try out the confinement; undefined to leave it. */
  readonly sandbox?: { readonly user: number; readonly cgroup: string | undefined } | undefined;
}

export async function readHostView(
  sysfs: Sysfs,
  { proc, dev, sandbox }: ViewOptions,
): Promise<HostView> {
  return {
    facts: await readHostFacts(sysfs, proc),
    iommus: await sysfs.names('class/iommu'),
    groupTypes: await readGroupTypes(sysfs),
    translating: await readTranslating(sysfs),
    backends: await availableBackends(dev),
    memlock: await memlockLimit(proc),
    lockdown: await readLockdown(sysfs),
    controllers: await readControllers(sysfs),
    sandbox: sandbox === undefined ? undefined : await trySandbox(sandbox).catch(asIronError),
  };
}

async function readGroupTypes(sysfs: Sysfs): Promise<(string | null)[]> {
  const types: (string | null)[] = [];
  for (const id of await sysfs.names('kernel/iommu_groups'))
    types.push((await sysfs.text(`kernel/iommu_groups/${id}/type`))?.trim() ?? null);
  return types;
}

/** PCI 3.0, 6.1: a function has 256 bytes, of which only the privileged see more than 64. */
const CONVENTIONAL = 256;

async function readTranslating(sysfs: Sysfs): Promise<Translating[]> {
  const found: Translating[] = [];
  for (const device of await listDevices(sysfs)) {
    const folder = await sysfs.deviceFolder(device);
    const config = await sysfs.bytes(`${folder}/config`, AGENT_LIMITS.config);
    if (config === undefined || config.length < CONVENTIONAL) {
      found.push({ device, able: undefined, enabled: [] });
      continue;
    }
    const all = translations(config);
    if (all.length === 0) continue;
    const enabled = all.filter((one) => one.enabled).map(({ name }) => name);
    found.push({ device, able: all.map(({ name }) => name), enabled });
  }
  return found;
}

/** cgroup-v2.rst: where the second version stands alone, and where systemd puts it beside the first. */
async function readControllers(sysfs: Sysfs): Promise<string[] | undefined> {
  for (const place of ['fs/cgroup', 'fs/cgroup/unified']) {
    const text = await sysfs.text(`${place}/cgroup.controllers`);
    if (text !== undefined) return text.split(/\s+/).filter((name) => name !== '');
  }
  return undefined;
}
