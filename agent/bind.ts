/** Binding an accepted driver's device: gates, grant, plan, and the plan carried out. */

import { resolve } from 'node:path';
import { asIronError, isIronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import type { HostState } from '../shared/manifest/host-lifecycle.ts';
import type { DeviceName } from '../shared/manifest/quarantine.ts';
import type { Agent } from './agent.ts';
import { applyPlan, undo } from './apply.ts';
import type { AuditEvent } from './audit.ts';
import { type Binding, loadBinding, removeFile, removeGrant, storeBinding } from './binding.ts';
import { type Confined, confine } from './confine.ts';
import { type ConfineStep, planConfinement } from './confine-plan.ts';
import { applyingTo } from './device-hands.ts';
import { driveDevice } from './drive.ts';
import { type Accepted, loadAccepted } from './entry.ts';
import { requireFree } from './free.ts';
import { drawNumbers, signGrant } from './grant.ts';
import type { BackendName } from './host/backend.ts';
import { openDevice } from './host/choose-backend.ts';
import { readBootId } from './host/host-facts.ts';
import type { Sysfs } from './host/sysfs.ts';
import { requireNoTranslation } from './host/translation.ts';
import { Journal } from './journal.ts';
import { declare, type Manner } from './kept.ts';
import { boundState, makePlan, type Plan } from './plan.ts';
import type { PreparedRun } from './prepare-run.ts';
import { keepReserve } from './quarantine/store.ts';
import { makeReady, type Ready } from './ready.ts';
import { giveReceipt } from './receipt.ts';
import { recoverDevice } from './recover.ts';
import { transitions } from './transitions.ts';
import type { Before } from './usable.ts';
import { parentAddress } from './vfs/parent.ts';
import { type Baseline, takeBaseline } from './watch/baseline.ts';

export interface BindRequest {
  /** Target path of an accepted driver. */
  readonly name: string;
  readonly bdf: string;
  readonly policy: string | undefined;
  /**
   * Confine the device too, and hold it; needs the kernel that sysfs is of. Without it the device is
   * bound and no more.
   */
  readonly confine?: { readonly backend?: BackendName; readonly run?: RunRequest };
  /** This host had it bound to this device: then what it rests on may be stale for a while. */
  readonly before?: Before;
  /** Declare it: bound again like this whenever the machine starts. */
  readonly keep?: Manner;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
}

/** Run the driver as well. */
export interface RunRequest {
  /** A folder of control groups that is delegated to the agent. */
  readonly cgroup: string;
}

export interface Bound {
  readonly binding: Binding;
  readonly grant: Grant;
  readonly plan: Plan;
  /** What holds the device inside its grant; whoever asked for it ends it. */
  readonly confined: Confined | undefined;
  /** Taken before the confined device could reach anything; whoever watches it closes it. */
  readonly baseline: Baseline | undefined;
  /** It rests on metadata that is past its expiry, by the leave of the fleet policy. */
  readonly isStale: boolean;
}

/** What confining a device needs beside its grant. */
interface Confinement {
  readonly backend: BackendName;
  readonly steps: readonly ConfineStep[];
  readonly prepared: PreparedRun | undefined;
  readonly translation: readonly string[];
}

/**
 * Binds the device, and confines it where that is asked for. `E_NOT_FOUND`, `E_NOTHING_TO_DO`,
 * `E_CONFLICT`, `E_EXPIRED`, `E_REVOKED`, what the gates and
 * the grant throw, `E_BIND_ROLLED_BACK`, `E_BIND_STUCK`.
 */
export function bind(agent: Agent, sysfs: Sysfs, request: BindRequest): Promise<Bound> {
  return agent.alone(async () => {
    const bound = await bindAlone(agent, sysfs, request);
    // An upgrade that was broken off here is over: somebody said what is to be bound instead.
    await removeFile(agent, agentState.upgrade(request.bdf));
    return bound;
  });
}

/** The same, for who holds the lock. */
export async function bindAlone(agent: Agent, sysfs: Sysfs, request: BindRequest): Promise<Bound> {
  const { name, bdf } = request;
  // What cannot be written down, or contradicts what was signed, is no ground to bind on.
  await agent.heads.requireSound();
  await agent.heads.sign();
  await keepReserve(agent);
  // First what its physical function is in the middle of: that may take it away.
  const parent = await parentAddress(sysfs, bdf);
  if (parent !== undefined) await recoverDevice(agent, sysfs, parent);
  await recoverDevice(agent, sysfs, bdf);
  const driver = await loadAccepted(agent, name);
  await requireFree(agent, sysfs, driver, bdf);
  const ready = await makeReady(agent, sysfs, driver, request, () => drawNumbers(agent));
  const { grant, prepared, isStale } = ready;
  const found = ready.device.binding;
  const plan = makePlan(bdf, found, boundState(found));
  let withdraw: (() => Promise<void>) | undefined;
  try {
    withdraw = await declareIt(agent, ready.device, driver, request);
    const { binding, confined, baseline } = await carryOut(
      { agent, sysfs, plan, driver, grant, request },
      confinementOf(plan, ready),
    );
    return { binding, grant, plan, confined, baseline, isStale };
  } catch (error) {
    // What counts as bound stays declared; so does what may still be bound by hand.
    if ((await loadBinding(agent, bdf)) === undefined) await withdraw?.();
    throw error;
  } finally {
    prepared?.close();
  }
}

async function declareIt(
  agent: Agent,
  device: DeviceName,
  { artifact }: Accepted,
  { keep: manner, policy }: BindRequest,
): Promise<(() => Promise<void>) | undefined> {
  if (manner === undefined) return undefined;
  const driver = { path: artifact.path, sha256: artifact.sha256 };
  const place = policy === undefined ? null : resolve(policy);
  const kept = { device, driver, policy: place, manner, keptAt: agent.clock() };
  return await declare(agent, kept);
}

function confinementOf(plan: Plan, ready: Ready): Confinement | undefined {
  const { grant, backend, prepared, translation } = ready;
  if (backend === undefined) return undefined;
  const kind = prepared === undefined ? 'held' : 'driven';
  const steps = planConfinement(grant, plan.steps.length + 1, kind);
  return { backend, steps, prepared, translation };
}

interface Carrying {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  readonly plan: Plan;
  readonly driver: Accepted;
  readonly grant: Grant;
  readonly request: BindRequest;
}

async function carryOut(
  carrying: Carrying,
  confinement: Confinement | undefined,
): Promise<Pick<Bound, 'binding' | 'confined' | 'baseline'>> {
  const { agent, sysfs, plan, driver, grant, request } = carrying;
  const { device } = plan;
  const domain = grant.manifest.iommuDomain;
  const boot = await readBootId(agent.proc);
  const stations = plan.steps.map(({ before }) => before);
  const head = { purpose: 'bind', device, boot, domain, stations } as const;
  const path = agent.place(agentState.journal(device));
  const journal = await Journal.begin(path, { ...head, from: plan.from, to: plan.to });
  let binding: Binding;
  let confined: Confined | undefined;
  let baseline: Baseline | undefined;
  try {
    // After the journal began, so that a grant without a binding is found and taken back.
    const grantSha256 = await giveGrant(agent, grant);
    const applying = await applyingTo(agent, sysfs, device, journal, request);
    await applyPlan(plan, applying);
    binding = bindingOf(agent, plan, driver, { domain, grantSha256, boot });
    try {
      if (confinement !== undefined)
        confined = await confineIt(carrying, confinement, journal, async () => {
          baseline = await takeBaseline(sysfs, device);
        });
      // From the write of the binding on the device is bound, whatever happens to the journal. A disk that is full
      // must not leave a device that is bound and counts for nothing.
      await giveReceipt(agent, binding, { grant, driver, confined });
      await storeBinding(agent, binding);
    } catch (error) {
      // Before it is unbound: the kernel waits for whoever holds the device.
      await confined?.end();
      baseline?.close();
      await undo(stations, applying);
      throw error;
    }
  } catch (error) {
    // Stuck: the journal stays, and with it the knowledge of where the device came from.
    if (isIronError(error, 'E_BIND_STUCK')) throw error;
    await takeBack(agent, journal, device, domain, error);
    throw error;
  }
  try {
    await journal.end();
    await agent.audit.append(...transitions(device, 'admitted', 'claimed', ...statesOf(confined)), {
      event: 'bound',
      device,
      path: binding.driver.path,
      domain,
    });
  } catch (error) {
    // It counts as bound; what nobody would hold is not left to run.
    await confined?.end();
    baseline?.close();
    throw error;
  }
  return { binding, confined, baseline };
}

function statesOf(confined: Confined | undefined): HostState[] {
  if (confined === undefined) return [];
  return confined.running === undefined ? ['confined'] : ['confined', 'active'];
}

async function confineIt(
  { agent, sysfs, plan: { device }, grant, request }: Carrying,
  { backend, steps, prepared, translation }: Confinement,
  journal: Journal,
  beforeReach: () => Promise<void>,
): Promise<Confined> {
  const record = (event: AuditEvent): Promise<unknown> => agent.audit.append(event);
  return await confine({
    device,
    grant,
    steps,
    journal,
    open: () => openDevice(backend, sysfs, device),
    beforeReach,
    checkTranslation: async () => {
      const enabled = await requireNoTranslation(sysfs, device, translation);
      if (enabled.length > 0)
        await record({ event: 'translation-trusted', device, enabled: [...enabled] });
    },
    record,
    ...(prepared === undefined
      ? {}
      : {
          run: (parts) => driveDevice({ device, grant, prepared, parts, record, proc: agent.proc }),
        }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
    ...(request.onStep === undefined ? {} : { onStep: request.onStep }),
  });
}

function bindingOf(
  agent: Agent,
  plan: Plan,
  { artifact: { path, sha256 } }: Accepted,
  names: Pick<Binding, 'domain' | 'grantSha256' | 'boot'>,
): Binding {
  const { device, from: found, to: bound } = plan;
  return { device, driver: { path, sha256 }, ...names, boundAt: agent.clock(), found, bound };
}

/** Nothing is bound: the grant goes, and then the journal. */
async function takeBack(
  agent: Agent,
  journal: Journal,
  device: string,
  domain: number,
  error: unknown,
): Promise<void> {
  await removeGrant(agent, domain);
  await journal.end();
  const { code, message } = asIronError(error);
  await agent.audit.append(...transitions(device, 'admitted', 'failed'), {
    ...{ event: 'not-bound', device, domain, code, message },
  });
}

async function giveGrant(agent: Agent, grant: Grant): Promise<string> {
  const grantSha256 = await signGrant(agent, grant);
  const device = grant.device.path;
  await agent.audit.append(...transitions(device, 'discovered', 'verified', 'admitted'), {
    event: 'grant',
    device,
    path: grant.artifact.path,
    domain: grant.manifest.iommuDomain,
    grant_sha256: grantSha256,
    resource_manifest_sha256: grant.manifestSha256,
  });
  return grantSha256;
}
