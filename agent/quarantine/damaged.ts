/**
 * An incident whose record cannot be read. It is about a device, which must not come back to the host
 * because a file was damaged: what is left of the file and its lines of the audit log are asked which,
 * and whatever either of them names is held down. Nothing is bound meanwhile.
 */

import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import {
  type DeviceName,
  deviceNameJson,
  LEVELS,
  type Level,
  readDeviceName,
} from '../../shared/manifest/quarantine.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import type { Agent } from '../agent.ts';
import { readAudit } from '../audit.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { type HeldDown, holdDown, type Record } from './hold-down.ts';
import type { Damaged } from './store.ts';

export interface HeldDamaged extends Damaged {
  /** What was done to each device that it may be about; none where that cannot be told. */
  readonly held: readonly HeldDown[];
}

interface Told {
  readonly device: DeviceName;
  readonly level: Level;
}

/** Holds down what the damaged records are about, as far as that can be told; `record` as `holdDown`'s. */
export async function holdDamaged(
  agent: Agent,
  sysfs: Sysfs,
  damaged: readonly Damaged[],
  record: Record = (event) => agent.audit.append(event),
): Promise<HeldDamaged[]> {
  if (damaged.length === 0) return [];
  const lines = await linesAbout(agent, new Set(damaged.map(({ id }) => id)));
  const all: HeldDamaged[] = [];
  for (const one of damaged) {
    const told = [...(lines.get(one.id) ?? []), ...(await leftOf(one.file))];
    const held: HeldDown[] = [];
    for (const { device, level } of highest(told))
      held.push(
        await holdDown(agent, sysfs, { ...NOTHING_ELSE, id: one.id, device, level }, record),
      );
    const devices = held.map(({ device }) => device);
    // A log that takes no more must not keep anything from being held down.
    await record({ event: 'incident-damaged', incident: one.id, devices }).catch(() => {});
    all.push({ ...one, held });
  }
  return all;
}

/** What of an incident is not told, and not asked for when it is held down. */
const NOTHING_ELSE = {
  ...{ host: '', reason: 'its record is damaged', driver: null, enteredAt: 0 },
  ...{ found: null, again: null, audit: null, released: null },
};

/** What the audit log says of these incidents, as far as it can be read. */
async function linesAbout(agent: Agent, ids: ReadonlySet<string>): Promise<Map<string, Told[]>> {
  const found = new Map<string, Told[]>();
  try {
    for await (const { event, fields } of readAudit(agent.audit.path)) {
      const { incident: id, name, level } = fields;
      if (typeof id !== 'string' || !ids.has(id) || !ENTERED.includes(event)) continue;
      found.set(id, [...(found.get(id) ?? []), ...tell(name, level)]);
    }
  } catch (error) {
    // Damaged as well: what stands before that counts.
    if (!(error instanceof IronError)) throw error;
  }
  return found;
}

/** The events that name a device and how far it is taken out of service. */
const ENTERED = ['quarantined', 'quarantine-again'];

/** The members that `formatIncident` wrote, wherever they stand now. */
async function leftOf(file: string): Promise<Told[]> {
  try {
    const bytes = await readFileCapped(file, QUARANTINE_LIMITS.incident, { nofollow: true });
    const text = Buffer.from(bytes).toString('latin1');
    const [, level] = /"level":"([a-z]+)"/.exec(text) ?? [];
    return [...text.matchAll(/"device":(\{[^{}]*\})/g)].flatMap(([, device = '']) =>
      tell(parseJson(utf8(device), { length: bytes.length }), level),
    );
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    return [];
  }
}

/** A device and its level; `hard` where the level cannot be told, and none without a device. */
function tell(name: JsonValue | undefined, level: JsonValue | undefined): Told[] {
  try {
    const device = readDeviceName(new Node(name ?? null, 'device'));
    return [{ device, level: LEVELS.find((one) => one === level) ?? 'hard' }];
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    return [];
  }
}

/** Each device once, at the highest level that was told of it. */
function highest(told: readonly Told[]): Told[] {
  const found = new Map<string, Told>();
  const rank = ({ level }: Told): number => LEVELS.indexOf(level);
  for (const one of told) {
    const key = JSON.stringify(deviceNameJson(one.device));
    const before = found.get(key);
    if (before === undefined || rank(one) > rank(before)) found.set(key, one);
  }
  return [...found.values()];
}
