/** Giving a device back: driver and override are again what they were before it was bound. */

import { asIronError, IronError, isIronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import type { Agent } from './agent.ts';
import { applyPlan } from './apply.ts';
import { type Binding, loadBinding, removeBinding, removeFile } from './binding.ts';
import { describeState, sameState } from './binding-state.ts';
import type { Confined } from './confine.ts';
import { applyingTo } from './device-hands.ts';
import { readBootId } from './host/host-facts.ts';
import { readBinding } from './host/inventory.ts';
import type { Sysfs } from './host/sysfs.ts';
import { Journal } from './journal.ts';
import { loadKept, removeKept } from './kept.ts';
import { makePlan, type Plan } from './plan.ts';
import { requireNoIncident } from './quarantine/find.ts';
import { recoverDevice } from './recover.ts';
import { transitions } from './transitions.ts';
import { loadUpgrade } from './upgrade-note.ts';
import { folderOf, isVfThatWent } from './vfs/parent.ts';

export interface Released {
  readonly device: string;
  /** Target path of the driver that it was bound for; null when only a damaged declaration was left. */
  readonly driver: string | null;
  /** Empty when the machine was started anew since, and nothing was left to restore. */
  readonly plan: Plan;
}

export interface ReleaseRequest {
  readonly bdf: string;
  /** What holds the device, when this process does: it is ended first. */
  readonly confined?: Confined | undefined;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
}

/**
 * Releases the device, and withdraws what was declared for it: first of all, so that nothing binds it
 * again whatever comes between. `E_QUARANTINED`, `E_NOT_FOUND`, `E_AGENT_REFUSED`, `E_BIND_ROLLED_BACK`, `E_BIND_STUCK`.
 */
export function release(agent: Agent, sysfs: Sysfs, request: ReleaseRequest): Promise<Released> {
  const { bdf } = request;
  return agent.alone(async () => {
    await recoverDevice(agent, sysfs, bdf);
    // What is refused withdraws nothing either.
    await requireNoIncident(agent, sysfs, bdf);
    const withdrawn = await withdraw(agent, bdf);
    if (withdrawn === undefined || (await loadBinding(agent, bdf)) !== undefined)
      return await releaseAlone(agent, sysfs, request);
    const now = await readBinding(sysfs, await sysfs.deviceFolder(bdf));
    return { device: bdf, driver: withdrawn, plan: makePlan(bdf, now, now) };
  });
}

/** The same for who holds the lock, and leaves what is declared as it is. */
export async function releaseAlone(
  agent: Agent,
  sysfs: Sysfs,
  request: ReleaseRequest,
): Promise<Released> {
  const { bdf } = request;
  await recoverDevice(agent, sysfs, bdf);
  const binding = await loadBinding(agent, bdf);
  if (binding === undefined) {
    throw new IronError('E_NOT_FOUND', `${bdf} is not bound by this agent`, {
      hint: 'nothing was changed; `ironport-agent status` shows what is bound',
      context: { device: bdf },
    });
  }
  await requireNoIncident(agent, sysfs, bdf);
  const plan = await planRelease(agent, sysfs, binding);
  // Before it is unbound: the kernel waits for whoever holds the device.
  const undone = await request.confined?.end();
  if (undone !== undefined)
    await agent.audit.append({ event: 'let-go', device: bdf, undone: [...undone] });
  await carryOut(agent, sysfs, plan, binding, request);
  return { device: bdf, driver: binding.driver.path, plan };
}

/**
 * Takes back that it is to be bound again: returns for which driver it was, null when that cannot be read,
 * and undefined when nothing was declared. What is damaged is withdrawn like the rest.
 */
async function withdraw(agent: Agent, bdf: string): Promise<string | null | undefined> {
  const unreadable = (): null => null;
  const kept = await loadKept(agent, bdf).catch(unreadable);
  const note = await loadUpgrade(agent, bdf).catch(unreadable);
  if (kept === undefined && note === undefined) return undefined;
  const path = kept?.driver.path ?? note?.from.path ?? null;
  await agent.audit.append({ event: 'withdrawn', device: bdf, path });
  await removeKept(agent, bdf);
  await removeFile(agent, agentState.upgrade(bdf));
  return path;
}

/** From what is found now to what was found then. */
export async function planRelease(agent: Agent, sysfs: Sysfs, binding: Binding): Promise<Plan> {
  const { device, bound, found } = binding;
  // Nothing is left of it to restore.
  if (await isVfThatWent(agent, sysfs, device)) return makePlan(device, found, found);
  const isThisBoot = binding.boot === (await readBootId(agent.proc));
  // A device that did not come back, as a virtual function that nobody made anew.
  if (!isThisBoot && (await folderOf(sysfs, device)) === undefined)
    return makePlan(device, found, found);
  const now = await readBinding(sysfs, await sysfs.deviceFolder(device));
  // sysfs forgot the binding at the last start: what is found is the kernel's own choice, and stays.
  if (!isThisBoot) return makePlan(device, now, now);
  if (!sameState(now, bound) && !sameState(now, found)) {
    throw new IronError('E_AGENT_REFUSED', `${device} is not as this agent left it`, {
      why: `expected ${describeState(bound)}; found ${describeState(now)}`,
      hint: `nothing was changed; bring it to "${describeState(found)}" by hand, then release it`,
      context: { reason: 'changed-meanwhile', device },
    });
  }
  return makePlan(device, now, found);
}

async function carryOut(
  agent: Agent,
  sysfs: Sysfs,
  plan: Plan,
  binding: Binding,
  request: ReleaseRequest,
): Promise<void> {
  const { device, domain } = binding;
  const journal = await Journal.begin(agent.place(agentState.journal(device)), {
    purpose: 'release',
    device,
    domain,
    boot: await readBootId(agent.proc),
    from: plan.from,
    to: plan.to,
    stations: plan.steps.map(({ before }) => before),
  });
  try {
    await applyPlan(plan, await applyingTo(agent, sysfs, device, journal, request));
  } catch (error) {
    if (isIronError(error, 'E_BIND_STUCK')) throw error;
    await journal.end();
    const { code, message } = asIronError(error);
    await agent.audit.append({ event: 'not-released', device, domain, code, message });
    throw error;
  }
  await removeBinding(agent, binding);
  await journal.end();
  await agent.audit.append(...transitions(device, 'claimed', 'draining', 'released'), {
    event: 'released',
    device,
    path: binding.driver.path,
    domain,
  });
}
