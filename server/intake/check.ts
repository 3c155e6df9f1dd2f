/**
 * What the checks of a submission are made of. A check is a function of what was submitted, what
 * is published and what was measured; it touches nothing. It says in words what it found to hold,
 * or throws a coded error; every verdict is kept, also those after a refusal.
 */

import type { Verdict } from '../../shared/api/upload.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { type IronError, isIronError } from '../../shared/errors.ts';
import type { SidecarBytes } from '../../shared/evidence/sidecars.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import type { Instant } from '../../shared/time.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import type { KeyTable } from '../../shared/tuf/role.ts';
import type { TargetEntry, Targets } from '../../shared/tuf/targets.ts';
import type { Vendor } from '../../shared/tuf/vendors.ts';

/** A vendor's submission and everything that it is judged by. */
export interface Subject {
  readonly crypto: Crypto;
  readonly now: Instant;
  /** Whose key signed the request. */
  readonly vendor: string;
  /** The role that was claimed. */
  readonly role: string;
  readonly length: number;
  /** The submitted file, unverified. */
  readonly file: Targets;
  /** Entries of the file that are not published just so, in its order. */
  readonly entries: readonly TargetEntry[];
  /** What the operators' signed targets say; of a role below the vendor's own, what its parent says. */
  readonly delegation: DelegatedRole | undefined;
  readonly delegationKeys: KeyTable;
  /** Of a role below the vendor's own: the one that delegates to it, as it will stand, and the own one. */
  readonly parent?: Targets | undefined;
  readonly own?: Targets | undefined;
  readonly record: Vendor | undefined;
  /** What is published of the role, and its version; 0 for nothing. */
  readonly current: Targets | undefined;
  readonly currentVersion: number;
  /** The published list of revocations; undefined without a security team. */
  readonly revocations: RevocationList | undefined;
  /** Digests that a path ever had in this repository. */
  readonly digestsOf: (path: string) => readonly string[];
  /** Bytes of a blob that this vendor sent or published; undefined for none. */
  readonly lengthOf: (sha256: string) => number | undefined;
}

/** An artifact that was not published before, with its sidecars as far as they are there. */
export interface NewArtifact {
  readonly entry: TargetEntry;
  readonly sidecars: Partial<SidecarBytes>;
}

/** A check in words; the rest of its verdict is made by `judge`. */
export type Check = (subject: Subject) => string;

/** One verdict, and the error that it stands for. */
export interface Judged {
  readonly verdict: Verdict;
  readonly error: IronError | undefined;
}

/** Runs a check. Only refusals become verdicts; a defect goes on its way. */
export function judge(name: string, check: () => string): Judged {
  try {
    return { verdict: { check: name, ok: true, detail: check() }, error: undefined };
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    return { verdict: refusal(name, error), error };
  }
}

/** The verdict that an error is. */
export function refusal(name: string, error: IronError): Verdict {
  const detail = error.why === undefined ? error.message : `${error.message}: ${error.why}`;
  return { check: name, ok: false, detail, code: error.code };
}

/** Whether the entry is published already, byte for byte the same file. */
export function isPublished(current: Targets | undefined, entry: TargetEntry): boolean {
  const published = current?.entry(entry.path);
  return (
    published !== undefined &&
    published.length === entry.length &&
    published.hashes.get('sha256') === entry.hashes.get('sha256')
  );
}

/** `count` things, for details: `1 path`, `3 paths`. */
export function some(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
