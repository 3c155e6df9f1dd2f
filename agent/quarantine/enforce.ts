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
import { type Entered, writeLine } from './enter.ts';
import { holdDown, letUp } from './hold-down.ts';
import { loadIncidents, loadReleased } from './store.ts';

export interface Enforced {
  readonly entered: readonly Entered[];
  /** Why it is not written down, where it is not: held down it is all the same. */
  readonly unwritten: IronError | undefined;
}

/** `E_STORE` when a record of an incident cannot be read. */
export async function enforce(agent: Agent, sysfs: Sysfs, signal?: AbortSignal): Promise<Enforced> {
  const stop = signal === undefined ? {} : { signal };
  try {
    const entered = await agent.alone(() => enforceAlone(agent, sysfs), { waitMs: 0, ...stop });
    return { entered, unwritten: undefined };
  } catch (error) {
    signal?.throwIfAborted();
    const problem = asIronError(error);
    const { entered, events } = await enforceUnlocked(agent, sysfs);
    const isNews = events.length > 0 || entered.some(({ incident }) => incident.audit === null);
    if (!isNews) return { entered, unwritten: undefined };
    // A disk that cannot be written yet, for one.
    if (problem.code !== 'E_LOCKED') return { entered, unwritten: problem };
    const write = (): Promise<Entered[]> => writeAfter(agent, sysfs, entered, events);
    const waitMs = 1000 * AGENT_LIMITS.enforceWaitSeconds;
    try {
      return { entered: await agent.alone(write, { waitMs, ...stop }), unwritten: undefined };
    } catch (later) {
      return { entered, unwritten: asIronError(later) };
    }
  }
}

async function enforceAlone(agent: Agent, sysfs: Sysfs): Promise<Entered[]> {
  const all: Entered[] = [];
  for (const incident of await loadIncidents(agent)) {
    const held = await holdDown(agent, sysfs, incident);
    all.push({ incident: await writeLine(agent, incident), held });
  }
  return all;
}

/** Incidents are files that are written whole, so that they can be read while somebody has the lock. */
async function enforceUnlocked(
  agent: Agent,
  sysfs: Sysfs,
): Promise<{ readonly entered: Entered[]; readonly events: AuditEvent[] }> {
  const entered: Entered[] = [];
  const events: AuditEvent[] = [];
  const record = async (event: AuditEvent): Promise<void> => void events.push(event);
  for (const incident of await loadIncidents(agent))
    entered.push({ incident, held: await holdDown(agent, sysfs, incident, record) });
  return { entered, events };
}

/** Later, with the lock: what was done goes into the log, and what changed meanwhile is seen to. */
async function writeAfter(
  agent: Agent,
  sysfs: Sysfs,
  before: readonly Entered[],
  events: readonly AuditEvent[],
): Promise<Entered[]> {
  await agent.audit.append(...events).catch(() => {});
  const now = await enforceAlone(agent, sysfs);
  const incidents = now.map(({ incident }) => incident);
  for (const { incident } of before) {
    if (incidents.some(({ id }) => id === incident.id)) continue;
    // Released while we held it down by a record that we had read before.
    const released = await loadReleased(agent, incident.id);
    if (released !== undefined) await letUp(agent, sysfs, released, incidents);
  }
  return now.map(({ incident, held }) => {
    const earlier = before.find((one) => one.incident.id === incident.id)?.held.done ?? [];
    return { incident, held: { ...held, done: [...new Set([...earlier, ...held.done])] } };
  });
}
