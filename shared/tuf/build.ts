/** Writing metadata: the trees that get signed, and the files with their signatures. */

import { concatBytes, toHex, utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity, type PublicKey } from '../crypto/key.ts';
import type { Signer } from '../crypto/signer.ts';
import { IronError } from '../errors.ts';
import { canonicalBytes } from '../json/canonical.ts';
import { isJsonObject, type JsonObject, type JsonValue, jsonObject } from '../json/value.ts';
import { formatInstant, type Instant } from '../time.ts';
import type { Envelope } from './envelope.ts';
import { keyId, keyObject, signedMessage } from './key.ts';
import type { TopLevelRole } from './names.ts';
import type { KeyTable } from './role.ts';

export const SPEC_VERSION = '1.0.34';

/** Keys of a role with the number of them that must sign. */
export interface RoleSpec {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

export interface FileMeta {
  readonly length: number;
  readonly sha256: string;
}

const common = (type: string, version: number, expires: Instant): [string, JsonValue][] => [
  ['_type', type],
  ['spec_version', SPEC_VERSION],
  ['version', version],
  ['expires', formatInstant(expires)],
];

/** The `signed` part of a root file. Threshold and keys are checked: 1 ≤ threshold ≤ keys. */
export function rootTree(
  crypto: Crypto,
  version: number,
  expires: Instant,
  roles: Readonly<Record<TopLevelRole, RoleSpec>>,
): JsonObject {
  const keys = Object.values(roles).flatMap((role) => role.keys);
  return jsonObject([
    ...common('root', version, expires),
    ['consistent_snapshot', true],
    ['keys', keyTable(crypto, keys)],
    [
      'roles',
      jsonObject(Object.entries(roles).map(([name, role]) => [name, roleKeys(crypto, role)])),
    ],
  ]);
}

/** How files call keys that they list already, by what the key is: id and entry, as they stand. */
export type KnownKeys = ReadonlyMap<string, { readonly keyid: string; readonly entry: JsonValue }>;

/**
 * The keys of a root as it calls them. Ids that others gave are opaque and stay (TAP 12): readers
 * that trust this root look for signatures under them.
 */
export function knownKeys(table: KeyTable, entries: JsonObject): KnownKeys {
  const known = new Map<string, { keyid: string; entry: JsonValue }>();
  for (const [keyid, { publicKey }] of table) {
    const entry = entries[keyid];
    if (publicKey === undefined || entry === undefined) continue;
    const identity = keyIdentity(publicKey);
    if (!known.has(identity)) known.set(identity, { keyid, entry });
  }
  return known;
}

/** The `keys` object for `keys`, by key id. */
export function keyTable(
  crypto: Crypto,
  keys: readonly PublicKey[],
  known: KnownKeys = new Map(),
): JsonObject {
  return jsonObject(
    keys.map((key) => {
      const { keyid, entry } = known.get(keyIdentity(key)) ?? {
        keyid: keyId(crypto, key),
        entry: keyObject(key),
      };
      return [keyid, entry];
    }),
  );
}

/** `{keyids, threshold}` of a role. */
export function roleKeys(crypto: Crypto, role: RoleSpec, known: KnownKeys = new Map()): JsonObject {
  const idOf = (key: PublicKey): string => known.get(keyIdentity(key))?.keyid ?? keyId(crypto, key);
  const keyids = [...new Set(role.keys.map(idOf))];
  if (role.threshold < 1 || role.threshold > keyids.length) {
    throw new IronError(
      'E_SCHEMA',
      `a threshold of ${role.threshold} of ${keyids.length} keys can never be met`,
    );
  }
  return jsonObject([
    ['keyids', keyids],
    ['threshold', role.threshold],
  ]);
}

export function timestampTree(
  version: number,
  expires: Instant,
  snapshot: FileMeta & { version: number },
): JsonObject {
  const entry = jsonObject([
    ['version', snapshot.version],
    ['length', snapshot.length],
    ['hashes', jsonObject([['sha256', snapshot.sha256]])],
  ]);
  return jsonObject([
    ...common('timestamp', version, expires),
    ['meta', jsonObject([['snapshot.json', entry]])],
  ]);
}

/** `roles` by role name, without `.json`. */
export function snapshotTree(
  version: number,
  expires: Instant,
  roles: ReadonlyMap<string, number>,
): JsonObject {
  const meta = [...roles].map(
    ([role, v]) => [`${role}.json`, jsonObject([['version', v]])] as const,
  );
  return jsonObject([...common('snapshot', version, expires), ['meta', jsonObject(meta)]]);
}

/** Parts of a targets file; `extra` are further top-level fields of the signed part. */
export interface TargetsParts {
  readonly targets: ReadonlyMap<string, JsonObject>;
  readonly delegations?: JsonObject | undefined;
  readonly extra?: JsonObject | undefined;
}

export function targetsTree(version: number, expires: Instant, parts: TargetsParts): JsonObject {
  return jsonObject([
    ...common('targets', version, expires),
    ['targets', jsonObject(parts.targets)],
    ...(parts.delegations === undefined
      ? []
      : [['delegations', parts.delegations] as [string, JsonValue]]),
    ...Object.entries(parts.extra ?? {}),
  ]);
}

/** One entry of `targets`. */
export function targetEntry(file: FileMeta, custom?: JsonObject): JsonObject {
  return jsonObject([
    ['length', file.length],
    ['hashes', jsonObject([['sha256', file.sha256]])],
    ...(custom === undefined ? [] : [['custom', custom] as [string, JsonValue]]),
  ]);
}

/** A delegation of path patterns to a role. */
export function delegationTree(
  crypto: Crypto,
  name: string,
  role: RoleSpec,
  paths: readonly string[],
  terminating: boolean,
): JsonObject {
  return jsonObject([
    ['name', name],
    ...Object.entries(roleKeys(crypto, role)),
    ['terminating', terminating],
    ['paths', paths],
  ]);
}

/** Delegations to hash bins that one description names (TAP 15). */
export function succinctTree(
  crypto: Crypto,
  role: RoleSpec,
  bitLength: number,
  namePrefix: string,
): JsonObject {
  return jsonObject([
    ['keys', keyTable(crypto, role.keys)],
    [
      'succinct_roles',
      jsonObject([
        ...Object.entries(roleKeys(crypto, role)),
        ['bit_length', bitLength],
        ['name_prefix', namePrefix],
      ]),
    ],
  ]);
}

/** Signatures by key id over the canonical form of `signed`. */
export type Signatures = ReadonlyMap<string, string>;

/** Under which ids a signature by `key` is looked for. */
export type KeyIds = (key: PublicKey) => readonly string[];

/** As the tables of those call the key who will count its signature; else by the id that we give. */
export function idsIn(crypto: Crypto, ...tables: readonly KeyTable[]): KeyIds {
  const ids = new Map<string, Set<string>>();
  for (const table of tables) {
    for (const [keyid, { publicKey }] of table) {
      if (publicKey === undefined) continue;
      const identity = keyIdentity(publicKey);
      ids.set(identity, (ids.get(identity) ?? new Set()).add(keyid));
    }
  }
  return (key) => [...(ids.get(keyIdentity(key)) ?? [keyId(crypto, key)])];
}

/**
 * Signs with every signer; signatures already there (by other signers) are kept.
 * @param ids under which ids each signs; under the one that we give it when there are none
 */
export function sign(
  crypto: Crypto,
  signed: JsonObject,
  signers: readonly Signer[],
  existing: Signatures = new Map(),
  ids?: KeyIds,
): Promise<Signatures> {
  return signCanonical(crypto, canonicalBytes(signed), signers, existing, ids);
}

async function signCanonical(
  crypto: Crypto,
  canonical: Uint8Array,
  signers: readonly Signer[],
  existing: Signatures,
  ids: KeyIds = idsIn(crypto),
): Promise<Signatures> {
  const signatures = new Map(existing);
  for (const signer of signers) {
    const bytes = signedMessage(crypto, signer.key, canonical);
    const signature = await signer.sign(bytes);
    // A token that signs something else than it was given must not be found out by the fleet.
    if (!crypto.verify(signer.key, bytes, signature)) {
      throw new IronError('E_SIGNATURE', 'a signer returned a signature that does not verify', {
        hint: 'nothing was written; check which key the signer holds',
      });
    }
    for (const keyid of ids(signer.key)) signatures.set(keyid, toHex(signature));
  }
  return signatures;
}

/**
 * The bytes of a metadata file. What is signed stands in it in canonical form, which readers like
 * ours then need not make again; not where a control character would make it no JSON.
 */
export function formatMetadata(signed: JsonObject, signatures: Signatures): Uint8Array {
  const canonical = canonicalBytes(signed);
  return fileOf(isJson(canonical) ? canonical : utf8(JSON.stringify(signed)), signatures);
}

/** Signs and makes the file, with one writing of the canonical form for both. */
export async function sealMetadata(
  crypto: Crypto,
  signed: JsonObject,
  signers: readonly Signer[],
  ids?: KeyIds,
): Promise<Uint8Array> {
  const canonical = canonicalBytes(signed);
  if (isJson(canonical)) return await sealCanonical(crypto, canonical, signers, ids);
  return formatMetadata(signed, await sign(crypto, signed, signers, undefined, ids));
}

/** The same of a canonical form that was written already, and that is JSON. */
export async function sealCanonical(
  crypto: Crypto,
  canonical: Uint8Array,
  signers: readonly Signer[],
  ids?: KeyIds,
): Promise<Uint8Array> {
  return fileOf(canonical, await signCanonical(crypto, canonical, signers, new Map(), ids));
}

function fileOf(signed: Uint8Array, signatures: Signatures): Uint8Array {
  const list = [...signatures].map(([keyid, sig]) => ({ keyid, sig }));
  return concatBytes(utf8(`{"signatures":${JSON.stringify(list)},"signed":`), signed, utf8('}'));
}

/** Canonical JSON leaves control characters as they are, which JSON does not. */
function isJson(canonical: Uint8Array): boolean {
  for (let i = 0; i < canonical.length; i++) if ((canonical[i] as number) < 0x20) return false;
  return true;
}

/** `envelope`'s file with signatures added: for signers who finish one another's work. */
export async function addSignatures(
  crypto: Crypto,
  envelope: Envelope,
  signers: readonly Signer[],
  ids?: KeyIds,
): Promise<Uint8Array> {
  const signed = envelope.tree;
  return formatMetadata(signed, await sign(crypto, signed, signers, envelope.signatures, ids));
}

/** `signed` with some top-level fields replaced; everything else stays as it came. */
export function withFields(
  signed: JsonObject,
  fields: Readonly<Record<string, JsonValue>>,
): JsonObject {
  return jsonObject([...Object.entries(signed), ...Object.entries(fields)]);
}

/** The member `key` of `object` as an object that may be empty. */
export function objectMember(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  return isJsonObject(value) ? value : jsonObject([]);
}
