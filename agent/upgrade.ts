/**
 * From one version of a driver to another: all that can be asked is asked of the new one while the old one
 * is bound; then the device is let go of, given back and bound anew. When that fails the version before
 * is bound again, if this host would still take it. A note says what was under way from before the first
 * step until one of the two is bound, so that a crash in between is brought to one of these ends.
 */

import { resolve } from 'node:path';
import { asIronError, IronError, isIronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import type { DeviceName } from '../shared/manifest/quarantine.ts';
import type { Agent } from './agent.ts';
import { type BindRequest, type Bound, bindAlone } from './bind.ts';
import { type Binding, loadBinding, removeFile } from './binding.ts';
import { type Accepted, loadAccepted } from './entry.ts';
import { PREVIEW } from './grant.ts';
import { readBootId } from './host/host-facts.ts';
import type { Sysfs } from './host/sysfs.ts';
import { loadKept, storeKept } from './kept.ts';
import { requireNoIncident } from './quarantine/find.ts';
import { makeReady } from './ready.ts';
import { recoverDevice } from './recover.ts';
import { planRelease, releaseAlone } from './release.ts';
import { loadUpgrade, storeUpgrade, type UpgradeNote } from './upgrade-note.ts';

export interface Upgraded extends Bound {
  /** Target path of the driver that was bound before. */
  readonly from: string;
  /** Why it is that one which is bound again; undefined when the upgrade came to its end. */
  readonly failed: IronError | undefined;
}

/**
 * Upgrades the bound device. Before anything is let go of it throws what binding the new driver would
 * throw, and `E_NOT_FOUND`, `E_NOTHING_TO_DO`, `E_CONFLICT`. Afterwards `E_NOT_RETURNED` when neither is
 * bound, `E_BIND_STUCK`, and what giving the device back throws, which leaves the old one bound.
 */
export function upgrade(agent: Agent, sysfs: Sysfs, request: BindRequest): Promise<Upgraded> {
  const { bdf } = request;
  return agent.alone(async () => {
    await agent.heads.requireSound();
    await recoverDevice(agent, sysfs, bdf);
    await settleUpgrade(agent, sysfs, bdf);
    const { note, binding } = await check(agent, sysfs, request);
    const from = binding.driver.path;
    // Whatever failed, also the last line of the log about a release that is done: it is let go of.
    const back = async (error: unknown): Promise<Upgraded> => {
      const failed = asIronError(error);
      const bound = await goBack(agent, sysfs, note, failed, request);
      return { ...bound, from, failed: returned(note, failed) };
    };
    await storeUpgrade(agent, note);
    await agent.audit.append({ event: 'upgrade', ...about(note) });
    try {
      await releaseAlone(agent, sysfs, drainOf(request));
    } catch (error) {
      // Stuck: recovery will tell what became of it, and needs to know of the upgrade.
      if (isIronError(error, 'E_BIND_STUCK')) throw error;
      if (await isBound(agent, bdf)) {
        await drop(agent, note, 'not-begun');
        throw error;
      }
      return await back(error);
    }
    try {
      const bound = await bindAlone(agent, sysfs, request);
      return { ...(await ending(bound, () => complete(agent, note))), from, failed: undefined };
    } catch (error) {
      if (isIronError(error, 'E_BIND_STUCK') || (await isBound(agent, bdf))) throw error;
      return await back(error);
    }
  });
}

/** Who holds the device is asked by the kernel to let go, brakes, and ends; then it is given back. */
function drainOf({ bdf, signal, onStep }: BindRequest): Parameters<typeof releaseAlone>[2] {
  return { bdf, ...(signal && { signal }), ...(onStep && { onStep }) };
}

async function isBound(agent: Agent, bdf: string): Promise<boolean> {
  return (await loadBinding(agent, bdf)) !== undefined;
}

/** All that can be known while the old driver is still bound. */
async function check(
  agent: Agent,
  sysfs: Sysfs,
  request: BindRequest,
): Promise<{ note: UpgradeNote; binding: Binding }> {
  const { bdf, name } = request;
  const binding = await loadBinding(agent, bdf);
  if (binding === undefined) {
    throw new IronError('E_NOT_FOUND', `${bdf} is not bound by this agent`, {
      hint: `nothing was changed; bind it: ironport-agent apply ${name} --device ${bdf}`,
      context: { device: bdf },
    });
  }
  await requireNoIncident(agent, sysfs, bdf);
  const driver = await loadAccepted(agent, name);
  requireOther(binding, driver);
  // It will be written anew: one that is damaged would be found when the old driver is gone.
  await loadKept(agent, bdf);
  // Also that it can be given back at all.
  await planRelease(agent, sysfs, binding);
  const ready = await makeReady(agent, sysfs, driver, request, async () => PREVIEW);
  ready.prepared?.close();
  return { note: await noteOf(agent, binding, driver, ready.device, request), binding };
}

function requireOther({ device, driver: bound }: Binding, { artifact, product }: Accepted): void {
  if (isSame(artifact, bound)) {
    throw new IronError('E_NOTHING_TO_DO', `${device} is bound for ${bound.path} already`, {
      hint: 'nothing was changed; `ironport-agent status` shows the binding',
      context: { device, bound: bound.path },
    });
  }
  if (bound.path.startsWith(`${product}/`)) return;
  throw new IronError(
    'E_CONFLICT',
    `${artifact.path} is no version of what ${device} is bound for`,
    {
      why: `it is bound for ${bound.path}`,
      hint: `nothing was changed; release it first: ironport-agent release --device ${device}`,
      context: { device, bound: bound.path },
    },
  );
}

/** The same bytes may be another version, with another ceiling beside them. */
function isSame(a: UpgradeNote['to'], b: UpgradeNote['to']): boolean {
  return a.path === b.path && a.sha256 === b.sha256;
}

async function noteOf(
  agent: Agent,
  { driver, domain }: Binding,
  { artifact: { path, sha256 } }: Accepted,
  device: DeviceName,
  { policy }: BindRequest,
): Promise<UpgradeNote> {
  const boot = await readBootId(agent.proc);
  return {
    device,
    boot,
    from: { ...driver, domain },
    to: { path, sha256 },
    policy: policy === undefined ? null : resolve(policy),
  };
}

function about({ device, from, to }: UpgradeNote): { device: string; from: string; to: string } {
  return { device: device.path, from: from.path, to: to.path };
}

/** What was declared for the device moves on with it. */
async function complete(agent: Agent, note: UpgradeNote): Promise<void> {
  const kept = await loadKept(agent, note.device.path);
  if (kept !== undefined && isSame(note.from, kept.driver))
    await storeKept(agent, { ...kept, driver: note.to, policy: note.policy });
  await drop(agent, note, 'complete');
}

async function drop(agent: Agent, note: UpgradeNote, outcome: string): Promise<void> {
  await removeFile(agent, agentState.upgrade(note.device.path));
  await agent.audit.append({ event: 'upgrade-ended', ...about(note), outcome });
}

/** What is bound and held already is not left to run when nobody will hold it. */
async function ending(bound: Bound, act: () => Promise<void>): Promise<Bound> {
  try {
    await act();
    return bound;
  } catch (error) {
    await bound.confined?.end();
    bound.baseline?.close();
    throw error;
  }
}

/**
 * Binds the version before again: what its metadata lacks in freshness is forgiven as after a start, and
 * nothing else. `E_NOT_RETURNED` when it is not bound; the device is then as the host had it.
 */
async function goBack(
  agent: Agent,
  sysfs: Sysfs,
  note: UpgradeNote,
  failed: IronError | undefined,
  wanted: Pick<BindRequest, 'confine' | 'onStep'> = {},
): Promise<Bound> {
  const { device, from, policy } = note;
  const { confine, onStep } = wanted;
  try {
    const bound = await bindAlone(agent, sysfs, {
      name: from.path,
      bdf: device.path,
      policy: policy ?? undefined,
      before: { sha256: from.sha256, device },
      // No signal: who stopped the upgrade wants what was there before.
      ...(confine && { confine }),
      ...(onStep && { onStep }),
    });
    return await ending(bound, () => drop(agent, note, 'returned'));
  } catch (thrown) {
    if (isIronError(thrown, 'E_BIND_STUCK') || (await isBound(agent, device.path))) throw thrown;
    await drop(agent, note, 'not-returned');
    throw notReturned(note, asIronError(thrown), failed);
  }
}

function returned({ device, from, to }: UpgradeNote, cause: IronError): IronError {
  return new IronError(
    'E_BIND_ROLLED_BACK',
    `${to.path} was not bound, and ${from.path} is again`,
    {
      why: `${cause.code}: ${cause.message}`,
      hint: `${device.path} was given back and is bound for the version before; a driver that ran was ended`,
      cause,
      context: { ...cause.context, device: device.path, bound: from.path },
    },
  );
}

function notReturned(
  { device, from, to }: UpgradeNote,
  cause: IronError,
  failed: IronError | undefined,
): IronError {
  const first = failed === undefined ? '' : `${to.path}: ${failed.code}, ${failed.message}; `;
  return new IronError('E_NOT_RETURNED', `${device.path} is bound for neither version`, {
    why: `${first}${from.path}: ${cause.code}, ${cause.message}`,
    hint: `it was given back to the host; when that is mended: ironport-agent apply --device ${device.path}`,
    cause,
    context: { device: device.path, code: cause.code },
  });
}

export type UpgradeOutcome =
  /** The old driver had not been let go of. */
  | 'not-begun'
  | 'complete'
  /** The old one is bound again. */
  | 'returned'
  /** It began before the last start, which gave the device back; what is declared decides. */
  | 'closed';

/**
 * Brings an upgrade that a crash broke off to an end; undefined when there was none. The device itself was
 * recovered before, and the caller holds the lock. `E_NOT_RETURNED`, `E_BIND_STUCK`.
 */
export async function settleUpgrade(
  agent: Agent,
  sysfs: Sysfs,
  bdf: string,
): Promise<UpgradeOutcome | undefined> {
  const note = await loadUpgrade(agent, bdf);
  if (note === undefined) return undefined;
  const binding = await loadBinding(agent, bdf);
  if (binding?.domain === note.from.domain) {
    await drop(agent, note, 'not-begun');
    return 'not-begun';
  }
  if (binding !== undefined) {
    // Either of the two, under a new number.
    const isNew = isSame(note.to, binding.driver);
    if (isNew) await complete(agent, note);
    else await drop(agent, note, 'returned');
    return isNew ? 'complete' : 'returned';
  }
  if (note.boot !== (await readBootId(agent.proc))) {
    await drop(agent, note, 'closed');
    return 'closed';
  }
  await goBack(agent, sysfs, note, undefined);
  return 'returned';
}
