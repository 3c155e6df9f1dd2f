/**
 * Holding down all that is in quarantine, for early in a start and for devices that come back. It waits
 * for nobody before it holds down, and writes into the agent's state only while it has its lock: the
 * audit log is a chain, and two who append to it at once break it.
 */

import { asIronError, type IronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import type { AuditEvent } from '../audit.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { type HeldDamaged, holdDamaged } from './damaged.ts';
import { type Entered, writeLine } from './enter.ts';
import { holdDown, letUp } from './hold-down.ts';
import { loadReleased, readStore } from './store.ts';

interface HeldAll {
  readonly entered: readonly Entered[];
  /** Records that cannot be read, and what was done for them all the same. */
  readonly damaged: readonly HeldDamaged[];
}

export interface Enforced extends HeldAll {
  /** Why it is not written down, where it is not: held down it is all the same. */
  readonly unwritten: IronError | undefined;
}

/** A record that cannot be read keeps no other one from being held down. */
export async function enforce(agent: Agent, sysfs: Sysfs, signal?: AbortSignal): Promise<Enforced> {
  const stop = signal === undefined ? {} : { signal };
  try {
    const all = await agent.alone(() => enforceAlone(agent, sysfs), { waitMs: 0, ...stop });
    return { ...all, unwritten: undefined };
  } catch (error) {
    signal?.throwIfAborted();
    const problem = asIronError(error);
    const { events, ...all } = await enforceUnlocked(agent, sysfs);
    const { entered } = all;
    const isNews = events.length > 0 || entered.some(({ incident }) => incident.audit === null);
    if (!isNews) return { ...all, unwritten: undefined };
    // A disk that cannot be written yet, for one.
    if (problem.code !== 'E_LOCKED') return { ...all, unwritten: problem };
    const write = (): Promise<HeldAll> => writeAfter(agent, sysfs, entered, events);
    const waitMs = 1000 * AGENT_LIMITS.enforceWaitSeconds;
    try {
      return { ...(await agent.alone(write, { waitMs, ...stop })), unwritten: undefined };
    } catch (later) {
      return { ...all, unwritten: asIronError(later) };
    }
  }
}

async function enforceAlone(agent: Agent, sysfs: Sysfs): Promise<HeldAll> {
  const entered: Entered[] = [];
  const { incidents, damaged } = await readStore(agent);
  for (const incident of incidents) {
    const held = await holdDown(agent, sysfs, incident);
    entered.push({ incident: await writeLine(agent, incident), held });
  }
  return { entered, damaged: await holdDamaged(agent, sysfs, damaged) };
}

/** Incidents are files that are written whole, so that they can be read while somebody has the lock. */
async function enforceUnlocked(
  agent: Agent,
  sysfs: Sysfs,
): Promise<HeldAll & { readonly events: readonly AuditEvent[] }> {
  const entered: Entered[] = [];
  const events: AuditEvent[] = [];
  const record = async (event: AuditEvent): Promise<void> => void events.push(event);
  const { incidents, damaged } = await readStore(agent);
  for (const incident of incidents)
    entered.push({ incident, held: await holdDown(agent, sysfs, incident, record) });
  return { entered, damaged: await holdDamaged(agent, sysfs, damaged, record), events };
}

/** Later, with the lock: what was done goes into the log, and what changed meanwhile is seen to. */
async function writeAfter(
  agent: Agent,
  sysfs: Sysfs,
  before: readonly Entered[],
  events: readonly AuditEvent[],
): Promise<HeldAll> {
  await agent.audit.append(...events).catch(() => {});
  const { entered: now, damaged } = await enforceAlone(agent, sysfs);
  const incidents = now.map(({ incident }) => incident);
  for (const { incident } of before) {
    if (incidents.some(({ id }) => id === incident.id)) continue;
    // Released while we held it down by a record that we had read before.
    const released = await loadReleased(agent, incident.id);
    if (released !== undefined) await letUp(agent, sysfs, released, incidents);
  }
  const entered = now.map(({ incident, held }) => {
    const earlier = before.find((one) => one.incident.id === incident.id)?.held.done ?? [];
    return { incident, held: { ...held, done: [...new Set([...earlier, ...held.done])] } };
  });
  return { entered, damaged };
}
