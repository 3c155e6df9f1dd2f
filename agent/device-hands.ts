/** The engine's hands on a real device: sysfs under the root that was named. */

import type { Agent } from './agent.ts';
import { type Applying, type Hands, stuckWriteError } from './apply.ts';
import { readBinding } from './host/inventory.ts';
import type { Sysfs } from './host/sysfs.ts';
import { findWriters, writeAttribute } from './host/write.ts';
import type { Journal } from './journal.ts';
import { writeOf } from './plan.ts';

export function handsOn(agent: Agent, sysfs: Sysfs, device: string): Hands {
  return {
    look: async () => readBinding(sysfs, await sysfs.deviceFolder(device)),
    async act(action) {
      const { path, text } = writeOf(action, device);
      // The attributes of a device are reached by its own folder: a link is not written through.
      const own = `bus/pci/devices/${device}/`;
      const real = path.startsWith(own)
        ? `${await sysfs.deviceFolder(device)}/${path.slice(own.length)}`
        : path;
      return writeAttribute(sysfs, device, real, text, agent.writeMs);
    },
  };
}

/** What the engine needs for one device, once nothing else is waiting there. */
export async function applyingTo(
  agent: Agent,
  sysfs: Sysfs,
  device: string,
  journal: Pick<Journal, 'append'>,
  more: Pick<Applying, 'signal' | 'onStep'> = {},
): Promise<Applying> {
  await requireNoWriter(agent, sysfs, device);
  return {
    device,
    journal,
    hands: handsOn(agent, sysfs, device),
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
