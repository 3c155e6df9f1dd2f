/** Putting a device into quarantine, and keeping there what is in it. */

import { toHex } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import {
  type DeviceName,
  LEVELS,
  type Level,
  tellingName,
} from '../../shared/manifest/quarantine.ts';
import type { Agent } from '../agent.ts';
import { loadBinding } from '../binding.ts';
import type { BindingState } from '../binding-state.ts';
import { readBinding } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { hostId } from '../identity.ts';
import { cutText } from '../sound-text.ts';
import { incidentOf } from './find.ts';
import { type HeldDown, holdDown } from './hold-down.ts';
import type { Incident } from './incident.ts';
import { readPresent } from './present.ts';
import { storeIncident } from './store.ts';

export interface Entering {
  readonly device: DeviceName;
  readonly level: Level;
  readonly reason: string;
}

export interface Entered {
  readonly incident: Incident;
  readonly held: HeldDown;
}

/**
 * Writes the incident down, and holds the device down in sysfs. Whoever holds the device has braked it
 * before, or does it now that there is a record: this waits for nobody. A device that is in quarantine
 * already stays in that incident, at the higher of both levels. The caller holds the lock.
 */
export async function enterQuarantine(
  agent: Agent,
  sysfs: Sysfs,
  entering: Entering,
): Promise<Entered> {
  const { device, level } = entering;
  const reason = cutText(entering.reason, QUARANTINE_LIMITS.reason);
  const before = await incidentOf(agent, sysfs, device);
  const begun = before ?? (await begin(agent, sysfs, { device, level, reason }));
  const isHigher = LEVELS.indexOf(level) > LEVELS.indexOf(begun.level);
  const incident = isHigher ? { ...begun, level } : begun;
  // Durable before anything is done, and before its line: a crash in between leaves it in quarantine.
  if (before === undefined || isHigher) await storeIncident(agent, incident);
  if (before !== undefined) {
    const { id: name, level: now } = incident;
    const event = { event: 'quarantine-again', device: device.path, incident: name };
    await agent.audit.append({ ...event, level: now, reason }).catch(() => {});
  }
  const held = await holdDown(agent, sysfs, incident);
  return { incident: await writeLine(agent, incident), held };
}

async function begin(
  agent: Agent,
  sysfs: Sysfs,
  { device, level, reason }: Entering,
): Promise<Incident> {
  const binding = await loadBinding(agent, device.path);
  return {
    id: toHex(agent.random(16)),
    host: await hostId(agent),
    device: tellingName(device, await readPresent(sysfs).catch(() => [])),
    ...{ level, reason },
    driver: binding?.driver ?? null,
    enteredAt: agent.clock(),
    found: binding?.found ?? (await look(sysfs, device.path)),
    audit: null,
    released: null,
  };
}

async function look(sysfs: Sysfs, path: string): Promise<BindingState | null> {
  try {
    return await readBinding(sysfs, await sysfs.deviceFolder(path));
  } catch {
    // Gone, or unreadable: it is in quarantine all the same.
    return null;
  }
}

/**
 * Its line in the audit log, once; without room for one it stays to be written. The caller holds the lock.
 */
export async function writeLine(agent: Agent, incident: Incident): Promise<Incident> {
  if (incident.audit !== null) return incident;
  const { id, device, level, reason, driver } = incident;
  try {
    const [audit = null] = await agent.audit.append({
      event: 'quarantined',
      device: device.path,
      incident: id,
      level,
      reason,
      path: driver?.path ?? null,
      sha256: driver?.sha256 ?? null,
      serial: device.serial,
    });
    const written = { ...incident, audit };
    await storeIncident(agent, written);
    return written;
  } catch (error) {
    if (error instanceof IronError) return incident;
    throw error;
  }
}
