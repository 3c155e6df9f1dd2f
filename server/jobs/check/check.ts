/**
 * Checks any TUF repository from outside, over time: what a reader of it would meet, now and at the
 * next look. It knows nothing of how the repository is made, and trusts it in nothing but the root
 * that the caller pins.
 */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { hashPrefixed, toUrlPath, tree } from '../../../shared/layout.ts';
import { LIST_LIMITS, METADATA_LIMITS } from '../../../shared/limits.ts';
import { formatSpan, type Instant } from '../../../shared/time.ts';
import { binNames } from '../../../shared/tuf/delegations.ts';
import { verifyMetaFile } from '../../../shared/tuf/meta-file.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import { driveAsync } from '../../../shared/verify/drive.ts';
import { TrustedMetadata } from '../../../shared/verify/trusted.ts';
import { type Request, refresh } from '../../../shared/verify/workflow.ts';
import { cacheFinding, corsFinding } from './headers.ts';
import type { Get, Got } from './http.ts';
import { type CheckState, noteFile } from './state.ts';

/** What kind of promise is broken. */
export type Kind =
  | 'workflow'
  | 'version'
  | 'changed'
  | 'snapshot'
  | 'expiry'
  | 'consistent-snapshot'
  | 'retention'
  | 'targets'
  | 'cors'
  | 'cache';

export interface CheckFinding {
  readonly kind: Kind;
  /** A path, or a role. */
  readonly at: string;
  readonly what: string;
}

export interface CheckOptions {
  readonly get: Get;
  readonly crypto: Crypto;
  readonly now: Instant;
  readonly state: CheckState;
  /** The root that the caller trusts; without it the repository's own root 1. */
  readonly root?: Uint8Array | undefined;
  /** Folders below the address, `metadata` and `targets` in ours; empty for the address itself. */
  readonly metadata: string;
  readonly targets: string;
  /** Every role must hold for so long still, in seconds. */
  readonly lead: number;
  /** So many targets are asked for. */
  readonly sample: number;
}

export interface CheckReport {
  readonly findings: readonly CheckFinding[];
  readonly files: number;
  readonly roles: readonly { readonly role: string; readonly version: number }[];
}

/** Bins of one description that are looked for in the snapshot. */
const MOST_BINS = 65_536;
/** Files that were seen before and are asked for again in one check. */
const AGAIN = 256;
/** Bytes of a target that are fetched and hashed; of a larger one only the length is asked for. */
const WHOLE = 4 * 1024 * 1024;

export async function checkRepository(options: CheckOptions): Promise<CheckReport> {
  return await new Checker(options).run();
}

class Checker {
  readonly #options: CheckOptions;
  readonly #findings: CheckFinding[] = [];
  readonly #asked = new Set<string>();
  readonly #versions = new Map<string, number>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  async run(): Promise<CheckReport> {
    const before = [...this.#options.state.files.keys()];
    const trusted = await this.#guard('workflow', 'repository', () => this.#refresh());
    if (trusted !== undefined) {
      this.#times(trusted);
      if (!trusted.root.consistentSnapshot)
        this.#found(
          'consistent-snapshot',
          'root',
          'it does not ask for consistent snapshots: a reader can meet files of two publications',
        );
      await this.#roles(trusted);
    }
    await this.#again(before);
    for (const [role, version] of this.#versions) this.#raise(role, version);
    return {
      findings: this.#findings,
      files: this.#asked.size,
      roles: [...this.#versions].sort().map(([role, version]) => ({ role, version })),
    };
  }

  #found(kind: Kind, at: string, what: string): void {
    this.#findings.push({ kind, at, what });
  }

  async #guard<T>(kind: Kind, at: string, act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
      this.#found(kind, at, wordsOf(error));
      return undefined;
    }
  }

  /** The client workflow; the present is put at the beginning of time, expiry is judged apart. */
  async #refresh(): Promise<TrustedMetadata> {
    const { crypto } = this.#options;
    const root =
      this.#options.root ??
      (await this.#metadata('root', 1, METADATA_LIMITS.root)) ??
      new Uint8Array();
    const trusted = new TrustedMetadata({ crypto, now: 0, root });
    const answer = async (request: Request): Promise<Uint8Array | undefined> =>
      request.kind === 'fetch'
        ? await this.#metadata(request.role, request.version, request.maxLength)
        : undefined;
    await driveAsync(refresh(trusted), answer);
    return trusted;
  }

  /** A metadata file; its name, bytes and header fields are held against what they promise. */
  async #metadata(
    role: string,
    version: number | undefined,
    cap: number,
  ): Promise<Uint8Array | undefined> {
    const { metadata, state, crypto } = this.#options;
    const name =
      version === undefined
        ? tree.unversioned(role)
        : tree.metadata(role, version).slice('metadata/'.length);
    const path = metadata === '' ? name : `${metadata}/${name}`;
    const got = await this.#get(path, cap);
    if (got === undefined) return undefined;
    const cors = corsFinding(got);
    if (cors !== undefined) this.#found('cors', path, cors);
    const cache = cacheFinding(got, version === undefined);
    if (cache !== undefined) this.#found('cache', path, cache);
    if (version !== undefined) this.#note(path, noteFile(state, path, crypto.sha256(got.bytes)));
    return got.bytes;
  }

  #note(path: string, before: string | undefined): void {
    if (before !== undefined)
      this.#found(
        'changed',
        path,
        `it had the SHA-256 ${before} at an earlier look, and has another now`,
      );
  }

  /** What is there; undefined for 403, 404 and 410, by which stores say that nothing is. */
  async #get(path: string, cap: number, method: 'GET' | 'HEAD' = 'GET'): Promise<Got | undefined> {
    this.#asked.add(path);
    const got = await this.#options.get(path, cap, method);
    if (got.status === 200) return got;
    if ([403, 404, 410].includes(got.status)) return undefined;
    throw new IronError('E_NETWORK', `${path} was answered with ${got.status}`);
  }

  #times({ root, timestamp, anySnapshot: snapshot }: TrustedMetadata): void {
    const { now, lead } = this.#options;
    for (const [role, file] of Object.entries({ root, timestamp, snapshot })) {
      if (file === undefined) continue;
      this.#version(role, file.version);
      this.#expiry(role, file.expires, now, lead);
    }
  }

  #expiry(role: string, expires: Instant, now: Instant, lead: number): void {
    const left = expires - now;
    if (left <= 0) this.#found('expiry', role, `it expired ${formatSpan(-left)} ago`);
    else if (left < lead) this.#found('expiry', role, `it expires in ${formatSpan(left)}`);
  }

  #version(role: string, version: number): void {
    this.#versions.set(role, version);
    const before = this.#options.state.versions.get(role) ?? 0;
    if (version < before)
      this.#found('version', role, `it went back from version ${before} to ${version}`);
  }

  #raise(role: string, version: number): void {
    const { versions } = this.#options.state;
    versions.set(role, Math.max(versions.get(role) ?? 0, version));
  }

  /** Everything that the snapshot lists, and every role that somebody delegates to. */
  async #roles(trusted: TrustedMetadata): Promise<void> {
    const { crypto, now, lead, state } = this.#options;
    const listed = trusted.snapshot().roles;
    // TUF 5.5.5: a role once listed stays listed.
    for (const role of state.versions.keys())
      if (!['root', 'timestamp', 'snapshot'].includes(role) && !listed.has(role))
        this.#found(
          'snapshot',
          role,
          'the snapshot listed it at an earlier look, and does not now',
        );
    const read: Targets[] = [];
    for (const [role, meta] of [...listed].slice(0, LIST_LIMITS.roles)) {
      this.#version(role, meta.version);
      const file = await this.#guard('snapshot', role, async () => {
        const version = trusted.root.consistentSnapshot ? meta.version : undefined;
        const bytes = await this.#metadata(role, version, METADATA_LIMITS.targets);
        if (bytes === undefined) {
          this.#found(
            'snapshot',
            role,
            `the snapshot lists version ${meta.version}, which is not there`,
          );
          return undefined;
        }
        verifyMetaFile(crypto, bytes, meta, role);
        const parsed = parseTargets(bytes, role);
        if (parsed.version !== meta.version)
          this.#found(
            'snapshot',
            role,
            `the snapshot lists version ${meta.version}, and ${parsed.version} is there`,
          );
        return parsed;
      });
      if (file === undefined) continue;
      read.push(file);
      this.#expiry(role, file.expires, now, lead);
    }
    // A role that is named and was never listed has published nothing yet; of bins a reader may be
    // sent to any (TAP 15).
    for (const { delegations } of read) {
      const succinct = delegations?.succinct;
      if (succinct === undefined || 2 ** succinct.bitLength > MOST_BINS) continue;
      for (const role of binNames(succinct))
        if (!listed.has(role))
          this.#found(
            'snapshot',
            role,
            'readers are sent to this bin, and the snapshot does not list it',
          );
    }
    await this.#targets(trusted, read);
  }

  /** Some of the targets, spread over all of them. */
  async #targets(trusted: TrustedMetadata, roles: readonly Targets[]): Promise<void> {
    const { sample, targets: folder } = this.#options;
    const paths = roles.flatMap((role) => role.paths().map((path) => ({ role, path })));
    const step = Math.max(1, Math.floor(paths.length / Math.max(1, sample)));
    for (let i = 0; i < paths.length && i / step < sample; i += step) {
      const { role, path } = paths[i] as (typeof paths)[number];
      await this.#guard('targets', path, async () => {
        const entry = role.entry(path);
        const [algorithm, digest] = [...(entry?.hashes ?? [])][0] ?? [];
        if (entry === undefined || digest === undefined) return;
        const name = trusted.root.consistentSnapshot ? hashPrefixed(path, digest) : path;
        const place = toUrlPath(folder === '' ? name : `${folder}/${name}`);
        const whole = entry.length <= WHOLE;
        const got = await this.#get(place, entry.length, whole ? 'GET' : 'HEAD');
        if (got === undefined) {
          this.#found('targets', path, `it is listed, and ${place} is not there`);
          return;
        }
        if (!whole) {
          const length = got.header('content-length');
          if (length !== undefined && Number(length) !== entry.length)
            this.#found(
              'targets',
              path,
              `it has ${length} bytes where ${entry.length} were signed`,
            );
          return;
        }
        const hashes = new Map([[algorithm as string, digest]]);
        verifyMetaFile(
          this.#options.crypto,
          got.bytes,
          { version: 1, length: entry.length, hashes },
          path,
        );
      });
    }
  }

  /** What was there at an earlier look is there now, with the same bytes. */
  async #again(before: readonly string[]): Promise<void> {
    const { crypto, state } = this.#options;
    const others = before.filter((path) => !this.#asked.has(path));
    for (const path of others.slice(-AGAIN)) {
      await this.#guard('retention', path, async () => {
        const got = await this.#get(path, METADATA_LIMITS.targets);
        if (got === undefined) this.#found('retention', path, 'it was there at an earlier look');
        else this.#note(path, noteFile(state, path, crypto.sha256(got.bytes)));
      });
    }
  }
}

function wordsOf({ code, message, why }: IronError): string {
  return `${code}: ${message}${why === undefined ? '' : `: ${why}`}`;
}
