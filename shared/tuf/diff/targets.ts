/** What a targets file changes: targets, delegations, vendors and their hardware, evidence keys. */

import type { Crypto } from '../../crypto/crypto.ts';
import { parseEvidenceKeys } from '../../evidence/keys.ts';
import { isJsonObject, type JsonObject, type JsonValue, jsonObject } from '../../json/value.ts';
import { objectMember } from '../build.ts';
import { formatHardwareId } from '../hardware-id.ts';
import { LOST_FIELD } from '../lost.ts';
import { RETENTION_FIELD } from '../retention.ts';
import { REVIEWERS_FIELD } from '../reviewers.ts';
import { parseRevocationTrust, TRUST_FIELD } from '../revocation-trust.ts';
import type { Targets } from '../targets.ts';
import { EXTENSION_FIELD, parseVendors, type Vendor } from '../vendors.ts';
import {
  changes,
  gains,
  isSame,
  keyNames,
  loses,
  otherMembers,
  setDiff,
  type TrustChange,
  warns,
} from './change.ts';
import { delegationsDiff } from './delegations.ts';
import { lostDiff } from './lost.ts';
import { retentionDiff } from './retention.ts';
import { reviewersDiff } from './reviewers.ts';

/** A file shown without an earlier one lists its targets one by one up to so many. */
const MOST_NEW_TARGETS = 50;

export function targetsDiff(
  crypto: Crypto,
  before: Targets | undefined,
  after: Targets,
  entries = before && objectMember(before.envelope.tree, 'targets'),
): TrustChange[] {
  const signed = after.envelope.tree;
  const old = before?.envelope.tree;
  const delegations = delegationsDiff(crypto, before?.delegations, after.delegations);
  return [
    ...delegations,
    ...unspoken(delegations, old, signed, 'delegations', before === undefined),
    ...vendorsDiff(crypto, before, after),
    ...teamDiff(crypto, before, after),
    ...reviewersDiff(crypto, before, after),
    ...retentionDiff(before, after),
    ...lostDiff(before, after),
    ...evidenceKeysDiff(crypto, before, after),
    ...entriesDiff(entries, objectMember(signed, 'targets')),
    ...otherMembers(old, signed, [
      '_type',
      'version',
      'expires',
      'targets',
      'delegations',
      EXTENSION_FIELD,
      ...(old === undefined ? ['spec_version'] : []),
    ]),
    ...otherMembers(
      old && objectMember(old, EXTENSION_FIELD),
      objectMember(signed, EXTENSION_FIELD),
      ['vendors', 'evidence_keys', TRUST_FIELD, REVIEWERS_FIELD, RETENTION_FIELD, LOST_FIELD],
      `${EXTENSION_FIELD}.`,
    ),
  ];
}

/** Something is different in `member`, and nothing was said about it yet. */
function unspoken(
  said: readonly TrustChange[],
  old: JsonObject | undefined,
  signed: JsonObject,
  member: string,
  isFirst: boolean,
  prefix = '',
): TrustChange[] {
  const isSilent = said.length === 0 && !isFirst && !isSame(old?.[member], signed[member]);
  return isSilent ? [changes(`the field "${prefix}${member}" is written differently`)] : [];
}

function vendorsDiff(crypto: Crypto, before: Targets | undefined, after: Targets): TrustChange[] {
  const then = before === undefined ? new Map() : parseVendors(before.envelope.signed);
  const now = parseVendors(after.envelope.signed);
  const delegated = new Set(after.delegations?.roles.map(({ name }) => name));
  const list: TrustChange[] = [];
  for (const name of new Set([...then.keys(), ...now.keys()])) {
    const said = vendorDiff(crypto, then.get(name), now.get(name), name);
    list.push(
      ...said,
      ...unspoken(
        said,
        rawVendors(before),
        rawVendors(after),
        name,
        !then.has(name),
        `${EXTENSION_FIELD}.vendors.`,
      ),
    );
    if (now.has(name) && !delegated.has(name))
      list.push(warns(`${name} has hardware and keys, but may publish nothing`));
  }
  return list;
}

/** Who may revoke: the security team's keys, their number, and its epoch. */
function teamDiff(crypto: Crypto, before: Targets | undefined, after: Targets): TrustChange[] {
  const then = before === undefined ? undefined : parseRevocationTrust(before.envelope.signed);
  const now = parseRevocationTrust(after.envelope.signed);
  const list = setDiff(
    keyNames(crypto, then?.keys ?? []),
    keyNames(crypto, now?.keys ?? []),
    (key) => `the key ${key} may sign revocations`,
    (key) => `the key ${key} may no longer sign revocations`,
  );
  if (now === undefined) {
    if (then !== undefined) list.push(warns('nobody may sign revocations: hosts will refuse'));
    return list;
  }
  if (now.threshold !== then?.threshold)
    list.push(changes(`revocations take ${now.threshold} of ${now.keys.length} keys of the team`));
  if (then !== undefined && now.epoch !== then.epoch)
    list.push(warns(`epoch ${now.epoch} of revocations begins: all floors begin anew`));
  return list;
}

function rawVendors(targets: Targets | undefined): JsonObject {
  const signed = targets?.envelope.tree;
  return objectMember(objectMember(signed ?? {}, EXTENSION_FIELD), 'vendors');
}

function vendorDiff(
  crypto: Crypto,
  then: Vendor | undefined,
  now: Vendor | undefined,
  name: string,
): TrustChange[] {
  const hardware = (vendor: Vendor | undefined): Map<string, string> =>
    new Map(vendor?.hardwareIds.map(formatHardwareId).map((id) => [id, id]));
  const list = [
    ...setDiff(
      hardware(then),
      hardware(now),
      (id) => `${name} may bind the hardware ${id}`,
      (id) => `${name} may no longer bind the hardware ${id}`,
    ),
    ...setDiff(
      keyNames(crypto, then?.apiKeys ?? []),
      keyNames(crypto, now?.apiKeys ?? []),
      (key) => `the key ${key} may send requests for ${name}`,
      (key) => `the key ${key} may no longer send requests for ${name}`,
    ),
  ];
  if (now !== undefined && now.contact !== then?.contact)
    list.push(changes(`${name} is to be told of vulnerabilities at ${now.contact}`));
  return list;
}

function evidenceKeysDiff(
  crypto: Crypto,
  before: Targets | undefined,
  after: Targets,
): TrustChange[] {
  const then = before === undefined ? undefined : parseEvidenceKeys(before.envelope.signed);
  const now = parseEvidenceKeys(after.envelope.signed);
  return [
    ...setDiff(
      keyNames(crypto, then?.active ?? []),
      keyNames(crypto, now.active),
      (key) => `the key ${key} may sign evidence`,
      (key) => `the key ${key} may no longer sign new evidence`,
    ),
    ...setDiff(
      keyNames(crypto, then?.retired ?? []),
      keyNames(crypto, now.retired),
      (key) => `the key ${key} is retired: it is good for evidence of what is listed still`,
      (key) => `the key ${key} is no longer listed as retired`,
    ),
  ];
}

function entriesDiff(old: JsonObject | undefined, signed: JsonObject): TrustChange[] {
  const paths = Object.keys(signed);
  if (old === undefined && paths.length > MOST_NEW_TARGETS)
    return [gains(`${paths.length} targets are listed`)];
  return [
    ...Object.keys(old ?? {})
      .filter((path) => signed[path] === undefined)
      .map((path) => loses(`${path} is no longer listed`)),
    ...paths.flatMap((path) => entryDiff(path, old?.[path], signed[path] as JsonValue)),
  ];
}

/** Entries are read nowhere before they are used: here each can be anything. */
function entryDiff(path: string, old: JsonValue | undefined, now: JsonValue): TrustChange[] {
  const entry = asObject(now);
  if (old === undefined) {
    const sha256 = objectMember(entry, 'hashes').sha256;
    const digest = typeof sha256 === 'string' ? `SHA-256 ${sha256.slice(0, 12)}…` : 'no SHA-256';
    const bytes =
      typeof entry.length === 'number' ? `${entry.length} bytes` : 'without a length and';
    return [gains(`${path} is listed, ${bytes} with ${digest}`)];
  }
  if (isSame(old, now)) return [];
  const { length, hashes } = asObject(old);
  const isOther = !isSame(length, entry.length) || !isSame(hashes, entry.hashes);
  return [changes(isOther ? `${path} stands for other bytes` : `${path} is described differently`)];
}

function asObject(value: JsonValue): JsonObject {
  return isJsonObject(value) ? value : jsonObject([]);
}
