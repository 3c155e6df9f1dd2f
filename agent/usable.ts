/**
 * Whether what was accepted may still be bound: fresh, not revoked, not below the floors of this host,
 * and still the bytes that were accepted. What was bound to a device before may be bound to it again on
 * metadata that expired since, for as long as fleet policy says: a host that starts without a network
 * has its devices. Nothing else is forgiven.
 */

import { IronError } from '../shared/errors.ts';
import { acceptedFile, agentState } from '../shared/layout.ts';
import { type DeviceName, deviceNameJson } from '../shared/manifest/quarantine.ts';
import { hashFile } from '../shared/node/hash.ts';
import { requireNotRevoked } from '../shared/revocation/judge.ts';
import { formatInstant, formatSpan, type Instant } from '../shared/time.ts';
import type { Agent } from './agent.ts';
import type { Accepted } from './entry.ts';
import { loadInForce, subjectOf } from './revocations.ts';
import { loadGenerations, loadPresent, raiseGeneration } from './trust.ts';

/** What this host had bound: which bytes, to which device. */
export interface Before {
  readonly sha256: string;
  readonly device: DeviceName;
}

/**
 * `E_EXPIRED`, `E_REVOKED`, `E_ROLLBACK`, `E_STORE`. With `graceSeconds`, metadata may be past its expiry
 * for so long; returns whether it is.
 */
export async function requireUsable(
  agent: Agent,
  driver: Accepted,
  graceSeconds = 0,
): Promise<boolean> {
  const isStale = requireFresh(await loadPresent(agent), driver, graceSeconds);
  const { artifact, product, generation } = driver;
  // A list that came after it was accepted counts as well.
  requireNotRevoked(await loadInForce(agent), subjectOf(driver));
  // A newer generation may have been accepted since: this one has a fault that must not come back.
  raiseGeneration(await loadGenerations(agent), product, generation);
  const place = agent.place(`${agentState.accepted(artifact.path)}/${acceptedFile.artifact}`);
  const found = await hashFile(place, { nofollow: true });
  if (found.length !== artifact.length || found.sha256 !== artifact.sha256) {
    throw new IronError('E_STORE', `the accepted copy of ${artifact.path} was changed`, {
      why: `its SHA-256 is ${found.sha256}, and ${artifact.sha256} was accepted`,
      hint: 'nothing was changed; accept it again, and find out who can write into the state folder',
      context: { path: artifact.path },
    });
  }
  return isStale;
}

function requireFresh(
  now: Instant,
  { artifact, freshUntil }: Accepted,
  graceSeconds: number,
): boolean {
  if (freshUntil > now) return false;
  if (freshUntil + graceSeconds > now) return true;
  const leave =
    graceSeconds === 0
      ? ''
      : `; fleet policy forgives ${formatSpan(graceSeconds)} to what was bound before`;
  // TUF 5.3.10, 5.4.4, 5.5.6, 5.6.5: nothing new is built on metadata that is past its expiry.
  throw new IronError(
    'E_EXPIRED',
    `${artifact.path} was accepted on metadata that is past its expiry`,
    {
      why: `the first of it expired ${formatSpan(now - freshUntil)} ago, at ${formatInstant(freshUntil)}${leave}`,
      hint: 'nothing was changed; let the client refresh, hand over and accept again',
      context: { path: artifact.path },
    },
  );
}

/** `E_CONFLICT` when other bytes are accepted under the path by now than those that were bound. */
export function requireSameDriver({ sha256 }: Before, { artifact }: Accepted): void {
  if (artifact.sha256 === sha256) return;
  throw new IronError('E_CONFLICT', `${artifact.path} is not the driver that was bound before`, {
    why: `its SHA-256 is ${artifact.sha256}, and was ${sha256}`,
    hint: 'nothing was changed; bind it by `ironport-agent apply`, which asks for everything anew',
    context: { path: artifact.path },
  });
}

/** `E_WRONG_DEVICE` when another device is at the address than the one that was bound. */
export function requireSameDevice({ device }: Before, found: DeviceName): void {
  const [was, is] = [device, found].map((one) => JSON.stringify(deviceNameJson(one)));
  if (was === is) return;
  throw new IronError('E_WRONG_DEVICE', `another device is at ${found.path} than was bound there`, {
    why: `it is ${is}, and was ${was}`,
    hint: 'nothing was changed; bind it by `ironport-agent apply`, which asks for everything anew',
    context: { reason: 'another-device', device: found.path },
  });
}
