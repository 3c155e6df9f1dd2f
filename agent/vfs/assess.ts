/** Whether virtual functions can be made of a device, and what each would have; changes nothing. */

import { IronError } from '../../shared/errors.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import { entryFor, requireGeneration } from '../../shared/manifest/policy.ts';
import { allotVfs } from '../../shared/manifest/vf-allotment.ts';
import type { Agent } from '../agent.ts';
import type { Assessment } from '../assess.ts';
import { loadBinding } from '../binding.ts';
import type { BindingState } from '../binding-state.ts';
import type { Accepted } from '../entry.ts';
import { loadPolicy } from '../grant.ts';
import { type DeviceSnapshot, readBinding, readName } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { makePlan, type Plan } from '../plan.ts';
import { Survey } from '../survey.ts';
import { askVfGates, type PresentVf } from './gates.ts';

/** Reads the physical function and asks every gate. */
export async function assessVfs(
  agent: Agent,
  sysfs: Sysfs,
  bdf: string,
  driver?: Accepted,
): Promise<Assessment> {
  const survey = new Survey(agent, sysfs);
  const device = await survey.device(bdf);
  const host = await survey.host();
  const incident = await survey.incidentOf(bdf, device);
  const vfs = await readPresentVfs(survey, device.sriov?.vfs ?? []);
  const decisions = askVfGates({ device, host, incident, vfs, ...(driver && { driver }) });
  return { device, host, decisions, incident, parent: undefined, vfs };
}

/** Who has each of these virtual functions. */
export async function readPresentVfs(
  survey: Survey,
  addresses: readonly string[],
): Promise<PresentVf[]> {
  const { agent, sysfs } = survey;
  const found: PresentVf[] = [];
  for (const path of addresses) {
    const { driver } = await readBinding(sysfs, await sysfs.deviceFolder(path));
    const binding = await loadBinding(agent, path);
    const name = await readName(sysfs, path).catch(() => undefined);
    const incident = await survey.incidentOf(path, name);
    const holder =
      incident !== undefined
        ? `in quarantine by incident ${incident.id}`
        : binding !== undefined
          ? `bound for ${binding.driver.path}`
          : null;
    found.push({ path, driver, holder });
  }
  return found;
}

export interface VfPlan {
  readonly plan: Plan;
  /** Of each. */
  readonly budget: VfBudget;
}

/** The steps, once every gate let the device pass. Throws as `loadPolicy`, `entryFor` and `allotVfs` do. */
export async function planVfs(
  agent: Agent,
  driver: Accepted,
  device: DeviceSnapshot,
  count: number,
  policyFile: string | undefined,
): Promise<VfPlan> {
  const { policy } = await loadPolicy(agent, policyFile);
  const { artifact, ceiling } = driver;
  const entry = entryFor(policy, artifact.path, device);
  requireGeneration(ceiling, entry);
  const totalVfs = device.sriov?.totalVfs ?? 0;
  const { pageSize } = policy;
  const claim = ceiling.virtualFunctions;
  const budget = allotVfs({ claim, entry, pageSize, count, totalVfs });
  const found = stateWithVfs(device);
  const made: BindingState = { ...found, vfs: { count, autoprobe: false } };
  return { plan: makePlan(device.path, found, made), budget };
}

function stateWithVfs({ path, binding, sriov }: DeviceSnapshot): BindingState {
  if (sriov === null) throw new IronError('E_NO_SRIOV', `${path} cannot have virtual functions`);
  return { ...binding, vfs: { count: sriov.numVfs, autoprobe: sriov.autoprobe } };
}
