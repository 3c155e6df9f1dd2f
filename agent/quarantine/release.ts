/** Letting a device out of quarantine, by a statement that operators of the fleet signed. */

import { toHex } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import type { FleetKeys } from '../../shared/evidence/policy/signed-policy.ts';
import {
  type Named,
  notReleased,
  requireAbout,
  verifyRelease,
} from '../../shared/manifest/quarantine.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { Agent } from '../agent.ts';
import type { Sysfs } from '../host/sysfs.ts';
import { cutText } from '../sound-text.ts';
import { transitions } from '../transitions.ts';
import { loadPresent } from '../trust.ts';
import { type HeldDown, letUp } from './hold-down.ts';
import type { Incident } from './incident.ts';
import { endIncident, loadIncidents, loadReleased } from './store.ts';

export interface QuarantineRelease {
  readonly incident: Incident;
  readonly signers: readonly string[];
  readonly letUp: HeldDown;
}

/**
 * Ends the incident that the statement names. Whoever has the statement may hand it in: what counts is
 * who signed it. `E_SIGNATURE`, `E_THRESHOLD`, `E_EXPIRED`, `E_REPLAY`, `E_NOT_RELEASED`; nothing is
 * changed by any of them. The device stays without a driver of the host's.
 */
export function releaseFromQuarantine(
  agent: Agent,
  sysfs: Sysfs,
  bytes: Uint8Array,
  fleet: FleetKeys,
): Promise<QuarantineRelease> {
  return agent.alone(async () => {
    try {
      return await release(agent, sysfs, bytes, fleet);
    } catch (error) {
      const { code, message } = error instanceof IronError ? error : { code: '', message: '' };
      const event = { event: 'quarantine-release-refused', code, message: cutText(message, 1000) };
      await agent.audit.append(event).catch(() => {});
      throw error;
    }
  });
}

async function release(
  agent: Agent,
  sysfs: Sysfs,
  bytes: Uint8Array,
  fleet: FleetKeys,
): Promise<QuarantineRelease> {
  const verified = verifyRelease(agent.crypto, bytes, fleet, await loadPresent(agent));
  const { statement } = verified;
  const statementSha256 = toHex(agent.crypto.sha256(verified.payload));
  const incident = await find(agent, statement.incident);
  requireAbout(statement, named(incident));
  const signers = verified.signers.map((key) => keyId(agent.crypto, key));
  const path = incident.device.path;
  // The line first: what nobody could read about later does not happen.
  await agent.audit.append(
    {
      event: 'quarantine-released',
      device: path,
      ...{ incident: incident.id, statement_sha256: statementSha256, signers },
    },
    ...transitions(path, 'quarantined', 'discovered'),
  );
  const over = { ...incident, released: { at: agent.clock(), statementSha256 } };
  await endIncident(agent, over);
  const others = await loadIncidents(agent);
  return { incident: over, signers, letUp: await letUp(agent, sysfs, over, others) };
}

async function find(agent: Agent, id: string): Promise<Incident> {
  const incident = (await loadIncidents(agent)).find((one) => one.id === id);
  if (incident !== undefined) return incident;
  if ((await loadReleased(agent, id)) !== undefined) {
    throw new IronError('E_REPLAY', 'this incident was released before', {
      why: 'a statement of release is used once',
      hint: 'nothing was changed; what is in quarantine now needs a statement of its own',
      context: { incident: id },
    });
  }
  throw notReleased('incident', 'the statement is about no incident of this host', {
    incident: id,
  });
}

/** What a statement must name. `E_NOT_RELEASED` while the incident has no line in the audit log. */
export function named({ id, host, device, audit }: Incident): Named {
  if (audit === null) {
    throw notReleased(
      'audit',
      'the newest of the incident is not in the audit log yet',
      { incident: id },
      'nothing was changed, and the device stays in quarantine; make room on the disk, and `ironport-agent quarantine enforce` writes its line',
    );
  }
  return { incident: id, host, device, auditSha256: audit.sha256 };
}
