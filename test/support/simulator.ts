/**
 * A repository in memory that is a fetcher: a test edits what it says, publishes as much of it as
 * the test wants, and lets the real client fetch it. Nothing is checked here; what is edited into
 * a lie is signed as a lie. `requests` is what was asked for, in order.
 *
 *     const sim = new Simulator();
 *     sim.addTarget('targets', 'hello.txt', utf8('hello'));
 *     sim.publish();
 *
 * Files other than roots are signed when they are fetched, from what they say at that moment.
 */

import { createHash } from 'node:crypto';
import type { Fetcher, FetchOptions, OpenedFile, ResumeFrom } from '../../client/fetch/fetcher.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { canonicalBytes } from '../../shared/json/canonical.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { hashPrefixed } from '../../shared/layout.ts';
import { DAY, formatInstant, type Instant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { encodeRoleName } from '../../shared/tuf/names.ts';
import { TODAY } from './clock.ts';
import { type TestKey, testKey } from './keys.ts';

// The drafts are what stands under `signed`, open to any edit.
interface Common {
  _type: string;
  spec_version: string;
  version: number;
  expires: string;
  [field: string]: unknown;
}
export interface RoleDraft {
  keyids: string[];
  threshold: number;
}
export interface RootDraft extends Common {
  consistent_snapshot: boolean;
  keys: Record<string, unknown>;
  roles: Record<string, RoleDraft>;
}
export interface FileDraft {
  version: number;
  length?: number;
  hashes?: Record<string, string>;
}
export interface SnapshotDraft extends Common {
  meta: Record<string, FileDraft>;
}
export interface TargetDraft {
  length: number;
  hashes: Record<string, string>;
  custom?: unknown;
}
export interface DelegationDraft extends RoleDraft {
  name: string;
  terminating: boolean;
  paths?: string[];
  path_hash_prefixes?: string[];
}
export interface TargetsDraft extends Common {
  targets: Record<string, TargetDraft>;
  delegations?: {
    keys: Record<string, unknown>;
    roles?: DelegationDraft[];
    succinct_roles?: RoleDraft & { bit_length: number; name_prefix: string };
  };
}

/** What a delegation is made of; one new key with a threshold of 1 unless said otherwise. */
export interface DelegateOptions {
  readonly paths?: readonly string[];
  readonly prefixes?: readonly string[];
  readonly terminating?: boolean;
  readonly keys?: readonly TestKey[];
  readonly threshold?: number;
}

const TOP = ['root', 'targets', 'snapshot', 'timestamp'] as const;

export class Simulator implements Fetcher {
  readonly origin = 'simulator';
  readonly root: RootDraft;
  readonly timestamp: SnapshotDraft;
  readonly snapshot: SnapshotDraft;
  /** `targets` and every delegated role. */
  readonly roles = new Map<string, TargetsDraft>();
  /** Who signs which role. */
  readonly signers = new Map<string, TestKey[]>();
  /** Roots as they were published, by version. */
  readonly roots = new Map<number, Uint8Array>();
  /** Bytes that are served in place of the real ones; null is a file that is not there. */
  readonly overrides = new Map<string, Uint8Array | null>();
  /** Tree paths in the order in which they were asked for. */
  readonly requests: string[] = [];
  /** Whether snapshot and timestamp give length and hashes of what they name. */
  withHashes = false;
  readonly #targets = new Map<string, Uint8Array>();
  readonly #now: Instant;
  readonly #name: string;
  #made = 0;

  /** Simulators of one name make the same keys. */
  constructor(now: Instant = TODAY, name = 'simulator') {
    this.#now = now;
    this.#name = name;
    const emptyRoles = Object.fromEntries(TOP.map((role) => [role, { keyids: [], threshold: 1 }]));
    this.root = {
      ...this.#common('root', 365),
      consistent_snapshot: true,
      keys: empty(),
      roles: emptyRoles,
    };
    this.snapshot = { ...this.#common('snapshot', 7), meta: { 'targets.json': { version: 1 } } };
    this.timestamp = { ...this.#common('timestamp', 1), meta: { 'snapshot.json': { version: 1 } } };
    this.roles.set('targets', { ...this.#common('targets', 182), targets: empty() });
    for (const role of TOP) this.addKey(role);
    this.publishRoot();
  }

  get targets(): TargetsDraft {
    return this.role('targets');
  }

  role(name: string): TargetsDraft {
    const draft = this.roles.get(name);
    if (draft === undefined) throw new Error(`the simulator has no role ${name}`);
    return draft;
  }

  /** An expiry `days` from the simulator's present. */
  expiry(days: number): string {
    return formatInstant(this.#now + days * DAY);
  }

  newKey(): TestKey {
    return testKey(`${this.#name} ${this.#made++}`);
  }

  /** Gives a top-level role one more key, and lets it sign. */
  addKey(role: string, key = this.newKey(), keyid = key.keyid): TestKey {
    const keys = this.root.roles[role] as RoleDraft;
    this.root.keys[keyid] = keyObject(key.key);
    keys.keyids.push(keyid);
    this.signers.set(role, [...(this.signers.get(role) ?? []), key]);
    return key;
  }

  /** Takes all keys from a top-level role and gives it as many new ones as it had. */
  rotateKeys(role: string): void {
    const keys = this.root.roles[role] as RoleDraft;
    const count = keys.keyids.length;
    keys.keyids = [];
    this.signers.set(role, []);
    for (let i = 0; i < count; i++) this.addKey(role);
  }

  /** Publishes the root as it stands, signed by `signers` and by the keys it had before as well. */
  publishRoot(signers = this.signers.get('root') ?? []): Uint8Array {
    const bytes = this.#sign(this.root, signers);
    this.roots.set(this.root.version, bytes);
    return bytes;
  }

  /** Publishes the next root version; the keys of the last one sign too. */
  nextRoot(edit: () => void = () => {}): void {
    const before = this.signers.get('root') ?? [];
    edit();
    this.root.version++;
    this.publishRoot([...new Set([...before, ...(this.signers.get('root') ?? [])])]);
  }

  /** A new version of each of `roles`, then of snapshot and timestamp. */
  publish(...roles: string[]): void {
    for (const role of roles) this.role(role).version++;
    for (const [role, draft] of this.roles) {
      this.snapshot.meta[`${role}.json`] = this.#describe(draft.version, role);
    }
    this.snapshot.version++;
    this.publishTimestamp();
  }

  /** A new timestamp for the snapshot as it stands. */
  publishTimestamp(): void {
    this.timestamp.meta['snapshot.json'] = this.#describe(this.snapshot.version, 'snapshot');
    this.timestamp.version++;
  }

  addTarget(role: string, path: string, bytes: Uint8Array, custom?: unknown): void {
    const hashes = { sha256: digest('sha256', bytes) };
    this.role(role).targets[path] = {
      length: bytes.length,
      hashes,
      ...(custom === undefined ? {} : { custom }),
    };
    this.#targets.set(`targets/${hashPrefixed(path, hashes.sha256)}`, bytes);
    this.#targets.set(`targets/${path}`, bytes);
  }

  /** Delegates from one role to another, which is made when it is not there. */
  delegate(delegator: string, name: string, options: DelegateOptions = {}): TestKey[] {
    const keys = [...(options.keys ?? this.signers.get(name) ?? [this.newKey()])];
    const draft = this.role(delegator);
    draft.delegations ??= { keys: empty() };
    for (const { keyid, key } of keys) draft.delegations.keys[keyid] = keyObject(key);
    draft.delegations.roles ??= [];
    draft.delegations.roles.push({
      name,
      keyids: keys.map(({ keyid }) => keyid),
      threshold: options.threshold ?? 1,
      terminating: options.terminating ?? false,
      ...(options.prefixes === undefined
        ? { paths: [...(options.paths ?? ['*'])] }
        : { path_hash_prefixes: [...options.prefixes] }),
    });
    this.#newRole(name, keys);
    return keys;
  }

  /** Delegates everything to 2^bits succinct bins (TAP 15), all with one key. */
  delegateBins(delegator: string, bits: number, prefix: string): string[] {
    const key = this.newKey();
    this.role(delegator).delegations = {
      keys: { [key.keyid]: keyObject(key.key) },
      succinct_roles: {
        keyids: [key.keyid],
        threshold: 1,
        bit_length: bits,
        name_prefix: prefix,
      },
    };
    const width = (2 ** bits - 1).toString(16).length;
    const names = Array.from(
      { length: 2 ** bits },
      (_, i) => `${prefix}-${i.toString(16).padStart(width, '0')}`,
    );
    for (const name of names) this.#newRole(name, [key]);
    return names;
  }

  /** The bytes of a role's file as they would be served now. */
  fileOf(role: string): Uint8Array {
    if (role === 'root') return this.roots.get(this.root.version) as Uint8Array;
    const draft =
      role === 'timestamp'
        ? this.timestamp
        : role === 'snapshot'
          ? this.snapshot
          : this.roles.get(role);
    if (draft === undefined) throw new Error(`the simulator has no role ${role}`);
    return this.#sign(draft, this.signers.get(role) ?? []);
  }

  /** What is served at a tree path, or undefined. */
  serve(path: string): Uint8Array | undefined {
    this.requests.push(path);
    const override = this.overrides.get(path);
    if (override !== undefined) return override ?? undefined;
    const metadata = /^metadata\/(?:([1-9][0-9]*)\.)?(.+)\.json$/.exec(path);
    if (metadata === null) return this.#targets.get(path);
    const version = metadata[1] === undefined ? undefined : Number(metadata[1]);
    const role = decodeURIComponent(metadata[2] as string);
    if (role === 'root') return this.roots.get(version ?? this.root.version);
    if (role === 'timestamp') return version === undefined ? this.fileOf(role) : undefined;
    const draft = role === 'snapshot' ? this.snapshot : this.roles.get(role);
    const isNamed = version === undefined ? !this.root.consistent_snapshot : true;
    if (draft === undefined || !isNamed) return undefined;
    return version === undefined || version === draft.version ? this.fileOf(role) : undefined;
  }

  async fetchFile(
    path: string,
    maxLength: number,
    options?: FetchOptions,
  ): Promise<Uint8Array | undefined> {
    options?.signal?.throwIfAborted();
    const bytes = this.serve(path);
    if (bytes !== undefined && bytes.length > maxLength) {
      throw new IronError('E_TOO_LARGE', `${path} has more than ${maxLength} bytes`);
    }
    return bytes;
  }

  async openFile(
    path: string,
    length: number,
    resume?: ResumeFrom,
    options?: FetchOptions,
  ): Promise<OpenedFile> {
    options?.signal?.throwIfAborted();
    const bytes = this.serve(path);
    if (bytes === undefined) throw new IronError('E_NOT_FOUND', `there is no ${path}`);
    if (bytes.length > length) throw new IronError('E_LENGTH', `${path} is too long`);
    const validator = `"${digest('sha256', bytes)}"`;
    const start = resume?.validator === validator ? resume.offset : 0;
    return { start, validator, pieces: pieces(bytes.subarray(start), options) };
  }

  /** The metadata files asked for since the last call, without their folder. */
  takeRequests(): string[] {
    return this.requests.splice(0).map((path) => path.replace(/^metadata\//, ''));
  }

  #newRole(name: string, keys: TestKey[]): void {
    if (!this.roles.has(name)) {
      this.roles.set(name, { ...this.#common('targets', 90), targets: empty() });
      this.snapshot.meta[`${name}.json`] = { version: 1 };
    }
    this.signers.set(name, [...new Set([...(this.signers.get(name) ?? []), ...keys])]);
  }

  #common(type: string, days: number): Common {
    return { _type: type, spec_version: '1.0.34', version: 1, expires: this.expiry(days) };
  }

  #describe(version: number, role: string): FileDraft {
    if (!this.withHashes) return { version };
    const bytes = this.fileOf(role);
    return { version, length: bytes.length, hashes: { sha256: digest('sha256', bytes) } };
  }

  #sign(signed: Common, signers: readonly TestKey[]): Uint8Array {
    return signFile(signed, signers);
  }
}

async function* pieces(
  bytes: Uint8Array,
  options: FetchOptions | undefined,
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    options?.signal?.throwIfAborted();
    const piece = bytes.subarray(at, at + 65_536);
    options?.onBytes?.(piece.length);
    yield piece;
  }
}

/** Holds any name: `__proto__` is a name like another. */
function empty<T>(): Record<string, T> {
  return Object.create(null);
}

/** A metadata file over whatever `signed` is. */
export function signFile(signed: unknown, signers: readonly TestKey[]): Uint8Array {
  const bytes = canonicalBytes(signed as JsonValue);
  const signatures = signers.map((key) => ({ keyid: key.keyid, sig: key.signHex(bytes) }));
  return utf8(JSON.stringify({ signatures, signed }));
}

/** The name of a role's file at a version. */
export function fileName(role: string, version: number): string {
  return `${version}.${encodeRoleName(role)}.json`;
}

export function digest(algorithm: 'sha256' | 'sha512', bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex');
}
