/** Removing virtual functions: their number and autoprobe are again what they were before. */

import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { agentState } from '../../shared/layout.ts';
import type { Agent } from '../agent.ts';
import { applyPlan } from '../apply.ts';
import { listBindings } from '../binding.ts';
import { describeState, sameState } from '../binding-state.ts';
import { applyingTo } from '../device-hands.ts';
import { withoutDriver } from '../gates/pf-no-driver.ts';
import { readBootId } from '../host/host-facts.ts';
import { readBinding } from '../host/inventory.ts';
import { readSriov, readVfState } from '../host/sriov.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { Journal } from '../journal.ts';
import { makePlan, type Plan } from '../plan.ts';
import { requireNoIncident } from '../quarantine/find.ts';
import { recoverDevice } from '../recover.ts';
import { Survey } from '../survey.ts';
import { readPresentVfs } from './assess.ts';
import { folderOf } from './parent.ts';
import { loadVfSet, removeVfSet, type VfSet } from './set.ts';

export interface RemoveRequest {
  /** The physical function. */
  readonly bdf: string;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
}

export interface Removed {
  readonly set: VfSet;
  /** Empty when the machine was started anew since, or the device is gone. */
  readonly plan: Plan;
}

/**
 * Removes what `createVfs` made. `E_NOT_FOUND`, `E_VF_IN_USE`, `E_PF_GONE`, `E_PF_NO_DRIVER`,
 * `E_QUARANTINED`, `E_AGENT_REFUSED`, `E_BIND_ROLLED_BACK`, `E_BIND_STUCK`.
 */
export function removeVfs(agent: Agent, sysfs: Sysfs, request: RemoveRequest): Promise<Removed> {
  const { bdf } = request;
  return agent.alone(async () => {
    await recoverDevice(agent, sysfs, bdf);
    const set = await loadVfSet(agent, bdf);
    if (set === undefined)
      throw new IronError('E_NOT_FOUND', `this agent made no virtual functions of ${bdf}`, {
        hint: 'nothing was changed; `ironport-agent status` shows those that it made',
        context: { device: bdf },
      });
    const plan = await planRemoval(agent, sysfs, set);
    await carryOut(agent, sysfs, plan, set, request);
    return { set, plan };
  });
}

/** From what is found now to what was found then. */
export async function planRemoval(agent: Agent, sysfs: Sysfs, set: VfSet): Promise<Plan> {
  const { device, found, made } = set;
  const nothing = makePlan(device, found, found);
  // sysfs forgot them at the last start.
  if (set.boot !== (await readBootId(agent.proc))) return nothing;
  const folder = await folderOf(sysfs, device);
  if (folder === undefined) {
    await requireUnbound(agent, set);
    return nothing;
  }
  await requireNoIncident(agent, sysfs, device);
  await requireUnused(agent, sysfs, set, (await readSriov(sysfs, folder))?.vfs ?? []);
  const now = { ...(await readBinding(sysfs, folder)), vfs: await readVfState(sysfs, folder) };
  const objection = withoutDriver(device, now.driver);
  if (objection !== undefined)
    throw new IronError('E_PF_NO_DRIVER', `the virtual functions stay: ${objection.what}`, {
      hint: `nothing was changed; ${objection.remedy}`,
      context: { device },
    });
  if (!sameState(now, made) && !sameState(now, found))
    throw new IronError('E_AGENT_REFUSED', `${device} is not as this agent left it`, {
      why: `expected ${describeState(made)}; found ${describeState(now)}`,
      hint: `nothing was changed; bring it to "${describeState(found)}" by hand, then remove them`,
      context: { reason: 'changed-meanwhile', device },
    });
  return makePlan(device, now, found);
}

/** What is bound must be released while its record is there, and not after. */
async function requireUnbound(agent: Agent, { device, vfs }: VfSet): Promise<void> {
  const bound = (await listBindings(agent)).filter((one) => vfs.includes(one.device));
  const [first] = bound;
  if (first === undefined) return;
  throw new IronError(
    'E_PF_GONE',
    `${device} is gone, and ${bound.length} of its virtual functions are bound still`,
    {
      why: `among them ${first.device}, for ${first.driver.path}`,
      hint: `nothing was changed; release them: ironport-agent release --device ${first.device}`,
      context: { device, bound: bound.length },
    },
  );
}

async function requireUnused(
  agent: Agent,
  sysfs: Sysfs,
  { device }: VfSet,
  vfs: readonly string[],
): Promise<void> {
  const present = await readPresentVfs(new Survey(agent, sysfs), vfs);
  const used = present.find(({ driver, holder }) => driver !== null || holder !== null);
  if (used === undefined) return;
  throw new IronError('E_VF_IN_USE', `${used.path}, a virtual function of ${device}, is in use`, {
    why: used.holder ?? `driver ${used.driver} has it`,
    hint: `nothing was changed; release it first: ironport-agent release --device ${used.path}`,
    context: { device: used.path },
  });
}

async function carryOut(
  agent: Agent,
  sysfs: Sysfs,
  plan: Plan,
  set: VfSet,
  request: RemoveRequest,
): Promise<void> {
  const { device, number } = set;
  const journal = await Journal.begin(agent.place(agentState.journal(device)), {
    purpose: 'vfs remove',
    device,
    domain: number,
    boot: await readBootId(agent.proc),
    from: plan.from,
    to: plan.to,
    stations: plan.steps.map(({ before }) => before),
  });
  try {
    await applyPlan(
      plan,
      await applyingTo(agent, sysfs, device, journal, { ...request, withVfs: true }),
    );
  } catch (error) {
    if (isIronError(error, 'E_BIND_STUCK')) throw error;
    await journal.end();
    const { code, message } = asIronError(error);
    await agent.audit.append({ event: 'vfs-not-removed', device, number, code, message });
    throw error;
  }
  await removeVfSet(agent, set);
  await journal.end();
  await agent.audit.append({ event: 'vfs-removed', device, number, vfs: [...set.vfs] });
}
