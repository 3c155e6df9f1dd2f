/**
 * Everything that comes in: requests are somebody's, blobs are measured, submissions are judged,
 * and what passes waits in the queue. Nothing here signs or publishes; the queue is where it ends.
 */

import type { RequestHead } from '../../shared/api/http-signature.ts';
import { errorBodyOf, type SubmissionReply } from '../../shared/api/upload.ts';
import { toHex } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { REVIEW_LIMITS } from '../../shared/limits.ts';
import type { Random } from '../../shared/node/random.ts';
import type { Clock, Instant } from '../../shared/time.ts';
import type { Nonces } from '../db/nonces.ts';
import type { Queue } from '../db/queue.ts';
import type { NewReview } from '../db/reviews.ts';
import type { CurrentTree, Published } from '../storage/published.ts';
import type { Suspended } from '../storage/suspended.ts';
import { type ApiKeys, apiKeysOf, authenticate } from './authenticate.ts';
import { type Judged, refusal } from './check.ts';
import { ceilingOf } from './checks/ceiling.ts';
import { type Examined, examine, type RoleSubmission, type Shelves } from './examine.ts';
import { noteAboutVendors, type OperatorChange, verifyOperatorFiles } from './operator-files.ts';
import { RequestRate } from './rate.ts';
import type { Receiver } from './receive.ts';
import type { ReviewDesk } from './review/desk.ts';
import { type NewCeiling, reviewNeeded } from './review/need.ts';
import type { Scanner } from './scan/scanner.ts';

export interface IntakeParts extends Shelves {
  readonly clock: Clock;
  readonly random: Random;
  readonly current: CurrentTree;
  readonly nonces: Nonces;
  readonly queue: Queue;
  readonly receiver: Receiver;
  readonly suspended: Suspended;
  readonly desk: ReviewDesk;
  readonly scanner: Scanner;
}

/** Vendors of whose uploads it needs some. */
function uploadersOf({ roles }: OperatorChange): Set<string> {
  return new Set(roles.flatMap(({ vendor, source }) => ('sha256' in source ? [vendor] : [])));
}

/** What a hand-in brings, in a word, and the version of the first of it. */
function nameOf({ roots, root, targets, revocations }: OperatorChange): {
  readonly role: string;
  readonly version: number;
} {
  const { role } = revocations;
  const brought: [string, number][] = [
    ...(roots.length > 0 ? [['root', root.version] as [string, number]] : []),
    ...(targets === undefined ? [] : [['targets', targets.version] as [string, number]]),
    ...(role === undefined ? [] : [['revocations', role.version] as [string, number]]),
  ];
  const [first] = brought;
  if (first === undefined)
    throw new IronError('E_USAGE', 'nothing was handed in that could be published', {
      hint: 'a list of revocations comes together with a role that lists it',
    });
  return { role: brought.map(([name]) => name).join(' and '), version: first[1] };
}

function withVerdict(examined: Examined, { verdict, error }: Judged): Examined {
  return { ...examined, verdicts: [...examined.verdicts, verdict], error };
}

export class Intake {
  readonly #parts: IntakeParts;
  readonly #rate = new RequestRate();
  /** The API keys of the targets that were looked at last; replaced as a whole. */
  #apiKeys: { readonly of: Published; readonly keys: ApiKeys } | undefined;

  constructor(parts: IntakeParts) {
    this.#parts = parts;
  }

  get receiver(): Receiver {
    return this.#parts.receiver;
  }

  /** Ends what the scanner looks at: the service stops. */
  stop(): void {
    this.#parts.scanner.stop();
  }

  /** The vendor that signed the request. `E_UNAUTHENTICATED`, `E_REPLAY`, `E_NO_PIN`, `E_QUOTA`. */
  async authenticate(head: RequestHead): Promise<string> {
    const { crypto, current, nonces, clock, suspended } = this.#parts;
    const published = await current.need();
    if (this.#apiKeys?.of !== published) {
      const revocations = await published.revocations();
      const denied = revocations?.verified.list.keys;
      const keys = apiKeysOf(crypto, published.vendors.values(), denied);
      this.#apiKeys = { of: published, keys };
    }
    const vendor = authenticate(crypto, head, this.#apiKeys.keys, nonces, clock());
    this.#rate.take(vendor);
    await suspended.refuse(vendor);
    return vendor;
  }

  /**
   * Judges a vendor's role file. What passes is queued; what does not is kept with its verdicts.
   * @param beside writes something in the transaction that keeps it
   */
  async submitRole(
    submission: RoleSubmission,
    beside?: (id: string) => void,
  ): Promise<SubmissionReply> {
    const { current, clock, queue, quarantine, desk } = this.#parts;
    const now = clock();
    const published = await current.need();
    const { examined, review } = await this.#judge(published, submission, now);
    const { version, verdicts, error } = examined;
    const id = this.#newId();
    const { vendor, bytes, below = [] } = submission;
    if (error === undefined) await quarantine.settle(vendor);
    await queue.add(
      {
        id,
        vendor,
        role: submission.role,
        version,
        verdicts,
        files: error === undefined && bytes !== undefined ? [bytes] : [],
        below: error === undefined ? below : [],
        error: error === undefined ? undefined : errorBodyOf(error),
      },
      now,
      () => {
        if (review !== undefined) desk.take(id, vendor, review);
        beside?.(id);
      },
    );
    // Judged on top of what is not published any more, it is judged again when its turn comes; so
    // is what people look at meanwhile.
    if (error === undefined && review === undefined && (await current.get()) === published)
      this.#parts.judged.keep(id, vendor, published, examined);
    return await this.withReview(this.#reply(id));
  }

  /** What the checks and the scanner say, and whether people are to look at what passed them. */
  async #judge(
    published: Published,
    submission: RoleSubmission,
    now: Instant,
  ): Promise<{ readonly examined: Examined; readonly review: NewReview | undefined }> {
    const { desk, scanner } = this.#parts;
    const policy = await desk.policy();
    const added: NewCeiling[] = [];
    const checked = await examine(this.#parts, published, submission, now, (path, evidence) => {
      if (policy !== 'off' && added.length <= REVIEW_LIMITS.artifacts)
        added.push({ path, ceiling: ceilingOf(evidence) });
    });
    if (checked.error !== undefined) return { examined: checked, review: undefined };
    const scanned = await scanner.scan(submission.vendor, published, checked.roles);
    const examined = scanned === undefined ? checked : withVerdict(checked, scanned);
    if (examined.error !== undefined) return { examined, review: undefined };
    const judgements = { verdicts: [...examined.verdicts], error: undefined };
    try {
      const review = await reviewNeeded(
        ...([policy, this.#parts, published, submission, examined, added, now] as const),
      );
      const detail = review === undefined ? undefined : review.reasons.join('; ');
      if (detail !== undefined)
        judgements.verdicts.push({ check: 'review', ok: true, detail: `waits: ${detail}` });
      return { examined: { ...examined, ...judgements }, review };
    } catch (error) {
      if (!isIronError(error, 'E_TOO_LARGE')) throw error;
      const verdicts = [...examined.verdicts, refusal('review', error)];
      return { examined: { ...examined, verdicts, error }, review: undefined };
    }
  }

  /** The reply, with how far reviewers have come. */
  async withReview(reply: SubmissionReply): Promise<SubmissionReply> {
    const review = await this.#parts.desk.stateOf(reply.id);
    return review === undefined ? reply : { ...reply, review };
  }

  /**
   * Verifies the operators' files and queues them. What does not verify is refused at once and
   * leaves no trace: anybody may call this.
   * @param first whether the machine's owner brings them, who alone may bring a first root
   * @param beside writes something in the transaction that keeps them
   */
  async submitOperatorFiles(
    files: readonly Uint8Array[],
    first: boolean,
    beside?: (id: string) => void,
  ): Promise<SubmissionReply> {
    const { crypto, current, clock, queue, quarantine } = this.#parts;
    const now = clock();
    const published = await current.get();
    const change = await verifyOperatorFiles(this.#parts, published, files, now, first);
    // Bins that a vendor uploaded: what is queued outlives a crash.
    for (const vendor of uploadersOf(change)) await quarantine.settle(vendor);
    const notes = await noteAboutVendors(crypto, published, change);
    const id = this.#newId();
    await queue.add(
      {
        id,
        vendor: null,
        ...nameOf(change),
        verdicts: [...change.verdicts, ...notes],
        files,
      },
      now,
      beside,
    );
    return this.#reply(id);
  }

  /** A submission, for the vendor that made it; one of the operators' for whoever knows its id. */
  find(id: string, vendor: string | undefined): SubmissionReply {
    const found = this.#parts.queue.get(id);
    // Another vendor's is not there, just as one that never was.
    if (found === undefined || (found.vendor !== null && found.vendor !== vendor)) {
      throw new IronError('E_NOT_FOUND', 'there is no such submission');
    }
    const { vendor: _vendor, ...reply } = found;
    return reply;
  }

  /** Whether a submission is the operators', whose ids are all that it takes to ask for them. */
  isOperators(id: string): boolean {
    return this.#parts.queue.get(id)?.vendor === null;
  }

  #reply(id: string): SubmissionReply {
    const found = this.#parts.queue.get(id);
    if (found === undefined) throw new IronError('E_INTERNAL', 'a submission was not kept');
    const { vendor: _vendor, ...reply } = found;
    return reply;
  }

  #newId(): string {
    return toHex(this.#parts.random(16));
  }
}
