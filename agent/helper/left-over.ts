/**
 * When a holder died, the helper sees to it that nothing of its driver is left: the kernel ends a driver with
 * its holder, and a broker with both; this is for what outlived that.
 */

import { asIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import { endGroupsIn } from '../host/left-groups.ts';

/** Ends what is in the groups of `device` below `cgroup`. Throws nothing: what fails is said. */
export async function endLeftOver(
  agent: Agent,
  cgroup: string,
  device: string,
  onSaid: (device: string, text: string) => void,
): Promise<void> {
  try {
    const { ended, stuck } = await endGroupsIn(cgroup, (one) => one === device);
    for (const { error } of stuck) onSaid(device, error.message);
    if (ended.length === 0) return;
    const lines = ended.map(({ of }) => ({ event: 'left-over-ended', device, what: of }));
    const waitMs = 1000 * AGENT_LIMITS.enforceWaitSeconds;
    await agent.alone(() => agent.audit.append(...lines), { waitMs });
  } catch (error) {
    onSaid(device, asIronError(error).message);
  }
}
