/**
 * Quarantine as documents: which device is meant, and the statement by which the operators of a fleet
 * let it out. Pure; who keeps incidents, and what is done to a device, is the agent's affair.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { type ErrorContext, IronError } from '../errors.ts';
import { compactJson } from '../evidence/compact.ts';
import { parseEnvelope, verifyEnvelope } from '../evidence/dsse.ts';
import type { FleetKeys } from '../evidence/policy/signed-policy.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import type { JsonObject } from '../json/value.ts';
import { QUARANTINE_LIMITS } from '../limits.ts';
import { formatInstant, type Instant } from '../time.ts';
import { parseBdf } from './bdf.ts';
import { type DeviceIdentity, identityJson } from './device.ts';
import { readId } from './numbers.ts';

/** How far a device is taken out of service; each is more than the one before it. */
export const LEVELS = ['soft', 'hard', 'tomb'] as const;
export type Level = (typeof LEVELS)[number];

/** A device as it is told from all others. */
export interface DeviceName extends DeviceIdentity {
  readonly path: string;
  readonly serial: string | null;
}

/** What is at an address; `name` is undefined when it could not be read. */
export interface Present {
  readonly path: string;
  readonly name: DeviceName | undefined;
}

/**
 * Where the device that was quarantined may be, among all that are there: every address at which nothing
 * is bound for a driver of ours. Its serial number goes with it into another slot. Whatever is at its old
 * address counts too, whatever that shows: a device can lie about all that is read of it, and only the
 * operators can say that another one is there by now.
 */
export function placesOf(quarantined: DeviceName, present: readonly Present[]): string[] {
  return present
    .filter(
      ({ path, name }) =>
        path === quarantined.path || (name !== undefined && isSameSerial(quarantined, name)),
    )
    .map(({ path }) => path);
}

/**
 * Where it is taken from the host: at its old address, and in the one other slot in which the very
 * function is seen, when it is no longer seen at the old one. Where several show its number that number
 * tells nothing, and a card of the host's is not taken down for it.
 */
export function heldPlacesOf(quarantined: DeviceName, present: readonly Present[]): string[] {
  const seen = present.filter(
    ({ name }) => name !== undefined && isSameFunction(quarantined, name),
  );
  const [one, another] = seen;
  const moved = another === undefined ? one?.path : undefined;
  return present
    .map(({ path }) => path)
    .filter((path) => path === quarantined.path || path === moved);
}

/**
 * Whether a device that goes into quarantine is the one of an incident: at its address, and by the number
 * that it had there. All else has an incident of its own: what sits where that one was, another function
 * of its card, and what shows its number in another slot, which may show another one tomorrow.
 */
export function isInIncident(quarantined: DeviceName, device: DeviceName): boolean {
  if (quarantined.path !== device.path) return false;
  return quarantined.serial === null || quarantined.serial === device.serial;
}

/**
 * The device by what tells it from others here. Many vendors give all cards of a kind one serial number, or
 * zeros: one that another slot shows too, or that is no number, is left out, and the address counts alone.
 */
export function tellingName(device: DeviceName, present: readonly Present[]): DeviceName {
  const isShared = present.some(
    ({ path, name }) =>
      name !== undefined && slotOf(path) !== slotOf(device.path) && isSameSerial(device, name),
  );
  return isNumber(device.serial) && !isShared ? device : { ...device, serial: null };
}

/** No number: zeros or ones in all places. */
function isNumber(serial: string | null): serial is string {
  return serial !== null && !/^(?:00-){7}00$|^(?:ff-){7}ff$/.test(serial);
}

/** The serial number is one for all functions of a device (PCIe 7.9.3); vendors number by themselves. */
function isSameSerial(a: DeviceName, b: DeviceName): boolean {
  return isNumber(a.serial) && a.serial === b.serial && a.vendor === b.vendor;
}

/** The very function by its serial number, with the same ids, in whatever slot. */
function isSameFunction(quarantined: DeviceName, found: DeviceName): boolean {
  return (
    functionOf(quarantined.path) === functionOf(found.path) &&
    isSameSerial(quarantined, found) &&
    isEqual({ ...quarantined, path: found.path }, found)
  );
}

const slotOf = (path: string): string => path.slice(0, path.indexOf('.'));
const functionOf = (path: string): string => path.slice(path.indexOf('.') + 1);

export function deviceNameJson(device: DeviceName): JsonObject {
  return { path: device.path, ...identityJson(device), serial: device.serial };
}

export function readDeviceName(node: Node): DeviceName {
  node.only(
    ...['path', 'vendor', 'device', 'subsystem_vendor', 'subsystem_device', 'class', 'revision'],
    'serial',
  );
  const serial = node.get('serial');
  return {
    path: parseBdf(node.get('path').string()),
    vendor: readId(node.get('vendor'), 4),
    device: readId(node.get('device'), 4),
    subsystemVendor: readId(node.get('subsystem_vendor'), 4),
    subsystemDevice: readId(node.get('subsystem_device'), 4),
    class: readId(node.get('class'), 6),
    revision: readId(node.get('revision'), 2),
    serial:
      serial.value === null ? null : serial.matching(/^([0-9a-f]{2}-){7}[0-9a-f]{2}$/, 'a serial'),
  };
}

/** DSSE: signed as a release, and not as anything else that these keys sign. */
export const RELEASE_PAYLOAD_TYPE = 'application/vnd.ironport.quarantine-release+json';
const SCHEMA = 'ironport.quarantine-release/v1';

/** What of an incident a statement must name. */
export interface Named {
  readonly incident: string;
  readonly host: string;
  readonly device: DeviceName;
  /** SHA-256 of the newest line of the audit log that is about the incident. */
  readonly auditSha256: string;
}

export interface ReleaseStatement extends Named {
  readonly expires: Instant;
}

function namedJson(named: Named): JsonObject {
  return {
    schema: SCHEMA,
    incident: named.incident,
    host: named.host,
    device: deviceNameJson(named.device),
    audit_sha256: named.auditSha256,
  };
}

export function releasePayload(statement: ReleaseStatement): Uint8Array {
  return compactJson({ ...namedJson(statement), expires: formatInstant(statement.expires) });
}

/** A statement that nobody signed yet: its time begins with the first signature. */
export function releaseDraft(named: Named): Uint8Array {
  return compactJson(namedJson(named));
}

export const INCIDENT_ID = /^[0-9a-f]{32}$/;

/** Reads the payload of a statement. `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseRelease(bytes: Uint8Array): ReleaseStatement {
  const node = new Node(parseJson(bytes, { length: QUARANTINE_LIMITS.statement }), 'release');
  node.only(...NAMED, 'expires');
  return { ...readNamed(node), expires: node.get('expires').instant() };
}

/** The same without an expiry, and without signatures. */
export function parseReleaseDraft(bytes: Uint8Array): Named {
  const node = new Node(parseJson(bytes, { length: QUARANTINE_LIMITS.statement }), 'release');
  return readNamed(node.only(...NAMED));
}

const NAMED = ['schema', 'incident', 'host', 'device', 'audit_sha256'] as const;

function readNamed(node: Node): Named {
  node.get('schema').oneOf(SCHEMA);
  return {
    incident: node.get('incident').matching(INCIDENT_ID, 'the id of an incident'),
    host: node.get('host').matching(/^[0-9a-f]{32}$/, 'the id of a host'),
    device: readDeviceName(node.get('device')),
    auditSha256: node.get('audit_sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
  };
}

export interface VerifiedRelease {
  readonly statement: ReleaseStatement;
  readonly signers: readonly PublicKey[];
  readonly payload: Uint8Array;
}

/**
 * The statement in an envelope that enough operators of the fleet signed, and which is good now.
 * `E_SIGNATURE`, `E_THRESHOLD`, `E_EXPIRED`, `E_NOT_RELEASED`, and what reading throws. Whether it is
 * about an incident is `requireAbout`'s.
 */
export function verifyRelease(
  crypto: Crypto,
  bytes: Uint8Array,
  fleet: FleetKeys,
  now: Instant,
): VerifiedRelease {
  const envelope = parseEnvelope(bytes, 'release', QUARANTINE_LIMITS.statement);
  const signers = verifyEnvelope(crypto, envelope, fleet.keys, fleet.threshold);
  if (envelope.payloadType !== RELEASE_PAYLOAD_TYPE) {
    throw notReleased('type', 'what is signed is no release from quarantine', {
      found: envelope.payloadType,
    });
  }
  const statement = parseRelease(envelope.payload);
  if (statement.expires <= now) {
    throw new IronError('E_EXPIRED', 'the statement of release is past its expiry', {
      why: `it was good until ${formatInstant(statement.expires)}`,
      hint: 'nothing was changed; let the operators sign a new one',
    });
  }
  // A statement that is good for long could be kept until it suits somebody.
  if (statement.expires - now > QUARANTINE_LIMITS.releaseSeconds) {
    throw notReleased('lifetime', 'the statement is good for longer than any may be', {
      expires: formatInstant(statement.expires),
      limit: QUARANTINE_LIMITS.releaseSeconds,
    });
  }
  return { statement, signers, payload: envelope.payload };
}

/** `E_NOT_RELEASED` unless the statement names this incident, on this host, of this device. */
export function requireAbout(statement: Named, named: Named): void {
  const { incident } = named;
  const differ = (reason: string, what: string): IronError =>
    notReleased(reason, `the statement does not release this device: ${what}`, { incident });
  if (statement.incident !== incident) throw differ('incident', 'it is about another incident');
  if (statement.host !== named.host) throw differ('host', 'it is about another host');
  if (!isEqual(statement.device, named.device))
    throw differ('device', 'it is about another device');
  // The newest line about the incident: what was added later was not known to whoever signed.
  if (statement.auditSha256 !== named.auditSha256)
    throw differ(
      'audit',
      'it names another record of the audit log, or one from before it was put into quarantine again',
    );
}

function isEqual(a: DeviceName, b: DeviceName): boolean {
  return JSON.stringify(deviceNameJson(a)) === JSON.stringify(deviceNameJson(b));
}

export function notReleased(
  reason: string,
  message: string,
  context: ErrorContext,
  hint = 'nothing was changed, and the device stays in quarantine; `ironport-agent quarantine show` writes the statement that the operators are to sign',
): IronError {
  return new IronError('E_NOT_RELEASED', message, {
    hint,
    context: { reason, ...context },
  });
}
