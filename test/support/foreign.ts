/**
 * Repositories as other tools make them: key ids of their own, the metadata of python-tuf or of
 * tuftool, targets of the top level. Every part can be bent, so that tests can make what must be
 * refused.
 */

import { createHash } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { canonicalBytes } from '../../shared/json/canonical.ts';
import { parseJson } from '../../shared/json/read.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { TODAY } from './clock.ts';
import { testKey } from './keys.ts';
import { sha256 } from './repository.ts';

export interface ForeignKeys {
  readonly root: readonly Signer[];
  readonly targets: readonly Signer[];
  readonly snapshot: readonly Signer[];
  readonly timestamp: readonly Signer[];
  readonly acme: readonly Signer[];
}

export const FOREIGN_KEYS: ForeignKeys = {
  root: [
    testKey('old root 1'),
    testKey('old root 2', 'ecdsa-sha2-nistp256'),
    testKey('old root 3'),
  ],
  targets: [testKey('old targets')],
  snapshot: [testKey('old snapshot')],
  timestamp: [testKey('old timestamp', 'ecdsa-sha2-nistp256')],
  acme: [testKey('old acme', 'ecdsa-sha2-nistp384')],
};

export interface ForeignOptions {
  readonly style: 'python-tuf' | 'tuftool';
  readonly keys?: ForeignKeys;
  /** Until when everything holds. */
  readonly expires?: Instant;
  /** Bytes by path; what is not under acme/ the top level lists. */
  readonly files?: Readonly<Record<string, string>>;
  readonly roots?: number;
  readonly consistent?: boolean;
  /** Roles nested below acme's, each after the one that delegates to it. */
  readonly nested?: readonly ForeignRole[];
  /** Changes the signed part of a file before it is signed. */
  readonly bend?: (role: string, signed: Record<string, unknown>) => void;
  /** Targets whose bytes are left out, or are others. */
  readonly lost?: readonly string[];
  readonly altered?: readonly string[];
  readonly versions?: {
    readonly snapshot: number;
    readonly timestamp: number;
    readonly targets: number;
    readonly acme?: number;
  };
}

/** A role that is nested in acme's, or in one that is. */
export interface ForeignRole {
  readonly name: string;
  /** The role that delegates to it. */
  readonly in: string;
  readonly paths: readonly string[];
  /** Of the files, those that it lists. */
  readonly lists?: readonly string[];
  readonly terminating?: boolean;
  readonly version?: number;
}

/** Who signs a nested role. */
export function foreignKeysOf(name: string): readonly Signer[] {
  return [testKey(`old ${name}`)];
}

export const FOREIGN_FILES: Readonly<Record<string, string>> = {
  'firmware-1.bin': 'the first firmware',
  'old/tools/flash.sh': 'a script',
  'acme/edu/1.0.0/edu.js': 'a driver of acme',
};
export const FOREIGN_VERSIONS = { snapshot: 41, timestamp: 977, targets: 12 } as const;

/** Ids that nobody can compute from a key: TAP 12 lets them be anything. */
export function foreignId({ key }: Signer): string {
  return createHash('sha256')
    .update(`of others: ${keyIdentity(key)}`)
    .digest('hex');
}

function entryOf({ key }: Signer): unknown {
  // As older python-tuf wrote them: a field that nobody else knows.
  return { ...keyObject(key), keyid_hash_algorithms: ['sha256', 'sha512'] };
}

function tableOf(...lists: readonly (readonly Signer[])[]): Record<string, unknown> {
  return Object.fromEntries(lists.flat().map((key) => [foreignId(key), entryOf(key)]));
}

const roleOf = (keys: readonly Signer[], threshold = 1) => ({
  keyids: keys.map(foreignId),
  threshold,
});

/** The file of a role: what is signed, and signatures by these keys under their foreign ids. */
export async function foreignFile(signed: object, keys: readonly Signer[]): Promise<Uint8Array> {
  const text = JSON.stringify(signed);
  const message = canonicalBytes(parseJson(utf8(text), { length: 5_000_000 }));
  const signatures: object[] = [];
  for (const key of keys)
    signatures.push({ keyid: foreignId(key), sig: toHex(await key.sign(message)) });
  // python-tuf writes what is signed indented, and not in canonical form.
  return utf8(JSON.stringify({ signatures, signed }, null, 1));
}

/** Writes the repository into `folder`, and returns its roots, the first at 1. */
export async function writeForeign(
  folder: string,
  options: ForeignOptions,
): Promise<ReadonlyMap<number, Uint8Array>> {
  const { style, keys = FOREIGN_KEYS, files = FOREIGN_FILES, roots: count = 3 } = options;
  const { bend = () => {}, versions = FOREIGN_VERSIONS, consistent = true, nested = [] } = options;
  const expires = formatInstant(options.expires ?? TODAY + 400 * 86_400);
  const common = (type: string, version: number) => ({
    ...{ _type: type, spec_version: '1.0.31', version, expires },
  });
  const put = async (path: string, bytes: Uint8Array): Promise<void> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  };
  const make = async (
    ...[role, version, signed, by]: [string, number, Record<string, unknown>, readonly Signer[]]
  ): Promise<Record<string, unknown>> => {
    bend(role, signed);
    const bytes = await foreignFile(signed, by);
    const isMoving = role === 'timestamp' || (!consistent && role !== 'root');
    await put(`metadata/${isMoving ? '' : `${version}.`}${role}.json`, bytes);
    const hashes = { sha256: toHex(createHash('sha256').update(bytes).digest()) };
    return style === 'tuftool' ? { length: bytes.length, hashes, version } : { version };
  };

  const roots = new Map<number, Uint8Array>();
  for (let version = 1; version <= count; version++) {
    const signed = {
      ...common('root', version),
      consistent_snapshot: consistent,
      keys: tableOf(keys.root, keys.targets, keys.snapshot, keys.timestamp),
      roles: {
        root: roleOf(keys.root, 2),
        targets: roleOf(keys.targets),
        snapshot: roleOf(keys.snapshot),
        timestamp: roleOf(keys.timestamp),
      },
    };
    bend('root', signed);
    const bytes = await foreignFile(signed, keys.root.slice(0, 2));
    roots.set(version, bytes);
    await put(`metadata/${version}.root.json`, bytes);
  }
  const below = new Map(nested.flatMap(({ name, lists = [] }) => lists.map((it) => [it, name])));
  const ownerOf = (path: string): string =>
    below.get(path) ?? (path.startsWith('acme/') ? 'acme' : 'targets');
  const listed = (role: string) =>
    Object.fromEntries(
      Object.entries(files)
        .filter(([path]) => ownerOf(path) === role)
        .map(([path, text]) => [
          path,
          { length: utf8(text).length, hashes: { sha256: sha256(utf8(text)) } },
        ]),
    );
  const delegationsOf = (role: string): object => {
    const inIt = nested.filter((one) => one.in === role);
    if (inIt.length === 0) return {};
    const keysOf = inIt.map(({ name }) => foreignKeysOf(name));
    const roles = inIt.map(({ name, paths, terminating = true }) => ({
      ...{ name, paths, terminating },
      ...roleOf(foreignKeysOf(name)),
    }));
    return { delegations: { keys: tableOf(...keysOf), roles } };
  };
  const delegation = {
    name: 'acme',
    paths: ['acme/*/*/*'],
    terminating: false,
    ...roleOf(keys.acme),
  };
  const targets = {
    ...common('targets', versions.targets),
    targets: listed('targets'),
    delegations: { keys: tableOf(keys.acme), roles: [delegation] },
  };
  const { acme = 5 } = options.versions ?? {};
  const meta: Record<string, unknown> = {
    'targets.json': await make('targets', versions.targets, targets, keys.targets),
  };
  const roles = [
    { name: 'acme', version: acme, by: keys.acme },
    ...nested.map(({ name, version = 1 }) => ({ name, version, by: foreignKeysOf(name) })),
  ];
  for (const { name, version, by } of roles) {
    const signed = { ...common('targets', version), targets: listed(name), ...delegationsOf(name) };
    meta[`${name}.json`] = await make(name, version, signed, by);
  }
  const snapshot = { ...common('snapshot', versions.snapshot), meta };
  const entry = await make('snapshot', versions.snapshot, snapshot, keys.snapshot);
  const timestamp = {
    ...common('timestamp', versions.timestamp),
    meta: { 'snapshot.json': entry },
  };
  await make('timestamp', versions.timestamp, timestamp, keys.timestamp);
  for (const [path, text] of Object.entries(files)) {
    if (options.lost?.includes(path) === true) continue;
    const bytes = utf8(options.altered?.includes(path) === true ? text.toUpperCase() : text);
    const digest = sha256(utf8(text));
    if (style === 'python-tuf') {
      await put(`targets/${consistent ? hashPrefixed(path, digest) : path}`, bytes);
      continue;
    }
    // tuftool links, and puts the digest before the whole path.
    await put(`input/${path}`, bytes);
    const place = join(folder, 'targets', `${digest}.${path}`);
    await mkdir(dirname(place), { recursive: true });
    await symlink(join(folder, 'input', path), place);
  }
  return roots;
}
