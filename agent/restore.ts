/**
 * Binding again what was declared, at the start of a machine: each after every gate again, from the fleet
 * policy as it is then. What this host had bound, the same bytes to the same device, needs no fresh
 * metadata for as long as that policy says; a revocation, a withdrawal and a floor count as ever. One
 * that is not bound leaves the others served.
 */

import { asIronError, IronError } from '../shared/errors.ts';
import type { Agent } from './agent.ts';
import { type BindRequest, type Bound, bindAlone } from './bind.ts';
import { loadBinding } from './binding.ts';
import { findHolders } from './host/holders.ts';
import { readBootId } from './host/host-facts.ts';
import type { Sysfs } from './host/sysfs.ts';
import { type Kept, listKept, loadKept } from './kept.ts';
import { recoverDevice } from './recover.ts';
import { releaseAlone } from './release.ts';
import { settleUpgrade } from './upgrade.ts';

export interface Restored {
  readonly device: string;
  /** Target path; undefined when the declaration cannot be read. */
  readonly driver: string | undefined;
  /** What was bound; undefined when it was before, or is not. */
  readonly bound: Bound | undefined;
  /** Why it is not bound. */
  readonly error: IronError | undefined;
}

export interface RestoreRequest {
  /** Only this device. */
  readonly bdf?: string | undefined;
  /** Instead of the policies that the declarations name. */
  readonly policy?: string | undefined;
  readonly signal?: AbortSignal;
  readonly onStep?: (text: string) => void;
  /** Told of each at once: what is confined must be held before the next one is looked at. */
  readonly onRestored: (restored: Restored) => void;
}

/** Restores what is declared, in the order of addresses. Throws nothing about a single device. */
export async function restore(
  agent: Agent,
  sysfs: Sysfs,
  request: RestoreRequest,
): Promise<Restored[]> {
  const all: Restored[] = [];
  for (const device of await listKept(agent)) {
    if (request.bdf !== undefined && request.bdf !== device) continue;
    const restored = await restoreOne(agent, sysfs, device, request);
    all.push(restored);
    request.onRestored(restored);
  }
  return all;
}

async function restoreOne(
  agent: Agent,
  sysfs: Sysfs,
  device: string,
  request: RestoreRequest,
): Promise<Restored> {
  let driver: string | undefined;
  try {
    const bound = await agent.alone(async () => {
      await recoverDevice(agent, sysfs, device);
      await settleUpgrade(agent, sysfs, device);
      // After that: an upgrade takes its declaration along.
      const kept = await loadKept(agent, device);
      if (kept === undefined) return undefined;
      driver = kept.driver.path;
      if (await isServed(agent, sysfs, kept)) return undefined;
      // Of another start, or held by nobody any more: closed, and bound anew.
      if ((await loadBinding(agent, device)) !== undefined)
        await releaseAlone(agent, sysfs, { bdf: device, ...stepsOf(request) });
      return await bindAlone(agent, sysfs, requestOf(kept, request));
    });
    if (bound !== undefined) await note(agent, bound);
    return { device, driver, bound, error: undefined };
  } catch (thrown) {
    const error = asIronError(thrown);
    const { code, message } = error;
    await agent
      .alone(() => agent.audit.append({ event: 'not-restored', device, code, message }))
      .catch(() => {});
    return { device, driver, bound: undefined, error };
  }
}

/** Bound as it was declared in this start, and held if it is to be. `E_CONFLICT` when it is bound otherwise. */
async function isServed(
  agent: Agent,
  sysfs: Sysfs,
  { device, driver, manner }: Kept,
): Promise<boolean> {
  const binding = await loadBinding(agent, device.path);
  if (binding?.boot !== (await readBootId(agent.proc))) return false;
  if (binding.driver.path !== driver.path || binding.driver.sha256 !== driver.sha256) {
    throw new IronError('E_CONFLICT', `${device.path} is bound for ${binding.driver.path}`, {
      why: `${driver.path} is what was declared for it, and other bytes have it`,
      hint: `nothing was changed; release the device, which withdraws the declaration, and bind and declare what is wanted: ironport-agent apply --keep`,
      context: { device: device.path },
    });
  }
  if (!manner.hold) return true;
  return (await findHolders(sysfs, device.path, agent.proc)).length > 0;
}

function requestOf({ device, driver, policy, manner }: Kept, request: RestoreRequest): BindRequest {
  const { hold, backend, cgroup } = manner;
  return {
    name: driver.path,
    bdf: device.path,
    policy: request.policy ?? policy ?? undefined,
    before: { sha256: driver.sha256, device },
    ...(hold
      ? {
          confine: {
            ...(backend && { backend }),
            ...(cgroup !== undefined && { run: { cgroup } }),
          },
        }
      : {}),
    ...stepsOf(request),
  };
}

function stepsOf({ signal, onStep }: RestoreRequest): Pick<BindRequest, 'signal' | 'onStep'> {
  return { ...(signal && { signal }), ...(onStep && { onStep }) };
}

/** That it rests on what is stale is written down; a log that takes no line undoes no binding. */
async function note(agent: Agent, { binding, isStale }: Bound): Promise<void> {
  const event = {
    event: 'restored',
    device: binding.device,
    path: binding.driver.path,
    stale: isStale,
  };
  await agent.alone(() => agent.audit.append(event)).catch(() => {});
}
