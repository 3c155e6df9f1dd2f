/** Runs every check over a vendor's submission, in the order in which a reader would ask. */

import type { Verdict } from '../../shared/api/upload.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { type IronError, isIronError } from '../../shared/errors.ts';
import type { EvidenceVerdict } from '../../shared/evidence/evidence.ts';
import type { RevocationList } from '../../shared/revocation/list.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import type { Vendor } from '../../shared/tuf/vendors.ts';
import type { Branch } from './branch.ts';
import {
  type Check,
  type Judged,
  judge,
  type NewArtifact,
  refusal,
  type Subject,
} from './check.ts';
import { blobs } from './checks/blobs.ts';
import { ceiling } from './checks/ceiling.ts';
import { deniedKeys } from './checks/denied-keys.ts';
import { describeEvidence, verifyNewArtifact } from './checks/evidence.ts';
import { evidenceKeys } from './checks/evidence-keys.ts';
import { expiry } from './checks/expiry.ts';
import { hardware } from './checks/hardware.ts';
import { namespace } from './checks/namespace.ts';
import { productIndex, type TouchedProduct } from './checks/product-index.ts';
import { notRevoked } from './checks/revoked.ts';
import { role } from './checks/role.ts';
import { sizes } from './checks/sizes.ts';
import { threshold } from './checks/threshold.ts';
import { unchanged } from './checks/unchanged.ts';
import {
  type Floors,
  floorsOf,
  raisedFloors,
  reachableFloors,
  vendorFloors,
} from './checks/vendor-floors.ts';
import { version } from './checks/version.ts';
import type { Delta } from './delta.ts';

/** Of the vendor's own role. */
const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['role', role],
  ['threshold', threshold],
  ['denied-keys', deniedKeys],
  ['version', version],
  ['expiry', expiry],
  ['namespace', namespace],
  ['sizes', sizes],
  ['unchanged', unchanged],
  ['blobs', blobs],
  ['evidence-keys', evidenceKeys],
  ['floors', vendorFloors],
];

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  /** What the first check that refused said; undefined when none did. */
  readonly error: IronError | undefined;
}

/** Whose evidence is judged, and by which role's keys. */
export interface EvidenceOwner {
  readonly crypto: Crypto;
  readonly vendor: string;
  readonly record: Vendor | undefined;
  /** The vendor's own role, which lists the evidence keys of the roles below it, too. */
  readonly own: Targets | undefined;
  /** The published list of revocations; undefined without a security team. */
  readonly revocations: RevocationList | undefined;
}

/** Told of an artifact whose evidence holds. */
export type OnEvidence = (path: string, evidence: EvidenceVerdict) => void;

/** Verdicts as they come. */
export class Judgements implements Judgement {
  readonly verdicts: Verdict[] = [];
  error: IronError | undefined;
  readonly #onEvidence: OnEvidence;

  constructor(onEvidence: OnEvidence = () => {}) {
    this.#onEvidence = onEvidence;
  }

  /** A verdict; true when it holds. */
  add({ verdict, error }: Judged): boolean {
    this.verdicts.push(verdict);
    this.error ??= error;
    return error === undefined;
  }

  /** Every check of a vendor's own role. */
  ownRole(subject: Subject): void {
    for (const [name, check] of CHECKS) this.add(judge(name, () => check(subject)));
  }

  /** A check that looks something up. */
  async lookup(name: string, check: () => Promise<string>): Promise<boolean> {
    try {
      const detail = await check();
      return this.add({ verdict: { check: name, ok: true, detail }, error: undefined });
    } catch (error) {
      if (!isIronError(error) || !isFinding(error)) throw error;
      return this.add({ verdict: refusal(name, error), error });
    }
  }

  /**
   * Artifacts come one by one, because their sidecars are read for it and dropped again; they are
   * asked for only when nothing was refused so far, since evidence about entries that nobody signed
   * says nothing.
   */
  async artifacts(
    owner: EvidenceOwner,
    artifacts: () => AsyncIterable<NewArtifact>,
  ): Promise<void> {
    if (this.error !== undefined) return;
    const floors = floorsOf(owner.own, owner.vendor);
    try {
      for await (const artifact of artifacts()) this.#artifact(owner, floors, artifact);
    } catch (cause) {
      // A sidecar larger than anybody reads is a finding; any other failure is ours.
      if (!isIronError(cause, 'E_TOO_LARGE')) throw cause;
      this.add({ verdict: refusal('evidence', cause), error: cause });
    }
  }

  /** Whether the floors that the vendor's role raises leave something of each product. */
  async floors(
    owner: EvidenceOwner,
    current: Targets | undefined,
    branch: Branch,
    delta: Delta,
  ): Promise<void> {
    const raised = raisedFloors(owner, current);
    if (this.error !== undefined || raised.size === 0) return;
    await this.lookup('floors: reachable', () => reachableFloors(raised, branch, delta));
  }

  /** The indexes of the products that are touched, one in memory at a time, like the artifacts. */
  async products(
    owner: EvidenceOwner,
    delta: Delta,
    products: () => AsyncIterable<TouchedProduct>,
  ): Promise<void> {
    if (this.error !== undefined) return;
    try {
      for await (const product of products())
        await this.lookup(`index ${product.path}`, () => productIndex(owner, delta, product));
    } catch (cause) {
      // An index larger than anybody reads is a finding; any other failure is ours.
      if (!isIronError(cause, 'E_TOO_LARGE')) throw cause;
      this.add({ verdict: refusal('index', cause), error: cause });
    }
  }

  #artifact(owner: EvidenceOwner, floors: Floors, artifact: NewArtifact): void {
    const { path } = artifact.entry;
    let evidence: EvidenceVerdict | undefined;
    const holds = judge(`evidence ${path}`, () => {
      evidence = verifyNewArtifact(owner, artifact);
      return describeEvidence(evidence);
    });
    this.add(holds);
    const found = evidence;
    if (found === undefined) return;
    this.add(judge(`revocations ${path}`, () => notRevoked(owner, floors, artifact.entry, found)));
    this.add(judge(`ceiling ${path}`, () => ceiling(found)));
    this.add(judge(`hardware ${path}`, () => hardware(owner, found)));
    if (this.error === undefined) this.#onEvidence(path, found);
  }
}

/** Whether an error is about what was submitted: a failure of this machine is none. */
export function isFinding(error: IronError): boolean {
  return !isIronError(error, 'E_INTERNAL', 'E_IO', 'E_NO_SPACE', 'E_STORE', 'E_CANCELLED');
}
