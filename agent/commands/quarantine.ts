/** `ironport-agent quarantine list|show|enter|release|enforce`. */

import { existsSync } from 'node:fs';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { showIdentity } from '../../shared/manifest/device.ts';
import {
  type DeviceName,
  LEVELS,
  type Level,
  releaseDraft,
} from '../../shared/manifest/quarantine.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';
import { loadFleetKeys } from '../fleet-policy.ts';
import { inUse } from '../gates/in-use.ts';
import { readName } from '../host/inventory.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { HeldDamaged } from '../quarantine/damaged.ts';
import { enforce } from '../quarantine/enforce.ts';
import { type Entered, enterQuarantine } from '../quarantine/enter.ts';
import { type HeldDown, notHeldDown } from '../quarantine/hold-down.ts';
import { type Incident, incidentJson } from '../quarantine/incident.ts';
import { named, releaseFromQuarantine } from '../quarantine/release.ts';
import { loadIncident, loadIncidents } from '../quarantine/store.ts';
import { Survey } from '../survey.ts';
import {
  argument,
  DEVICE,
  deviceOf,
  FLEET_KEYS,
  openAgent,
  openSysfs,
  STATE,
  SYSFS,
  TIMEOUTS,
} from './options.ts';

export const quarantineListCommand: CommandSpec = {
  name: 'quarantine list',
  summary: 'show the devices that are in quarantine',
  options: [STATE],
  examples: ['ironport-agent quarantine list'],
  schema: 'ironport-agent/quarantine-list/v1',
  async run(context) {
    const incidents = await loadIncidents(openAgent(context));
    return {
      data: { incidents: incidents.map(incidentJson) },
      text:
        incidents.length === 0
          ? 'nothing is in quarantine'
          : table(incidents.map((one) => [one.id, one.device.path, one.level, one.reason])),
    };
  },
};

export const quarantineShowCommand: CommandSpec = {
  name: 'quarantine show',
  summary: 'show an incident, and write the statement that would release its device',
  description:
    '--out writes the statement without signatures. Operators of the fleet sign it with ' +
    '`ironport-agent quarantine sign`, on machines of their own, once they know what happened.',
  arguments: [{ name: 'incident', description: 'its id' }],
  options: [STATE, { flags: '-o, --out <file>', description: 'file for the statement' }],
  examples: ['ironport-agent quarantine show 00112233445566778899aabbccddeeff --out release.json'],
  schema: 'ironport-agent/quarantine-show/v1',
  async run(context) {
    const incident = await loadIncident(openAgent(context), argument(context, 0, 'INCIDENT'));
    const out = context.text('out') ?? null;
    if (out !== null) await writeFileAtomic(out, releaseDraft(named(incident)));
    return { data: { out, ...incidentJson(incident) }, text: incidentText(incident) };
  },
};

export const quarantineEnterCommand: CommandSpec = {
  name: 'quarantine enter',
  summary: 'take a device out of service, across restarts, until operators release it',
  description:
    'Whoever holds the device stops it at once: soft leaves its driver frozen, and the device ' +
    'without bus master, interrupts and memory; hard ends the driver, resets the device and keeps it ' +
    'bound to nobody; tomb also removes it from the machine. A driver of the host is taken off.',
  options: [
    DEVICE,
    { flags: '--level <level>', description: 'soft, hard or tomb', default: 'hard' },
    { flags: '--reason <text>', description: 'why', required: true },
    {
      flags: '--force',
      description: 'also when the host uses the device, or it cannot be looked at',
    },
    STATE,
    SYSFS,
    ...TIMEOUTS,
  ],
  examples: [
    'ironport-agent quarantine enter --device 0000:00:05.0 --reason "answers with what it was not asked"',
  ],
  schema: 'ironport-agent/quarantine-enter/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const sysfs = await openSysfs(context);
    const bdf = deviceOf(context);
    const level = levelOf(context.text('level') ?? 'hard');
    const reason = context.need('reason');
    const entered = await agent.alone(async () => {
      const device = await deviceToEnter(agent, sysfs, bdf, context.flag('force'));
      return await enterQuarantine(agent, sysfs, { device, level, reason });
    });
    const problem = notHeldDown(entered.incident, entered.held);
    if (problem !== undefined) throw problem;
    return {
      data: enteredJson(entered),
      text: `${incidentText(entered.incident)}\n${heldText(entered.held)}`,
    };
  },
};

/**
 * What tells the device from others. `E_DEVICE_IN_USE`, and what reading it throws: what cannot be looked
 * at is not unused. By force neither holds it up, so long as its ids can be read.
 */
async function deviceToEnter(
  agent: Agent,
  sysfs: Sysfs,
  bdf: string,
  isForced: boolean,
): Promise<DeviceName> {
  if (isForced) return await readName(sysfs, bdf);
  const device = await new Survey(agent, sysfs).device(bdf);
  const used = inUse.check({ device });
  if (used === undefined) return device;
  throw new IronError('E_DEVICE_IN_USE', `${bdf} is in use: ${used.what}`, {
    hint: 'nothing was changed; --force takes it out of service all the same, and whatever uses it fails',
    context: { device: bdf },
  });
}

function levelOf(text: string): Level {
  const level = LEVELS.find((one) => one === text);
  if (level !== undefined) return level;
  throw new IronError('E_USAGE', `no level is called that: ${JSON.stringify(text)}`, {
    hint: `nothing was changed; one of ${LEVELS.join(', ')}`,
  });
}

export const quarantineReleaseCommand: CommandSpec = {
  name: 'quarantine release',
  summary: 'let a device out of quarantine, by a statement that operators of the fleet signed',
  description:
    'The statement names incident, host, device and its newest record of the audit log, is good for an ' +
    'hour at the most, and is used once. The device stays without a driver of the host.',
  arguments: [{ name: 'file', description: 'the signed statement' }],
  options: [FLEET_KEYS, STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent quarantine release signed.json'],
  schema: 'ironport-agent/quarantine-release/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const sysfs = await openSysfs(context);
    const fleet = await loadFleetKeys(agent);
    const file = argument(context, 0, 'FILE');
    const bytes = await readFileCapped(file, QUARANTINE_LIMITS.statement);
    const released = await releaseFromQuarantine(agent, sysfs, bytes, fleet);
    const { incident, signers, letUp } = released;
    for (const problem of letUp.problems) context.ui.warn(problem);
    return {
      data: {
        incident: incident.id,
        device: incident.device.path,
        signers,
        done: letUp.done,
        problems: letUp.problems,
      },
      text: [
        `released ${incident.device.path} from incident ${incident.id}, signed by ${signers.join(', ')}`,
        heldText(letUp),
        ...(incident.level === 'tomb'
          ? ['it was removed: it comes back by a rescan, or a start of the machine']
          : []),
      ].join('\n'),
    };
  },
};

export const quarantineEnforceCommand: CommandSpec = {
  name: 'quarantine enforce',
  summary: 'hold down what is in quarantine: early in a start, and when devices come back',
  description:
    'Sets the override of each device that is in quarantine, so that no driver of the host binds it, ' +
    'takes one off that did, and removes again what belongs into the tomb. Of a record that is damaged ' +
    'it asks what is left of it, and the audit log. Waits for nobody to do that; what it writes into the ' +
    'state waits for whoever works there. Run by a unit of systemd before devices are probed.',
  options: [STATE, SYSFS, ...TIMEOUTS],
  examples: ['ironport-agent quarantine enforce'],
  schema: 'ironport-agent/quarantine-enforce/v1',
  async run(context) {
    const agent = openAgent(context, { timeouts: true });
    const sysfs = await openSysfs(context);
    // Nothing is made here: below a place where a file system will be mounted, it would be in its way.
    if (!existsSync(agent.state)) {
      context.ui.warn(
        `there is no ${agent.state}: nothing was ever bound here, or the state is elsewhere`,
      );
      return { data: { incidents: [], damaged: [] }, text: 'nothing is in quarantine' };
    }
    const { entered, damaged, unwritten } = await enforce(agent, sysfs, context.signal);
    if (unwritten !== undefined) context.ui.warn(`not in the audit log: ${unwritten.message}`);
    const held = [...entered.map((one) => one.held), ...damaged.flatMap((one) => one.held)];
    const problems = [...damaged.map(damagedText), ...held.flatMap((one) => one.problems)];
    for (const problem of problems) context.ui.warn(problem);
    return {
      data: { incidents: entered.map(enteredJson), damaged: damaged.map(damagedJson) },
      ...(problems.length === 0 ? {} : { exit: NOT_ALL_HELD }),
      text:
        [...held.map(heldText), ...damaged.map(damagedText)].join('\n') ||
        'nothing is in quarantine',
    };
  },
};

/** As a refusal of the agent: something in quarantine is not held down, or cannot be told. */
const NOT_ALL_HELD = 20;

function damagedText({ error, held }: HeldDamaged): string {
  const devices = held.map(({ device }) => device).join(', ');
  return devices === ''
    ? `${error.message}: which device it is about cannot be told; keep drivers of the host off until you know`
    : `${error.message}: ${devices} is held down for it`;
}

function damagedJson({ id, file, error, held }: HeldDamaged) {
  return {
    incident: id,
    file,
    why: error.why ?? error.message,
    held: held.map(({ device, done, problems }) => ({ device, done, problems })),
  };
}

function enteredJson({ incident, held }: Entered) {
  return { ...incidentJson(incident), done: held.done, problems: held.problems };
}

function heldText({ device, done, problems }: HeldDown): string {
  return [`${device}: ${done.join(', ') || 'nothing was to be done'}`, ...problems].join('; not: ');
}

function incidentText(incident: Incident): string {
  const { id, device, level, reason, again, audit } = incident;
  return [
    `incident ${id}`,
    `device   ${device.path}, ${showIdentity(device)}, serial ${device.serial ?? 'none'}`,
    `level    ${level}, since ${formatInstant(incident.enteredAt)}`,
    `reason   ${reason}`,
    ...(again === null
      ? []
      : [
          `again    ${again.reason}, at ${formatInstant(again.at)}; ${again.times + 1} times by now`,
        ]),
    `record   ${audit === null ? 'not in the audit log yet' : `line ${audit.seq}, ${audit.sha256}`}`,
  ].join('\n');
}
