/** Whether a driver may have a device: facts, gates and grant together, without changing anything. */

import { asIronError, type IronError } from '../shared/errors.ts';
import { canonicalBytes } from '../shared/json/canonical.ts';
import type { JsonObject, JsonValue } from '../shared/json/value.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import { deviceNameJson } from '../shared/manifest/quarantine.ts';
import type { Agent } from './agent.ts';
import { type AuditEvent, sha256 } from './audit.ts';
import type { Accepted } from './entry.ts';
import { askGates, type Decision } from './gates/gates.ts';
import { type GrantNumbers, grantFor, loadPolicy, PREVIEW } from './grant.ts';
import type { HostFacts } from './host/host-facts.ts';
import { type DeviceSnapshot, snapshotJson } from './host/inventory.ts';
import type { Sysfs } from './host/sysfs.ts';
import { formatIncident, type Incident } from './quarantine/incident.ts';
import { Survey } from './survey.ts';
import type { PresentVf } from './vfs/gates.ts';
import type { Parent } from './vfs/parent.ts';

export interface Assessment {
  readonly device: DeviceSnapshot;
  readonly host: HostFacts;
  readonly decisions: readonly Decision[];
  /** When the device is in quarantine. */
  readonly incident: Incident | undefined;
  /** Of a virtual function. */
  readonly parent: Parent | undefined;
  /** Those that are there, where virtual functions are to be made. */
  readonly vfs?: readonly PresentVf[];
}

/** The same of one device alone, from what is so now. */
export function assess(
  agent: Agent,
  sysfs: Sysfs,
  bdf: string,
  driver?: Accepted,
): Promise<Assessment> {
  return assessIn(new Survey(agent, sysfs), bdf, driver);
}

/** Reads the device and asks every gate; with a driver also those about the two together. */
export async function assessIn(
  survey: Survey,
  bdf: string,
  driver?: Accepted,
): Promise<Assessment> {
  const device = await survey.device(bdf);
  const host = await survey.host();
  const incident = await survey.incidentOf(bdf, device);
  const parent = await survey.parentOf(device);
  const decisions = askGates({ device, host, incident, parent, ...(driver && { driver }) });
  return { device, host, decisions, incident, parent };
}

/** What would be granted, or why nothing would be. */
export async function tryGrant(
  agent: Agent,
  driver: Accepted,
  { device, parent }: Pick<Assessment, 'device' | 'parent'>,
  policyFile: string | undefined,
  numbers: GrantNumbers = PREVIEW,
): Promise<{ readonly grant: Grant } | { readonly error: IronError }> {
  try {
    const policy = await loadPolicy(agent, policyFile);
    return { grant: grantFor(agent, driver, { device, parent }, policy, numbers) };
  } catch (error) {
    return { error: asIronError(error) };
  }
}

/** One audit line a gate, each with the hashes of what it was decided from. */
export function gateEvents(
  { device, host, decisions, incident, parent, vfs }: Assessment,
  driver: Accepted,
): AuditEvent[] {
  const inputs = {
    device: sha256Of(snapshotJson(device)),
    host: sha256Of(hostJson(host)),
    incident: incident === undefined ? null : sha256(formatIncident(incident)),
    parent: parent === undefined ? null : sha256Of(parentJson(parent)),
    vfs: vfs === undefined ? null : sha256Of(vfs.map((vf) => ({ ...vf }))),
    driver: driver.artifact.sha256,
    ceiling: driver.sidecars.get('ceiling')?.sha256 ?? null,
  };
  return decisions.map(({ gate, objection }) => ({
    event: 'gate',
    device: device.path,
    path: driver.artifact.path,
    gate: gate.reason,
    decision: objection === undefined ? 'pass' : 'refuse',
    what: objection?.what ?? null,
    inputs,
  }));
}

/** The facts about the host as the document whose hash the audit log keeps. */
function hostJson(host: HostFacts): JsonObject {
  return {
    parameters: { ...host.parameters },
    has_vfio_driver: host.hasVfioDriver,
    has_iommu: host.hasIommu,
    interrupt_remapping: host.interruptRemapping,
    kernel_options: [...host.kernelOptions],
  };
}

/** What the gates are told of a physical function, likewise. */
function parentJson({ path, name, driver }: Parent): JsonObject {
  return { address: path, device: name === undefined ? null : deviceNameJson(name), driver };
}

function sha256Of(value: JsonValue): string {
  return sha256(canonicalBytes(value));
}
