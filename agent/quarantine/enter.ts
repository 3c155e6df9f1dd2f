/** Putting a device into quarantine, and keeping there what is in it. */

import { toHex } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import {
  type DeviceName,
  deviceNameJson,
  isInIncident,
  LEVELS,
  type Level,
  tellingName,
} from '../../shared/manifest/quarantine.ts';
import type { Instant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';
import type { AuditEvent } from '../audit.ts';
import { loadBinding } from '../binding.ts';
import type { BindingState } from '../binding-state.ts';
import { readBinding } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { hostId } from '../identity.ts';
import { cutText } from '../sound-text.ts';
import { type HeldDown, holdDown } from './hold-down.ts';
import type { Incident } from './incident.ts';
import { readPresent } from './present.ts';
import { readStore, storeIncident } from './store.ts';

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
 * already stays in that incident, at the higher of both levels; a release that was signed before counts
 * no more. The caller holds the lock.
 */
export async function enterQuarantine(
  agent: Agent,
  sysfs: Sysfs,
  entering: Entering,
): Promise<Entered> {
  const { device, level } = entering;
  const reason = cutText(entering.reason, QUARANTINE_LIMITS.reason);
  // A record that cannot be read binds nothing, and keeps nothing from being taken out of service.
  const { incidents } = await readStore(agent);
  const before = incidents.find((one) => isInIncident(one.device, device));
  const incident =
    before === undefined
      ? await begin(agent, sysfs, { device, level, reason })
      : addTo(before, level, reason, agent.clock());
  // Durable before anything is done, and before its line: a crash in between leaves it in quarantine.
  let lost: unknown;
  await storeIncident(agent, incident).catch((error) => {
    if (before === undefined) throw error;
    // It is in quarantine already: held down all the same, and then told.
    lost = error;
  });
  const held = await holdDown(agent, sysfs, incident);
  if (lost !== undefined) throw lost;
  return { incident: await writeLine(agent, incident), held };
}

/** With the new reason and the higher of both levels; no line is about it yet, and no release either. */
function addTo(before: Incident, level: Level, reason: string, at: Instant): Incident {
  const isHigher = LEVELS.indexOf(level) > LEVELS.indexOf(before.level);
  return {
    ...before,
    level: isHigher ? level : before.level,
    again: { times: (before.again?.times ?? 0) + 1, at, reason },
    audit: null,
  };
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
    again: null,
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
 * Its newest line in the audit log, once; without room for one it stays to be written. The caller holds
 * the lock.
 */
export async function writeLine(agent: Agent, incident: Incident): Promise<Incident> {
  if (incident.audit !== null) return incident;
  try {
    const [audit = null] = await agent.audit.append(lineOf(incident));
    const written = { ...incident, audit };
    await storeIncident(agent, written);
    return written;
  } catch (error) {
    if (error instanceof IronError) return incident;
    throw error;
  }
}

/** All that a release is about: whoever reads it needs no other line. */
function lineOf({ id, device, level, reason, driver, again }: Incident): AuditEvent {
  return {
    event: again === null ? 'quarantined' : 'quarantine-again',
    device: device.path,
    incident: id,
    level,
    reason: again?.reason ?? reason,
    ...(again === null ? {} : { times: again.times, first_reason: reason }),
    path: driver?.path ?? null,
    sha256: driver?.sha256 ?? null,
    serial: device.serial,
    // All that tells it from others, in case its record is damaged.
    name: deviceNameJson(device),
  };
}
