/** All that must hold before a device is touched for a driver; nothing of the device changes here. */

import type { Grant } from '../shared/manifest/grant.ts';
import { entryFor, type Translation } from '../shared/manifest/policy.ts';
import type { Agent } from './agent.ts';
import { assess, gateEvents } from './assess.ts';
import type { BindRequest } from './bind.ts';
import { decided } from './decided.ts';
import { requireNoWriter } from './device-hands.ts';
import type { Accepted } from './entry.ts';
import { requirePassed } from './gates/gates.ts';
import { type GrantNumbers, grantFor, loadPolicy } from './grant.ts';
import type { BackendName } from './host/backend.ts';
import { chooseBackend } from './host/choose-backend.ts';
import type { DeviceSnapshot } from './host/inventory.ts';
import { memlockLimit, requireMemlock } from './host/memlock.ts';
import type { Sysfs } from './host/sysfs.ts';
import { type PreparedRun, prepareRun } from './prepare-run.ts';
import { requireSameDevice, requireSameDriver, requireUsable } from './usable.ts';

export interface Ready {
  readonly device: DeviceSnapshot;
  readonly grant: Grant;
  /** What would hold it; undefined when nothing is to. */
  readonly backend: BackendName | undefined;
  /** The driver, opened and measured, when it is to run; whoever asked closes it. */
  readonly prepared: PreparedRun | undefined;
  /** What the fleet policy lets the device have enabled to translate addresses by itself. */
  readonly translation: readonly Translation[];
  /** It rests on metadata that is past its expiry, by the leave of the fleet policy. */
  readonly isStale: boolean;
}

/**
 * Asks everything: the driver, every gate, the fleet policy, the memory, the run. Throws what any of them
 * throws. `numbers` are drawn when all that comes before them holds. What is decided is audited.
 */
export function makeReady(
  agent: Agent,
  sysfs: Sysfs,
  driver: Accepted,
  request: BindRequest,
  numbers: () => Promise<GrantNumbers>,
): Promise<Ready> {
  return decided(
    agent,
    { device: request.bdf, driver, policy: request.policy },
    () => askAll(agent, sysfs, driver, request, numbers),
    {
      giveBack: ({ prepared }) => prepared?.close(),
      policyOf: ({ grant }) => grant.policySha256,
    },
  );
}

async function askAll(
  agent: Agent,
  sysfs: Sysfs,
  driver: Accepted,
  request: BindRequest,
  numbers: () => Promise<GrantNumbers>,
): Promise<Ready> {
  const { bdf, before } = request;
  // Without leave for what is stale, a missing policy is no reason to hide that it is.
  const grace = before && (await loadPolicy(agent, request.policy)).policy.rebindGraceSeconds;
  if (before !== undefined) requireSameDriver(before, driver);
  const isStale = await requireUsable(agent, driver, grace);
  await requireNoWriter(agent, sysfs, bdf);

  const assessment = await assess(agent, sysfs, bdf, driver);
  await agent.audit.append(...gateEvents(assessment, driver));
  requirePassed(bdf, assessment.decisions);
  const { device } = assessment;
  if (before !== undefined) requireSameDevice(before, device);

  const policy = await loadPolicy(agent, request.policy);
  const grant = grantFor(agent, driver, assessment, policy, await numbers());
  const run = request.confine?.run;
  const prepared = run && prepareRun(agent, driver, policy.policy, device, grant, run.cgroup);
  try {
    const backend = await backendFor(agent, grant, request);
    const { translation } = entryFor(policy.policy, driver.artifact.path, device);
    return { device, grant, backend, prepared, translation, isStale };
  } catch (error) {
    prepared?.close();
    throw error;
  }
}

/** Which backend, and whether the memory fits. */
async function backendFor(
  agent: Agent,
  grant: Grant,
  { confine }: BindRequest,
): Promise<BackendName | undefined> {
  if (confine === undefined) return undefined;
  requireMemlock(grant.dma.totalBytes, await memlockLimit(agent.proc));
  return await chooseBackend(confine.backend);
}
