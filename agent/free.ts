/**
 * Whether a device is anybody's already, and what did not end there: what `apply` asks before anything
 * else about it, and `plan` and `why` without changing anything.
 */

import { IronError } from '../shared/errors.ts';
import type { Agent } from './agent.ts';
import { loadBinding } from './binding.ts';
import type { BindingState } from './binding-state.ts';
import type { Accepted } from './entry.ts';
import type { Sysfs } from './host/sysfs.ts';
import type { Purpose } from './journal.ts';
import { requireNoIncident } from './quarantine/find.ts';
import { judgeJournal } from './recover.ts';
import { parentAddress } from './vfs/parent.ts';

/** The device must be nobody's. `E_NOTHING_TO_DO`, `E_CONFLICT`, `E_QUARANTINED`. */
export async function requireFree(
  agent: Agent,
  sysfs: Sysfs,
  driver: Accepted,
  bdf: string,
): Promise<void> {
  const binding = await loadBinding(agent, bdf);
  if (binding === undefined) return;
  await requireNoIncident(agent, sysfs, bdf);
  const isSame = binding.driver.sha256 === driver.artifact.sha256;
  throw new IronError(
    isSame ? 'E_NOTHING_TO_DO' : 'E_CONFLICT',
    `${bdf} is bound already, for ${binding.driver.path}`,
    {
      hint: isSame
        ? 'nothing was changed; `ironport-agent status` shows the binding'
        : `nothing was changed; release it first: ironport-agent release --device ${bdf}`,
      context: { device: bdf, bound: binding.driver.path },
    },
  );
}

/** A change that did not end, and that `apply` undoes before all else. */
export interface Undone {
  readonly device: string;
  readonly purpose: Purpose;
  /** How the device is then. */
  readonly to: BindingState;
}

/**
 * What `apply` would undo first: of the physical function, and of the device itself. `E_BIND_STUCK` while
 * a write for one of them still waits in the kernel, `E_STORE` when a journal is damaged.
 */
export async function foreseeRecovery(agent: Agent, sysfs: Sysfs, bdf: string): Promise<Undone[]> {
  const parent = await parentAddress(sysfs, bdf);
  const all: Undone[] = [];
  for (const device of parent === undefined ? [bdf] : [parent, bdf]) {
    const judged = await judgeJournal(agent, sysfs, device);
    const [to] = judged?.stations ?? [];
    if (judged === undefined || to === undefined) continue;
    all.push({ device, purpose: judged.found.head.purpose, to });
  }
  return all;
}
