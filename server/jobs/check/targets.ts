/**
 * The targets of a repository, now and since earlier looks: a path means the same bytes for ever, and
 * whoever was once told of some finds them for as long as they may go by what told them.
 */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { hashPrefixed, toUrlPath } from '../../../shared/layout.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';
import { verifyMetaFile } from '../../../shared/tuf/meta-file.ts';
import { patternMatcher } from '../../../shared/tuf/path-pattern.ts';
import type { TargetEntry, Targets } from '../../../shared/tuf/targets.ts';
import type { Reader } from './reader.ts';
import type { Report } from './report.ts';
import { type CheckState, forgetPlace, noteTarget } from './state.ts';

/** Bytes of a target that are fetched and hashed; of a larger one only the length is asked for. */
const WHOLE = 4 * 1024 * 1024;
/** Targets that nothing lists any more and that are asked for in one check. */
const LEFT = 256;

export interface TargetsOptions {
  readonly crypto: Crypto;
  readonly now: Instant;
  readonly state: CheckState;
  /** Whether the bytes of a target lie under a name with their digest in it (TUF 1.0.34 6.2). */
  readonly consistent: boolean;
  /** Until when bytes that are listed now are promised to be there. */
  readonly until: Instant;
  /** So many targets are asked for. */
  readonly sample: number;
  /** Patterns of the paths whose bytes may be others at another time. */
  readonly moving: readonly string[];
}

/** A target that some role lists, and where its bytes lie. */
interface Listed {
  readonly path: string;
  readonly entry: TargetEntry;
  readonly algorithm: string;
  readonly digest: string;
  readonly place: string;
}

export class TargetsCheck {
  readonly #reader: Reader;
  readonly #report: Report;
  readonly #options: TargetsOptions;
  /** Listed now and not remembered: there is a bound. Owned by `run`. */
  forgotten = 0;

  constructor(reader: Reader, report: Report, options: TargetsOptions) {
    this.#reader = reader;
    this.#report = report;
    this.#options = options;
  }

  async run(roles: readonly Targets[]): Promise<void> {
    const { state, sample } = this.#options;
    const names = roles.flatMap((role) => role.paths().map((path) => ({ role, path })));
    const step = Math.max(1, Math.floor(names.length / Math.max(1, sample)));
    // Each look begins one further, so that in time all of them are asked for.
    const from = state.looks % step;
    const places = new Set<string>();
    let asked = 0;
    for (const [i, { role, path }] of names.entries()) {
      const listed = this.#listed(role, path);
      if (listed === undefined) continue;
      places.add(listed.place);
      this.#remember(listed);
      if (i % step !== from || asked >= sample) continue;
      asked += 1;
      await this.#report.guard('targets', path, () => this.#fetch(listed));
    }
    await this.#left(places);
  }

  #listed(role: Targets, path: string): Listed | undefined {
    const entry = role.entry(path);
    const [algorithm, digest] = [...(entry?.hashes ?? [])][0] ?? [];
    if (entry === undefined || algorithm === undefined || digest === undefined) return undefined;
    const name = this.#options.consistent ? hashPrefixed(path, digest) : path;
    return { path, entry, algorithm, digest, place: toUrlPath(this.#reader.place(name)) };
  }

  /** What is signed of a path now, against what was signed of it at an earlier look. */
  #remember({ path, algorithm, digest, place }: Listed): void {
    const { state, until, moving } = this.#options;
    const mayMove = moving.some(patternMatcher(path));
    const noted = noteTarget(state, path, `${algorithm}:${digest}`, { place, until }, mayMove);
    if (noted === 'full') this.forgotten += 1;
    else if (noted !== undefined)
      this.#report.found(
        'changed',
        path,
        `it was signed with ${noted} at an earlier look, and is with ${algorithm}:${digest} now`,
      );
  }

  async #fetch({ path, entry, algorithm, digest, place }: Listed): Promise<void> {
    const whole = entry.length <= WHOLE;
    const got = await this.#reader.get(place, entry.length, whole ? 'GET' : 'HEAD');
    if (got === undefined) {
      this.#report.found('targets', path, `it is listed, and ${place} is not there`);
      return;
    }
    if (!whole) {
      const length = got.header('content-length');
      if (length !== undefined && Number(length) !== entry.length)
        this.#report.found(
          'targets',
          path,
          `it has ${length} bytes where ${entry.length} were signed`,
        );
      return;
    }
    const signed = { version: 1, length: entry.length, hashes: new Map([[algorithm, digest]]) };
    verifyMetaFile(this.#options.crypto, got.bytes, signed, path);
  }

  /** What was listed at an earlier look and is not now stays until readers cannot be sent to it. */
  async #left(listed: ReadonlySet<string>): Promise<void> {
    const { state, now } = this.#options;
    const left = [...state.places].filter(([place]) => !listed.has(place));
    for (const [place, until] of left) if (until <= now) forgetPlace(state, place);
    const promised = left.filter(([, until]) => until > now).sort(([, a], [, b]) => a - b);
    for (const [place, until] of promised.slice(0, LEFT))
      await this.#report.guard('retention', place, async () => {
        if ((await this.#reader.get(place, 0, 'HEAD')) !== undefined) return;
        this.#report.found(
          'retention',
          place,
          `a snapshot that an earlier look met lists it, its bytes are promised until ${formatInstant(until)}, and they are not there`,
        );
      });
  }
}
