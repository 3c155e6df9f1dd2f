/** The engine's hands on a real device: sysfs under the root that was named. */

import type { Agent } from './agent.ts';
import { type Applying, type Hands, stuckWriteError } from './apply.ts';
import { readBinding } from './host/inventory.ts';
import { readVfState } from './host/sriov.ts';
import type { Sysfs } from './host/sysfs.ts';
import { findWriters } from './host/write.ts';
import type { Journal } from './journal.ts';
import { writeOf } from './plan.ts';

/** `withVfs` to see, and change, what a physical function does about virtual ones too. */
export function handsOn(agent: Agent, sysfs: Sysfs, device: string, withVfs = false): Hands {
  return {
    async look() {
      const folder = await sysfs.deviceFolder(device);
      const binding = await readBinding(sysfs, folder);
      return withVfs ? { ...binding, vfs: await readVfState(sysfs, folder) } : binding;
    },
    async act(action) {
      const { path, text } = writeOf(action, device);
      // The attributes of a device are reached by its own folder: a link is not written through.
      const own = `bus/pci/devices/${device}/`;
      const real = path.startsWith(own)
        ? `${await sysfs.deviceFolder(device)}/${path.slice(own.length)}`
        : path;
      return agent.write(sysfs, device, real, text, agent.writeMs);
    },
  };
}

export interface HandsOptions extends Pick<Applying, 'signal' | 'onStep'> {
  readonly withVfs?: boolean;
}

/** What the engine needs for one device, once nothing else is waiting there. */
export async function applyingTo(
  agent: Agent,
  sysfs: Sysfs,
  device: string,
  journal: Pick<Journal, 'append'>,
  { withVfs = false, ...more }: HandsOptions = {},
): Promise<Applying> {
  await requireNoWriter(agent, sysfs, device);
  return {
    device,
    journal,
    hands: handsOn(agent, sysfs, device, withVfs),
    record: (event) => agent.audit.append(event),
    settleMs: agent.settleMs,
    ...more,
  };
}

/** `E_BIND_STUCK` while an earlier write for the device still waits in the kernel. */
export async function requireNoWriter(agent: Agent, sysfs: Sysfs, device: string): Promise<void> {
  const [writer] = await findWriters(sysfs, device, agent.proc);
  if (writer !== undefined) throw stuckWriteError(device, writer);
}
