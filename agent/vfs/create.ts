/** Making virtual functions: gates, shares, plan, the plan carried out, and what came of it looked at. */

import { asIronError, IronError, isIronError } from '../../shared/errors.ts';
import { agentState } from '../../shared/layout.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import type { Agent } from '../agent.ts';
import { applyPlan, undo } from '../apply.ts';
import { gateEvents } from '../assess.ts';
import { decided } from '../decided.ts';
import { applyingTo, requireNoWriter } from '../device-hands.ts';
import { type Accepted, loadAccepted } from '../entry.ts';
import { requirePassed } from '../gates/gates.ts';
import { readGroup } from '../host/group.ts';
import { readBootId } from '../host/host-facts.ts';
import { readSriov } from '../host/sriov.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { Journal } from '../journal.ts';
import type { Plan } from '../plan.ts';
import { keepReserve } from '../quarantine/store.ts';
import { recoverDevice } from '../recover.ts';
import { drawDomain } from '../unique.ts';
import { requireUsable } from '../usable.ts';
import { assessVfs, planVfs } from './assess.ts';
import { budgetJson, loadVfSet, storeVfSet, type VfSet } from './set.ts';

export interface CreateRequest {
  /** Target path of an accepted driver whose ceiling manages virtual functions. */
  readonly name: string;
  readonly bdf: string;
  readonly count: number;
  readonly policy: string | undefined;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
}

export interface Created {
  readonly set: VfSet;
  readonly plan: Plan;
}

/**
 * Makes the virtual functions of `bdf`, each without a driver and in a group of its own. Throws what the
 * gates and `planVfs` throw, `E_NOTHING_TO_DO`, `E_CONFLICT`, `E_VF_GROUP`, `E_BIND_ROLLED_BACK`,
 * `E_BIND_STUCK`.
 */
export function createVfs(agent: Agent, sysfs: Sysfs, request: CreateRequest): Promise<Created> {
  const { name, bdf, count, policy } = request;
  return agent.alone(async () => {
    await agent.heads.requireSound();
    await agent.heads.sign();
    await keepReserve(agent);
    await recoverDevice(agent, sysfs, bdf);
    const driver = await loadAccepted(agent, name);
    await requireNone(agent, driver, bdf, count);
    const { plan, budget } = await decided(agent, { device: bdf, driver, policy }, async () => {
      await requireUsable(agent, driver);
      await requireNoWriter(agent, sysfs, bdf);
      const assessment = await assessVfs(agent, sysfs, bdf, driver);
      await agent.audit.append(...gateEvents(assessment, driver));
      requirePassed(bdf, assessment.decisions, 'gets no virtual functions');
      return await planVfs(agent, driver, assessment.device, count, policy);
    });
    const number = await drawDomain(agent);
    const set = await carryOut({ agent, sysfs, plan, request }, driver, number, budget);
    return { set, plan };
  });
}

/** This agent made none of the device in this boot. */
async function requireNone(
  agent: Agent,
  { artifact }: Accepted,
  bdf: string,
  count: number,
): Promise<void> {
  const set = await loadVfSet(agent, bdf);
  if (set === undefined || set.boot !== (await readBootId(agent.proc))) return;
  const isSame = set.driver.sha256 === artifact.sha256 && set.vfs.length === count;
  throw new IronError(
    isSame ? 'E_NOTHING_TO_DO' : 'E_CONFLICT',
    `${set.vfs.length} virtual functions of ${bdf} were made already, for ${set.driver.path}`,
    {
      hint: isSame
        ? 'nothing was changed; `ironport-agent status` shows them'
        : `nothing was changed; remove them first: ironport-agent vfs remove --device ${bdf}`,
      context: { device: bdf, count: set.vfs.length },
    },
  );
}

interface Carrying {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  readonly plan: Plan;
  readonly request: CreateRequest;
}

async function carryOut(
  { agent, sysfs, plan, request }: Carrying,
  { artifact: { path, sha256 } }: Accepted,
  number: number,
  budget: VfBudget,
): Promise<VfSet> {
  const { device, from: found, to: made } = plan;
  const boot = await readBootId(agent.proc);
  const stations = plan.steps.map(({ before }) => before);
  const head = { purpose: 'vfs create', device, boot, domain: number, stations } as const;
  const place = agent.place(agentState.journal(device));
  const journal = await Journal.begin(place, { ...head, from: found, to: made });
  let set: VfSet;
  try {
    const applying = await applyingTo(agent, sysfs, device, journal, { ...request, withVfs: true });
    await applyPlan(plan, applying);
    try {
      const vfs = await requireSeparate(sysfs, device, request.count);
      const driver = { path, sha256 };
      const madeAt = agent.clock();
      set = { device, driver, number, boot, madeAt, found, made, vfs, budget };
      await storeVfSet(agent, set);
    } catch (error) {
      await undo(stations, applying);
      throw error;
    }
  } catch (error) {
    // Stuck: the journal stays, and with it the knowledge of how the device was.
    if (isIronError(error, 'E_BIND_STUCK')) throw error;
    await journal.end();
    const { code, message } = asIronError(error);
    await agent.audit.append({ event: 'vfs-not-made', device, number, code, message });
    throw error;
  }
  await journal.end();
  const { vfs } = set;
  const event = { event: 'vfs-made', device, path, number, vfs: [...vfs] };
  await agent.audit.append({ ...event, budget: budgetJson(budget) });
  return set;
}

/** As many as were asked for, each of this device, without a driver, alone in its group. */
async function requireSeparate(sysfs: Sysfs, device: string, count: number): Promise<string[]> {
  const vfs = (await readSriov(sysfs, await sysfs.deviceFolder(device)))?.vfs ?? [];
  const undone = 'the virtual functions were removed again, and all is as before';
  if (vfs.length !== count)
    throw new IronError('E_VF_COUNT', `${vfs.length} virtual functions came, and not ${count}`, {
      hint: undone,
      context: { device, count: vfs.length },
    });
  for (const vf of vfs) {
    const folder = await sysfs.deviceFolder(vf);
    const driver = await sysfs.linkName(`${folder}/driver`);
    if (driver !== undefined || (await sysfs.linkName(`${folder}/physfn`)) !== device)
      throw new IronError('E_VF_IN_USE', `${vf} is not ours to give`, {
        why: driver === undefined ? `it is none of ${device}` : `driver ${driver} has it`,
        hint: undone,
        context: { device: vf },
      });
    const group = await readGroup(sysfs, folder);
    const [first, ...others] = group?.members ?? [];
    if (first?.path === vf && others.length === 0) continue;
    const shared = group?.members.map(({ path }) => path).filter((path) => path !== vf) ?? [];
    throw new IronError('E_VF_GROUP', `${vf} is not in an IOMMU group of its own`, {
      why: group === null ? 'it is in none' : `group ${group.id} also holds ${shared.join(', ')}`,
      hint: `${undone}; use a slot whose port isolates (ACS)`,
      context: { device: vf },
    });
  }
  return [...vfs];
}
