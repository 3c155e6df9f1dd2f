/** Binding an accepted driver's device: gates, grant, plan, and the plan carried out. */

import { asIronError, IronError, isIronError } from '../shared/errors.ts';
import { acceptedFile, agentState } from '../shared/layout.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import type { HostState } from '../shared/manifest/host-lifecycle.ts';
import { hashFile } from '../shared/node/hash.ts';
import { requireNotRevoked } from '../shared/revocation/judge.ts';
import { formatInstant, formatSpan } from '../shared/time.ts';
import type { Agent } from './agent.ts';
import { applyPlan, undo } from './apply.ts';
import { assess, gateEvents } from './assess.ts';
import type { AuditEvent } from './audit.ts';
import { type Binding, loadBinding, removeGrant, storeBinding } from './binding.ts';
import { type Confined, confine } from './confine.ts';
import { type ConfineStep, planConfinement } from './confine-plan.ts';
import { applyingTo, requireNoWriter } from './device-hands.ts';
import { driveDevice } from './drive.ts';
import { type Accepted, loadAccepted } from './entry.ts';
import { requirePassed } from './gates/gates.ts';
import { drawNumbers, grantFor, loadPolicy, signGrant } from './grant.ts';
import type { BackendName } from './host/backend.ts';
import { chooseBackend, openDevice } from './host/choose-backend.ts';
import { readBootId } from './host/host-facts.ts';
import { memlockLimit, requireMemlock } from './host/memlock.ts';
import type { Sysfs } from './host/sysfs.ts';
import { requireNoTranslation } from './host/translation.ts';
import { Journal } from './journal.ts';
import { boundState, makePlan, type Plan } from './plan.ts';
import { type PreparedRun, prepareRun } from './prepare-run.ts';
import { requireNoIncident } from './quarantine/find.ts';
import { keepReserve } from './quarantine/store.ts';
import { giveReceipt } from './receipt.ts';
import { recoverDevice } from './recover.ts';
import { loadInForce, subjectOf } from './revocations.ts';
import { transitions } from './transitions.ts';
import { loadPresent } from './trust.ts';
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
}

/** What confining a device needs beside its grant. */
interface Confinement {
  readonly backend: BackendName;
  readonly steps: readonly ConfineStep[];
  readonly prepared: PreparedRun | undefined;
}

/**
 * Binds the device, and confines it where that is asked for. `E_NOT_FOUND`, `E_NOTHING_TO_DO`,
 * `E_CONFLICT`, `E_EXPIRED`, `E_REVOKED`, what the gates and
 * the grant throw, `E_BIND_ROLLED_BACK`, `E_BIND_STUCK`.
 */
export function bind(agent: Agent, sysfs: Sysfs, request: BindRequest): Promise<Bound> {
  const { name, bdf } = request;
  return agent.alone(async () => {
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
    await requireUsable(agent, driver);
    await requireNoWriter(agent, sysfs, bdf);

    const assessment = await assess(agent, sysfs, bdf, driver);
    await agent.audit.append(...gateEvents(assessment, driver));
    requirePassed(bdf, assessment.decisions);

    const policy = await loadPolicy(agent, request.policy);
    const grant = grantFor(agent, driver, assessment, policy, await drawNumbers(agent));
    const found = assessment.device.binding;
    const plan = makePlan(bdf, found, boundState(found));
    const run = request.confine?.run;
    const prepared =
      run && prepareRun(agent, driver, policy.policy, assessment.device, grant, run.cgroup);
    try {
      const confinement = await prepareConfinement(agent, plan, grant, prepared, request);
      const { binding, confined, baseline } = await carryOut(
        { agent, sysfs, plan, driver, grant, request },
        confinement,
      );
      return { binding, grant, plan, confined, baseline };
    } finally {
      prepared?.close();
    }
  });
}

/** What can be known before anything is touched: which backend, and whether the memory fits. */
async function prepareConfinement(
  agent: Agent,
  plan: Plan,
  grant: Grant,
  prepared: PreparedRun | undefined,
  { confine: wanted }: BindRequest,
): Promise<Confinement | undefined> {
  if (wanted === undefined) return undefined;
  requireMemlock(grant.dma.totalBytes, await memlockLimit(agent.proc));
  return {
    backend: await chooseBackend(wanted.backend),
    steps: planConfinement(
      grant,
      plan.steps.length + 1,
      prepared === undefined ? 'held' : 'driven',
    ),
    prepared,
  };
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
  { backend, steps, prepared }: Confinement,
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
    checkTranslation: () => requireNoTranslation(sysfs, device),
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

/** The device must be nobody's. */
async function requireFree(
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

/** What was accepted must still be fresh, and still be what was accepted. */
export async function requireUsable(agent: Agent, driver: Accepted): Promise<void> {
  const { artifact, freshUntil } = driver;
  const now = await loadPresent(agent);
  // TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5: nothing new is built on metadata that is past its expiry.
  if (freshUntil <= now) {
    throw new IronError(
      'E_EXPIRED',
      `${artifact.path} was accepted on metadata that is past its expiry`,
      {
        why: `the first of it expired ${formatSpan(now - freshUntil)} ago, at ${formatInstant(freshUntil)}`,
        hint: 'nothing was changed; let the client refresh, hand over and accept again',
        context: { path: artifact.path },
      },
    );
  }
  // A list that came after it was accepted counts as well.
  requireNotRevoked(await loadInForce(agent), subjectOf(driver));
  const place = agent.place(`${agentState.accepted(artifact.path)}/${acceptedFile.artifact}`);
  const found = await hashFile(place, { nofollow: true });
  if (found.length !== artifact.length || found.sha256 !== artifact.sha256) {
    throw new IronError('E_STORE', `the accepted copy of ${artifact.path} was changed`, {
      why: `its SHA-256 is ${found.sha256}, and ${artifact.sha256} was accepted`,
      hint: 'nothing was changed; accept it again, and find out who can write into the state folder',
      context: { path: artifact.path },
    });
  }
}
