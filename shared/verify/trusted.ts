/**
 * The trusted metadata of one repository: every check of the TUF client workflow (1.0.34,
 * section 5) that is not IO. It holds what was verified so far and takes one file at a time:
 *
 *  - a file enters only through the method of its role, in the order root, timestamp, snapshot,
 *    targets, delegated; a file that fails leaves everything as it was;
 *  - a root, timestamp or snapshot that is expired may serve as the floor for the next one, but
 *    nothing is built on it: `snapshot()` and `targets()` refuse;
 *  - a delegated role is verified against the delegator by which it was reached, each time.
 *
 * Whoever fetches, stores and retries is elsewhere (workflow.ts says in which order).
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { METADATA_LIMITS, type SizeLimits } from '../limits.ts';
import type { RevocationFloors } from '../revocation/floors.ts';
import { formatInstant, formatSpan, type Instant } from '../time.ts';
import type { Edge } from '../tuf/delegations.ts';
import type { Envelope, SignedCommon } from '../tuf/envelope.ts';
import { type MetaFile, verifyMetaFile } from '../tuf/meta-file.ts';
import { verifyThreshold } from '../tuf/role.ts';
import { RoleVersions } from '../tuf/role-versions.ts';
import { isRotated, parseRoot, type Root } from '../tuf/root.ts';
import { parseSnapshot, type Snapshot } from '../tuf/snapshot.ts';
import { parseTargets, type Targets } from '../tuf/targets.ts';
import { parseTimestamp, type Timestamp } from '../tuf/timestamp.ts';
import type { Report } from './check.ts';
import { type Floors, NO_FLOORS, raiseFloors } from './floors.ts';
import { refuseOlder, requireFresh, requireNotStale, requireVersion } from './refusals.ts';
import { judgedNow, raisedTimeFloor } from './time-floor.ts';
import type { TargetsNote } from './unread.ts';

export interface TrustedOptions {
  readonly crypto: Crypto;
  /** The fixed present of one refresh (TUF 5.1). */
  readonly now: Instant;
  /** The root file that this machine trusts already. */
  readonly root: Uint8Array;
  readonly floors?: Floors;
  readonly report?: Report;
  /** For repositories larger than usual. */
  readonly limits?: SizeLimits;
  /**
   * Given when there is no network to ask: a timestamp or snapshot that expired longer ago than
   * this, in seconds, is `E_STALE`. Root and targets roles get no such leave.
   */
  readonly maxStale?: number | undefined;
  /** What was noted of the stored targets file: if it is that still, a refresh leaves it unread. */
  readonly targetsNote?: TargetsNote;
  /** How the bytes of a snapshot are read, where somebody keeps what was read (`SnapshotReader`). */
  readonly readSnapshot?: SnapshotReader | undefined;
}

/** A pure function of the bytes: `parseSnapshot`, or one that remembers what that gave. */
export type SnapshotReader = (bytes: Uint8Array, length: number) => Snapshot;

/** Versions by role, made once of a snapshot: it may be read more than once, and has thousands. */
const versions = new WeakMap<Snapshot, RoleVersions>();

function versionsOf(snapshot: Snapshot): RoleVersions {
  const known = versions.get(snapshot);
  if (known !== undefined) return known;
  const roles = new RoleVersions(snapshot.roles);
  versions.set(snapshot, roles);
  return roles;
}

/** A timestamp or snapshot that is built on although it expired. */
export interface StaleFile {
  readonly role: 'timestamp' | 'snapshot';
  readonly version: number;
  readonly expires: Instant;
}

/** Who vouched for a delegated file. */
export interface Signers {
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
}

/** What became of an offered timestamp. */
export type TimestampOutcome = 'newer' | 'same';

export class TrustedMetadata {
  readonly #crypto: Crypto;
  readonly #now: Instant;
  readonly #report: Report;
  readonly #maxStale: number | undefined;
  /** Most bytes of a snapshot and of a targets file that are read. */
  readonly limits: SizeLimits;
  // All of these are owned by this object and change only in the update methods, after the last
  // check of a file; there is no concurrency to guard against.
  #root: Root;
  #timestamp: Timestamp | undefined;
  #snapshot: Snapshot | undefined;
  readonly #targets = new Map<string, Targets>();
  /** What an earlier run noted of the stored targets file. */
  readonly targetsNote: TargetsNote | undefined;
  readonly #readSnapshot: SnapshotReader;
  #isUnread = false;
  /** By the keys of an edge, as the delegator's file lists them, and the role at its end. */
  readonly #byEdge = new WeakMap<Edge['keys'], Map<string, Targets>>();
  readonly #signers = new WeakMap<Targets, Signers>();
  #floors: Floors;

  /** Takes the trusted root on the caller's word; that it signed itself is checked all the same. */
  constructor(options: TrustedOptions) {
    this.#crypto = options.crypto;
    this.#now = judgedNow(options.now, options.floors?.time);
    this.#maxStale = options.maxStale;
    this.#report = options.report ?? (() => {});
    this.limits = options.limits ?? METADATA_LIMITS;
    this.targetsNote = options.targetsNote;
    this.#readSnapshot = options.readSnapshot ?? parseSnapshot;
    this.#root = parseRoot(options.root);
    // TUF 5.2: the trusted root is given. A file that is not even signed by its own keys is damage.
    this.#verifySelf(this.#root);
    this.#floors = options.floors ?? NO_FLOORS;
    // Invariant: root's floor never goes down, also when an older root file was put back.
    this.#floors = { ...this.#floors, root: Math.max(this.#floors.root, this.#root.version) };
    this.#report({
      rule: 'TUF 5.2',
      what: `root ${this.#root.version} is pinned on this machine`,
      version: this.#root.version,
    });
  }

  get root(): Root {
    return this.#root;
  }

  /** The present by which expiry is judged: the clock's, or the time floor's when that is behind. */
  get now(): Instant {
    return this.#now;
  }

  get crypto(): Crypto {
    return this.#crypto;
  }

  get report(): Report {
    return this.#report;
  }

  /** What is built on although it expired, by the leave that was given. */
  get stale(): readonly StaleFile[] {
    const files = [
      ['timestamp', this.#timestamp],
      ['snapshot', this.#snapshot],
    ] as const;
    return files.flatMap(([role, file]) =>
      file === undefined || file.expires > this.#now
        ? []
        : [{ role, version: file.version, expires: file.expires }],
    );
  }

  /** What may be stored as the floors of this host. */
  get floors(): Floors {
    return this.#floors;
  }

  /** The last accepted timestamp, fresh or not. */
  get timestamp(): Timestamp | undefined {
    return this.#timestamp;
  }

  /** The last accepted snapshot, fresh or not, that fits the timestamp or not. */
  get anySnapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /**
   * A root that follows the trusted one (TUF 5.3.4 to 5.3.8). Returns whether it rotated the keys
   * of timestamp or snapshot, i.e. whether the stored files of both must go (5.3.11).
   */
  updateRoot(bytes: Uint8Array): { readonly rotated: boolean } {
    if (this.#timestamp !== undefined)
      throw new IronError('E_INTERNAL', 'a root after a timestamp');
    const next = parseRoot(bytes);
    const previous = this.#root;
    // TUF 5.3.5: exactly one more than the trusted version.
    if (next.version !== previous.version + 1) {
      throw new IronError(
        'E_VERSION',
        `root ${next.version} was offered where root ${previous.version + 1} must follow`,
        {
          why: 'roots are trusted one by one, each vouched for by the one before it',
          hint: 'nothing was changed; the mirror serves files under wrong names: try another one',
        },
      );
    }
    // TUF 5.3.4: a threshold of the trusted root's keys, and a threshold of its own.
    const name = `root ${next.version}`;
    const byOld = verifyThreshold(
      this.#crypto,
      next.envelope,
      previous.keys,
      previous.roles.root,
      name,
    );
    const byNew = this.#verifySelf(next);
    // A root that was trusted before this run, and is only replayed, dropped its floors back then.
    const rotated =
      next.version > this.#floors.root &&
      (isRotated(previous, next, 'timestamp') || isRotated(previous, next, 'snapshot'));
    this.#root = next;
    this.#floors = rotated
      ? // TUF 5.3.11: recovery from fast-forward attacks; what derives from the snapshot goes with it.
        // The time floor stays: no root makes a clock right. So do revocations: no online key can
        // sign a list.
        {
          ...this.#floors,
          ...NO_FLOORS,
          root: Math.max(this.#floors.root, next.version),
        }
      : { ...this.#floors, root: Math.max(this.#floors.root, next.version) };
    this.#report({
      rule: 'TUF 5.3.4',
      what: `${name} is signed by root ${previous.version} and by itself${rotated ? ', and replaces an online key' : ''}`,
      keys: [...new Set([...byOld, ...byNew])],
      version: next.version,
    });
    return { rotated };
  }

  /** The last root of the chain is in place: it must be fresh and not below the floor. */
  finishRoots(): void {
    const { version, expires } = this.#root;
    if (version < this.#floors.root) {
      throw new IronError(
        'E_ROLLBACK',
        `root ${version} is the newest that was offered, root ${this.#floors.root} was trusted before`,
        {
          why: 'the chain of roots was cut short',
          hint: 'nothing was changed; try another mirror, or restore the pinned root of this machine',
        },
      );
    }
    // TUF 5.3.10: only the last root of the chain must be unexpired.
    requireFresh(this.#root, 'root', this.#now);
    this.#report({
      rule: 'TUF 5.3.10',
      what: `root ${version} is valid until ${formatInstant(expires)}`,
      version,
    });
  }

  /**
   * A timestamp, from the cache or from the network (TUF 5.4.2 to 5.4.4). `same` leaves the
   * trusted one in place. An expired one from the cache becomes a floor only.
   */
  updateTimestamp(bytes: Uint8Array, origin: 'cache' | 'network'): TimestampOutcome {
    const next = parseTimestamp(bytes);
    const keys = this.#verifyTopLevel(next.envelope, 'timestamp', next.version); // TUF 5.4.2
    const previous = this.#timestamp;
    // TUF 5.4.3.1: never older; the very same version says that nothing is new.
    if (previous !== undefined && next.version === previous.version) {
      this.#requireFresh(previous, 'timestamp'); // TUF 5.4.4
      this.#raiseTime(previous);
      const what = `timestamp ${next.version} is still the newest and ${this.#validity(previous)}`;
      this.#report({ rule: 'TUF 5.4.2-4', what, keys, version: next.version });
      return 'same';
    }
    refuseOlder(
      'timestamp',
      next.version,
      Math.max(previous?.version ?? 0, this.#floors.timestamp),
      'TUF 5.4.3.1',
    );
    // TUF 5.4.3.2: neither may the snapshot it names be older.
    const snapshotFloor = Math.max(previous?.snapshot.version ?? 0, this.#floors.snapshot);
    refuseOlder('snapshot', next.snapshot.version, snapshotFloor, 'TUF 5.4.3.2');
    if (origin === 'network') this.#requireFresh(next, 'timestamp'); // TUF 5.4.4
    this.#timestamp = next;
    // What was expired counts as a floor too: time does not make an older file younger.
    this.#raise({ timestamp: next.version, snapshot: next.snapshot.version });
    if (origin === 'network') {
      this.#raiseTime(next);
      const what = `timestamp ${next.version} is not older than ${previous?.version ?? 'anything'} and ${this.#validity(next)}`;
      this.#report({ rule: 'TUF 5.4.2-4', what, keys, version: next.version });
    }
    return 'newer';
  }

  /** Whether the accepted timestamp may be built on (TUF 5.4.4). */
  requireFreshTimestamp(): Timestamp {
    if (this.#timestamp === undefined) throw new IronError('E_INTERNAL', 'no timestamp was loaded');
    this.#requireFresh(this.#timestamp, 'timestamp');
    return this.#timestamp;
  }

  /**
   * A snapshot (TUF 5.5.2 to 5.5.6). One from the cache need not be the one that the timestamp
   * names: it then serves as the floor for the roles that the next one lists.
   */
  updateSnapshot(bytes: Uint8Array, origin: 'cache' | 'network'): void {
    const expected = this.requireFreshTimestamp().snapshot;
    const next = this.#readSnapshot(bytes, this.limits.snapshot);
    // TUF 5.5.2. A stored one of another version is only a floor and has no hash to be held to.
    if (origin === 'network' || this.#fits(next, expected)) {
      verifyMetaFile(this.#crypto, bytes, expected, 'snapshot');
    }
    const keys = this.#verifyTopLevel(next.envelope, 'snapshot', next.version); // TUF 5.5.3
    // TUF 5.5.4: the very version that the timestamp names.
    if (origin === 'network')
      requireVersion('snapshot', next.version, expected.version, 'the timestamp');
    const roles = versionsOf(next);
    // Nothing goes back from a snapshot to itself.
    const isSame = this.#floors.roles === roles;
    const back = isSame ? [] : roles.wentBack(this.#floors.roles);
    for (const { role, version: floor, offered } of back) {
      // TUF 5.5.5: a role once listed stays listed, and never goes back.
      if (offered === undefined) {
        throw new IronError(
          'E_ROLLBACK',
          `snapshot ${next.version} no longer lists the role ${JSON.stringify(role)}`,
          {
            why: `an earlier snapshot listed it at version ${floor}`,
            hint: 'nothing was changed; try another mirror, and report this one',
          },
        );
      }
      refuseOlder(role, offered, floor, 'TUF 5.5.5');
    }
    const isCurrent = this.#fits(next, expected);
    if (origin === 'network') this.#requireFresh(next, 'snapshot'); // TUF 5.5.6
    this.#snapshot = next;
    // Also of a stored one that expired: time does not make older files younger. None of its roles
    // is below its floor, nor missing: the higher of both is what it lists.
    this.#raise({ snapshot: next.version });
    this.#floors = { ...this.#floors, roles };
    if (isCurrent && this.#isUsable(next)) {
      const what = `snapshot ${next.version} is the one that the timestamp names, ${this.#validity(next)}; none of its ${next.roles.size} roles went back`;
      this.#report({ rule: 'TUF 5.5.2-6', what, keys, version: next.version });
    }
  }

  /** Whether the accepted snapshot is the one that the timestamp names, and fresh. */
  hasCurrentSnapshot(): boolean {
    const [snapshot, timestamp] = [this.#snapshot, this.#timestamp];
    if (snapshot === undefined || timestamp === undefined) return false;
    return this.#fits(snapshot, timestamp.snapshot) && this.#isUsable(snapshot);
  }

  /** The snapshot, fresh and named by a fresh timestamp. */
  snapshot(): Snapshot {
    const timestamp = this.requireFreshTimestamp();
    const snapshot = this.#snapshot;
    if (snapshot === undefined) throw new IronError('E_INTERNAL', 'no snapshot was loaded');
    requireVersion('snapshot', snapshot.version, timestamp.snapshot.version, 'the timestamp');
    this.#requireFresh(snapshot, 'snapshot'); // TUF 5.5.6
    return snapshot;
  }

  /** The entry of the snapshot for a role; a role that it does not list cannot be loaded. */
  metaFile(role: string): MetaFile {
    const entry = this.snapshot().roles.get(role);
    if (entry === undefined) {
      throw new IronError(
        'E_MIX_AND_MATCH',
        `the snapshot does not list the role ${JSON.stringify(role)}`,
        {
          why: 'a delegation names a role that this snapshot does not know',
        },
      );
    }
    return entry;
  }

  /** The top-level targets file (TUF 5.6.2 to 5.6.5). */
  updateTargets(bytes: Uint8Array): Targets {
    return this.#updateTargets(bytes, 'targets', (envelope) =>
      verifyThreshold(this.#crypto, envelope, this.#root.keys, this.#root.roles.targets, 'targets'),
    );
  }

  /** What was noted of the targets file, when it was left unread and nobody wanted it since. */
  get unread(): TargetsNote | undefined {
    return this.#isUnread && !this.#targets.has('targets') ? this.targetsNote : undefined;
  }

  /** The stored targets file is what was noted of it: unread.ts decides that. */
  leaveUnread(): void {
    this.#isUnread = true;
  }

  /** A delegated file, verified for this edge of the graph (5.6.7). */
  updateDelegated(bytes: Uint8Array, edge: Edge): Targets {
    let counted: string[] = [];
    // The edge brings its keys along: by now another file may stand under the delegator's name.
    const targets = this.#updateTargets(bytes, edge.role, (envelope) => {
      counted = verifyThreshold(this.#crypto, envelope, edge.keys.table, edge.keys, edge.role);
      return counted;
    });
    const keys = counted.flatMap((keyid) => edge.keys.table.get(keyid)?.publicKey ?? []);
    this.#signers.set(targets, { keys, threshold: edge.keys.threshold });
    const byRole = this.#byEdge.get(edge.keys) ?? new Map<string, Targets>();
    this.#byEdge.set(edge.keys, byRole.set(edge.role, targets));
    return targets;
  }

  /**
   * What was verified for this very edge before. Another delegator's edge to the same role has
   * keys of its own and is verified on its own.
   */
  verifiedFor(edge: Edge): Targets | undefined {
    return this.#byEdge.get(edge.keys)?.get(edge.role);
  }

  /** The distinct keys that counted for a delegated file, and how many had to. */
  signersOf(file: Targets): Signers {
    const signers = this.#signers.get(file);
    if (signers === undefined) throw new IronError('E_INTERNAL', 'a file that nobody verified');
    return signers;
  }

  /** What was verified of revocations becomes a floor. */
  raiseRevocations(revocations: RevocationFloors): void {
    this.#raise({ revocations });
  }

  targets(role: string): Targets | undefined {
    return this.#targets.get(role);
  }

  #updateTargets(
    bytes: Uint8Array,
    role: string,
    verify: (envelope: Envelope) => string[],
  ): Targets {
    const expected = this.metaFile(role);
    verifyMetaFile(this.#crypto, bytes, expected, role); // TUF 5.6.2
    const next = parseTargets(bytes, role, this.limits.targets);
    const keys = verify(next.envelope); // TUF 5.6.3
    requireVersion(role, next.version, expected.version, 'the snapshot'); // TUF 5.6.4
    requireFresh(next, role, this.#now); // TUF 5.6.5
    this.#targets.set(role, next);
    const what = `${role} ${next.version} is the one that the snapshot names, valid until ${formatInstant(next.expires)}`;
    this.#report({ rule: 'TUF 5.6.2-5', what, keys, version: next.version });
    return next;
  }

  #verifySelf(root: Root): string[] {
    return verifyThreshold(
      this.#crypto,
      root.envelope,
      root.keys,
      root.roles.root,
      `root ${root.version}`,
    );
  }

  #verifyTopLevel(envelope: Envelope, role: 'timestamp' | 'snapshot', version: number): string[] {
    return verifyThreshold(
      this.#crypto,
      envelope,
      this.#root.keys,
      this.#root.roles[role],
      `${role} ${version}`,
    );
  }

  #fits(snapshot: Snapshot, expected: MetaFile): boolean {
    return snapshot.version === expected.version;
  }

  /** Timestamp and snapshot alone may be late, and only by a leave that was given. */
  #requireFresh(file: SignedCommon, role: 'timestamp' | 'snapshot'): void {
    if (this.#maxStale === undefined) requireFresh(file, role, this.#now);
    else requireNotStale(file, role, this.#now, this.#maxStale);
  }

  #isUsable(file: SignedCommon): boolean {
    return file.expires > this.#now || this.#now - file.expires <= (this.#maxStale ?? -1);
  }

  #validity({ expires }: SignedCommon): string {
    if (expires > this.#now) return `valid until ${formatInstant(expires)}`;
    return `expired ${formatSpan(this.#now - expires)} ago, which was given leave`;
  }

  /** Only a fresh timestamp says that this much time has passed, and only up to its expiry. */
  #raiseTime({ expires }: SignedCommon): void {
    const { time } = this.#floors;
    if (time === undefined || expires <= this.#now) return;
    this.#floors = { ...this.#floors, time: raisedTimeFloor(time, this.#now, expires) };
  }

  #raise(floors: Partial<Floors>): void {
    this.#floors = raiseFloors(this.#floors, { ...NO_FLOORS, ...floors });
  }
}
