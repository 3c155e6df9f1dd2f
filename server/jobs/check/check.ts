/**
 * Checks any TUF repository from outside, over time: what a reader of it would meet, now and at the
 * next look. It knows nothing of how the repository is made, and trusts it in nothing but the root
 * that the caller pins.
 */

import { isIronError } from '../../../shared/errors.ts';
import { LIST_LIMITS, METADATA_LIMITS } from '../../../shared/limits.ts';
import { formatSpan, type Instant } from '../../../shared/time.ts';
import { binNames } from '../../../shared/tuf/delegations.ts';
import type { SignedCommon } from '../../../shared/tuf/envelope.ts';
import { verifyMetaFile } from '../../../shared/tuf/meta-file.ts';
import { parseRetention } from '../../../shared/tuf/retention.ts';
import { parseTargets, type Targets } from '../../../shared/tuf/targets.ts';
import { driveAsync } from '../../../shared/verify/drive.ts';
import { TrustedMetadata } from '../../../shared/verify/trusted.ts';
import { type Request, refresh } from '../../../shared/verify/workflow.ts';
import { believedRoles } from './believed.ts';
import { Reader, type ReaderOptions } from './reader.ts';
import { type CheckFinding, Report } from './report.ts';
import { noteSaid } from './state.ts';
import { TargetsCheck } from './targets.ts';

export interface CheckOptions extends ReaderOptions {
  readonly now: Instant;
  /** The root that the caller trusts; without it the repository's own root 1. */
  readonly root?: Uint8Array | undefined;
  /** Every role must hold for so long still, in seconds. */
  readonly lead: number;
  /** So many targets are asked for. */
  readonly sample: number;
  /** Patterns of target paths whose bytes may change. */
  readonly moving: readonly string[];
  /** Roles that one look reads; without it `LIST_LIMITS.roles`. */
  readonly roles?: number;
}

export interface CheckReport {
  readonly findings: readonly CheckFinding[];
  readonly files: number;
  readonly roles: readonly { readonly role: string; readonly version: number }[];
  /** Targets that are listed and could not be remembered for the next look. */
  readonly forgotten: number;
  /** Roles that the snapshot lists and that this look did not read; others are read at the next. */
  readonly unread: number;
}

/** Bins of one description that are looked for in the snapshot. */
const MOST_BINS = 65_536;
/** Files that were seen before and are asked for again in one check. */
const AGAIN = 256;

export async function checkRepository(options: CheckOptions): Promise<CheckReport> {
  return await new Checker(options).run();
}

class Checker {
  readonly #options: CheckOptions;
  readonly #report = new Report();
  readonly #reader: Reader;
  readonly #versions = new Map<string, number>();
  #forgotten = 0;
  #unread = 0;

  constructor(options: CheckOptions) {
    this.#options = options;
    this.#reader = new Reader(options, this.#report);
  }

  async run(): Promise<CheckReport> {
    const { state } = this.#options;
    const before = [...state.files.keys()];
    const trusted = await this.#report.guard('workflow', 'repository', () => this.#refresh());
    if (trusted !== undefined) {
      for (const role of ['root', 'snapshot', 'targets']) this.#reader.believe(role);
      this.#times(trusted);
      if (!trusted.root.consistentSnapshot)
        this.#report.found(
          'consistent-snapshot',
          'root',
          'it does not ask for consistent snapshots: a reader can meet files of two publications',
        );
      const read = await this.#roles(trusted);
      await this.#targets(trusted, read);
    }
    await this.#again(before);
    for (const [role, version] of this.#versions) this.#raise(role, version);
    state.looks += 1;
    return {
      findings: this.#report.findings,
      files: this.#reader.asked.size,
      roles: [...this.#versions].sort().map(([role, version]) => ({ role, version })),
      forgotten: this.#forgotten,
      unread: this.#unread,
    };
  }

  /** The client workflow; the present is put at the beginning of time, expiry is judged apart. */
  async #refresh(): Promise<TrustedMetadata> {
    const { crypto } = this.#options;
    const reader = this.#reader;
    const root =
      this.#options.root ??
      (await reader.metadata('root', 1, METADATA_LIMITS.root)) ??
      new Uint8Array();
    const trusted = new TrustedMetadata({ crypto, now: 0, root });
    const answer = async (request: Request): Promise<Uint8Array | undefined> =>
      request.kind === 'fetch'
        ? await reader.metadata(request.role, request.version, request.maxLength)
        : undefined;
    await driveAsync(refresh(trusted), answer);
    return trusted;
  }

  #times({ root, timestamp, anySnapshot: snapshot }: TrustedMetadata): void {
    for (const [role, file] of Object.entries({ root, timestamp, snapshot })) {
      if (file === undefined) continue;
      this.#version(role, file.version);
      this.#expiry(role, file.expires);
      const isUnversioned = role === 'timestamp' || !root.consistentSnapshot;
      if (isUnversioned && role !== 'root') this.#said(role, file);
    }
  }

  /** A version says one thing, also where no name of a file has it. */
  #said(role: string, { version, envelope }: SignedCommon): void {
    const { state, crypto } = this.#options;
    if (noteSaid(state, role, version, crypto.sha256(envelope.signedBytes())))
      this.#report.found(
        'changed',
        role,
        `version ${version} said something else at an earlier look`,
      );
  }

  #expiry(role: string, expires: Instant): void {
    const { now, lead } = this.#options;
    const left = expires - now;
    if (left <= 0) this.#report.found('expiry', role, `it expired ${formatSpan(-left)} ago`);
    else if (left < lead) this.#report.found('expiry', role, `it expires in ${formatSpan(left)}`);
  }

  #version(role: string, version: number): void {
    this.#versions.set(role, version);
    const before = this.#options.state.versions.get(role) ?? 0;
    if (version < before)
      this.#report.found('version', role, `it went back from version ${before} to ${version}`);
  }

  #raise(role: string, version: number): void {
    const { versions } = this.#options.state;
    versions.set(role, Math.max(versions.get(role) ?? 0, version));
  }

  /** Everything that the snapshot lists, and every bin that somebody delegates to. */
  async #roles(trusted: TrustedMetadata): Promise<Targets[]> {
    const report = this.#report;
    const listed = trusted.snapshot().roles;
    // TUF 5.5.5: a role once listed stays listed.
    for (const role of this.#options.state.versions.keys())
      if (!['root', 'timestamp', 'snapshot'].includes(role) && !listed.has(role))
        report.found(
          'snapshot',
          role,
          'the snapshot listed it at an earlier look, and does not now',
        );
    for (const [role, { version }] of listed) this.#version(role, version);
    const read = new Map<string, Targets>();
    for (const [role, meta] of this.#some(trusted)) {
      const file = await report.guard('snapshot', role, () => this.#role(trusted, role, meta));
      if (file === undefined) continue;
      read.set(role, file);
      this.#expiry(role, file.expires);
    }
    const believed = this.#believed(trusted, read);
    // A role that is named and was never listed has published nothing yet; of bins a reader may be
    // sent to any (TAP 15).
    for (const { delegations } of believed) {
      const succinct = delegations?.succinct;
      if (succinct === undefined || 2 ** succinct.bitLength > MOST_BINS) continue;
      for (const role of binNames(succinct))
        if (!listed.has(role))
          report.found(
            'snapshot',
            role,
            'readers are sent to this bin, and the snapshot does not list it',
          );
    }
    return believed;
  }

  /**
   * The roles that this look reads. Of more than there is time for, those come first that the top level
   * delegates to, for others are believed by them; the rest takes turns, look by look.
   */
  #some(trusted: TrustedMetadata): [string, Parameters<typeof verifyMetaFile>[2]][] {
    const all = [...trusted.snapshot().roles];
    const most = this.#options.roles ?? LIST_LIMITS.roles;
    if (all.length <= most) return all;
    const top = new Set(
      (trusted.targets('targets')?.delegations?.roles ?? []).map(({ name }) => name),
    );
    const first = all.filter(([role]) => role === 'targets' || top.has(role)).slice(0, most);
    const others = all.filter(([role]) => role !== 'targets' && !top.has(role));
    const room = most - first.length;
    const from = others.length === 0 ? 0 : (this.#options.state.looks * room) % others.length;
    this.#unread = all.length - most;
    return [...first, ...[...others.slice(from), ...others.slice(0, from)].slice(0, room)];
  }

  /** What readers go by, and what alone is remembered of what roles say. */
  #believed(trusted: TrustedMetadata, read: ReadonlyMap<string, Targets>): Targets[] {
    const top = trusted.targets('targets');
    if (top === undefined) return [];
    const { roles, refused } = believedRoles(this.#options.crypto, top, read);
    for (const [role, why] of refused) this.#report.found('snapshot', role, why);
    for (const role of roles.keys()) this.#reader.believe(role);
    if (!trusted.root.consistentSnapshot) for (const [role, file] of roles) this.#said(role, file);
    return [...roles.values()];
  }

  async #role(
    trusted: TrustedMetadata,
    role: string,
    meta: Parameters<typeof verifyMetaFile>[2],
  ): Promise<Targets | undefined> {
    const wanted = `the snapshot lists version ${meta.version}`;
    const version = trusted.root.consistentSnapshot ? meta.version : undefined;
    const bytes = await this.#reader.metadata(role, version, METADATA_LIMITS.targets);
    if (bytes === undefined) {
      this.#report.found('snapshot', role, `${wanted}, which is not there`);
      return undefined;
    }
    verifyMetaFile(this.#options.crypto, bytes, meta, role);
    const parsed = parseTargets(bytes, role);
    if (parsed.version !== meta.version)
      this.#report.found('snapshot', role, `${wanted}, and ${parsed.version} is there`);
    return parsed;
  }

  async #targets(trusted: TrustedMetadata, read: readonly Targets[]): Promise<void> {
    const { crypto, now, state, sample, moving } = this.#options;
    const check = new TargetsCheck(this.#reader, this.#report, {
      ...{ crypto, now, state, sample, moving },
      consistent: trusted.root.consistentSnapshot,
      until: trusted.snapshot().expires + windowOf(trusted.targets('targets')),
    });
    await check.run(read);
    this.#forgotten = check.forgotten;
  }

  /** What was there at an earlier look is there now, with the same bytes: some of it at each look. */
  async #again(before: readonly string[]): Promise<void> {
    const others = before.filter((path) => !this.#reader.asked.has(path));
    const from = others.length <= AGAIN ? 0 : (this.#options.state.looks * AGAIN) % others.length;
    for (const path of [...others.slice(from), ...others.slice(0, from)].slice(0, AGAIN)) {
      await this.#report.guard('retention', path, async () => {
        const got = await this.#reader.get(path, METADATA_LIMITS.targets);
        if (got === undefined)
          this.#report.found('retention', path, 'it was there at an earlier look');
        else this.#reader.compare(path, got.bytes);
      });
    }
  }
}

/**
 * Seconds after the expiry of a snapshot for which what it lists is promised, where the signed targets
 * say so. Without: a reader may go by a snapshot until it expires, and no longer.
 */
function windowOf(targets: Targets | undefined): number {
  try {
    return (targets && parseRetention(targets.envelope.signed)?.window) ?? 0;
  } catch (error) {
    // Others may mean something else by a field of that name.
    if (!isIronError(error, 'E_SCHEMA')) throw error;
    return 0;
  }
}
