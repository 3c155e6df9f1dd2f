/**
 * The desk of the reviewers: what waits for them, and what they decide. A decision counts by its
 * signature, whoever brings it; an approval lets a submission into the queue, where it is judged as
 * any other is, and takes the place of no signature of the vendor.
 */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import {
  type DecisionReply,
  REVIEW_SCHEMA,
  type ReviewList,
  type ReviewReply,
  type ReviewSummary,
} from '../../../shared/api/review.ts';
import { errorBodyOf, type ReviewState } from '../../../shared/api/upload.ts';
import { toBase64, toHex } from '../../../shared/bytes.ts';
import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { keyIdentity } from '../../../shared/crypto/key.ts';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { verifyReview } from '../../../shared/evidence/review.ts';
import { REVIEW_LIMITS } from '../../../shared/limits.ts';
import { onPath } from '../../../shared/node/file-system.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';
import { keyId } from '../../../shared/tuf/key.ts';
import { isBinName } from '../../../shared/tuf/nested.ts';
import type { Queue } from '../../db/queue.ts';
import type { NewReview, ReviewStatement, Reviews, StoredReview } from '../../db/reviews.ts';
import type { CurrentTree, Published } from '../../storage/published.ts';
import { loadReviewPolicy, type ReviewPolicy } from '../../storage/review-policy.ts';
import { refusal } from '../check.ts';
import { findBlob, readRoleBlob, type Shelves } from '../examine.ts';
import { type Panel, panelFor } from './independent.ts';

export interface DeskParts {
  readonly home: string;
  readonly crypto: Crypto;
  readonly clock: () => Instant;
  readonly current: CurrentTree;
  readonly queue: Queue;
  readonly reviews: Reviews;
  readonly shelves: Shelves;
}

export class ReviewDesk {
  readonly #parts: DeskParts;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  /** Which submissions wait. `E_STORE` when the file that says so is damaged. */
  policy(): Promise<ReviewPolicy> {
    return loadReviewPolicy(this.#parts.home);
  }

  /** Puts a submission before the reviewers, inside the transaction that keeps it. `E_QUOTA`. */
  take(id: string, vendor: string, review: NewReview): void {
    const waiting = this.#parts.reviews.waiting(vendor);
    if (waiting >= REVIEW_LIMITS.waiting)
      throw new IronError(
        'E_QUOTA',
        `${waiting} submissions of ${vendor} wait for review already`,
        {
          hint: 'nothing was changed; wait until the reviewers decided',
          context: { waiting },
        },
      );
    this.#parts.reviews.add(id, review);
  }

  /** How far the reviewers have come; undefined for a submission that needs none. */
  async stateOf(id: string): Promise<ReviewState | undefined> {
    const review = this.#parts.reviews.get(id);
    return review && (await this.#progress(review));
  }

  async list(ended: boolean): Promise<ReviewList> {
    const reviews: ReviewSummary[] = [];
    for (const review of this.#parts.reviews.list(ended)) reviews.push(await this.#summary(review));
    return { require: await this.policy(), reviews };
  }

  /** All of it, but for the bytes. `E_NOT_FOUND`. */
  async find(id: string): Promise<ReviewReply> {
    const review = this.#need(id);
    const { queue, reviews } = this.#parts;
    const submission = queue.get(id);
    return {
      schema: REVIEW_SCHEMA,
      ...(await this.#summary(review)),
      ceilings: [...review.ceilings],
      files: [...review.files],
      verdicts: submission?.verdicts ?? [],
      statements: reviews.statements(id).map(({ keyid, result, comment, envelope, at }) => ({
        ...{ keyid, result, comment },
        at: formatInstant(at),
        envelope: toBase64(envelope),
      })),
      error: submission?.error ?? null,
    };
  }

  /** The bytes of one of its files, while they are here or published. `E_NOT_FOUND`. */
  async open(
    id: string,
    sha256: string,
  ): Promise<{ readonly length: number; readonly bytes: Readable }> {
    const { crypto, current, queue, shelves } = this.#parts;
    const { vendor, files } = this.#need(id);
    const file = files.find((one) => one.sha256 === sha256);
    if (file !== undefined) {
      const own = queue.ownFile(id);
      if (own !== undefined && toHex(crypto.sha256(own)) === sha256)
        return { length: own.length, bytes: Readable.from([own]) };
      const place = await findBlob(shelves, await current.get(), vendor, sha256);
      if (place !== undefined) {
        const opened = await onPath(place, () =>
          open(place, constants.O_RDONLY | constants.O_NOFOLLOW),
        );
        return { length: file.length, bytes: opened.createReadStream() };
      }
    }
    throw new IronError('E_NOT_FOUND', 'these bytes are not here', {
      why: 'the submission has no such file, or it was refused and its files are deleted',
    });
  }

  /** A submission that people looked at, or are to. `E_NOT_FOUND`. */
  #need(id: string): StoredReview {
    const review = this.#parts.reviews.get(id);
    if (review !== undefined) return review;
    throw new IronError('E_NOT_FOUND', 'no such submission was put before the reviewers', {
      hint: '`ironport-repo review list` shows those that wait',
    });
  }

  /**
   * Takes a reviewer's signed statement. `E_NOT_AUTHORISED` by whom it does not count, `E_EVIDENCE`
   * about something else, `E_CONFLICT` when it is decided already, `E_NOTHING_TO_DO` when this
   * reviewer said so before.
   */
  async decide(id: string, envelope: Uint8Array): Promise<DecisionReply> {
    const { crypto, clock, current, queue, reviews } = this.#parts;
    const before = this.#need(id);
    const panel = await this.#panel(await current.need(), before);
    if (panel.threshold === undefined)
      throw new IronError('E_NOT_AUTHORISED', 'the signed targets name no reviewers', {
        hint: 'nothing was changed; `ironport-repo reviewers set` makes targets that do',
      });
    // From here on nothing is awaited: two reviewers at once come one after the other.
    const review = this.#need(id);
    const about = { submission: id, files: review.files };
    const { result, comment, keys } = verifyReview(crypto, envelope, about, panel.keys);
    if (review.state !== 'waiting') throw decided(review.state);
    const at = clock();
    const already = reviews.statements(id);
    const said = keys
      .filter((key) => !already.some((one) => saidBy(one, keyIdentity(key), result)))
      .map((key) => ({
        ...{ identity: keyIdentity(key), keyid: keyId(crypto, key), result },
        ...{ comment: comment ?? null, envelope, at },
      }));
    if (said.length === 0)
      throw new IronError('E_NOTHING_TO_DO', 'this reviewer approved it already', {
        hint: 'nothing was changed; an approval is counted once a key',
      });
    if (result === 'rejected') {
      const error = rejection(comment ?? '');
      const verdict = refusal('review', error);
      reviews.decide(id, said, { state: 'rejected', error: errorBodyOf(error), verdict }, queue);
    } else {
      const have = countApprovals([...already, ...said], panel);
      const detail = `approved by ${have} of the ${panel.threshold} reviewers who must agree`;
      const verdict = { check: 'review', ok: true, detail };
      const isEnough = have >= panel.threshold;
      reviews.decide(id, said, isEnough ? { state: 'approved', verdict } : undefined, queue);
    }
    return await this.outcome(id);
  }

  /** What became of it so far. */
  async outcome(id: string): Promise<DecisionReply> {
    const { approved_by, needed } = await this.#progress(this.#need(id));
    const submission = this.#parts.queue.get(id);
    const state = submission?.state ?? 'refused';
    return { id, state, approved_by, needed, error: submission?.error ?? null };
  }

  /**
   * Holds an approval against the reviewers of now, before it is published: since it was given, the
   * operators may have had a reason to exchange them. `E_REVIEW`.
   */
  async demandApproved(published: Published, id: string): Promise<void> {
    const { reviews } = this.#parts;
    const review = reviews.get(id);
    if (review === undefined) return;
    const panel = await this.#panel(published, review);
    const have = countApprovals(reviews.statements(id), panel);
    if (review.state === 'approved' && panel.threshold !== undefined && have >= panel.threshold)
      return;
    throw new IronError('E_REVIEW', 'the approval does not hold any more', {
      why: `${have} of those who approved are reviewers now, and ${panel.threshold ?? 'nobody'} must agree`,
      hint: 'nothing was published; hand it in again',
      context: { reason: 'reviewers', have },
    });
  }

  /** Refuses what nobody decided in time; returns how many that were. */
  expire(now: Instant): number {
    const { queue, reviews } = this.#parts;
    const overdue = reviews.overdue(now);
    for (const id of overdue) {
      const error = new IronError('E_REVIEW', 'the reviewers did not approve it in time', {
        why: `a submission waits ${REVIEW_LIMITS.seconds / 86_400} days for them`,
        hint: 'nothing was published; ask the operators of the repository, and hand it in again',
        context: { reason: 'time' },
      });
      const verdict = refusal('review', error);
      reviews.decide(id, [], { state: 'expired', error: errorBodyOf(error), verdict }, queue);
    }
    return overdue.length;
  }

  async #panel(published: Published, { id, vendor }: StoredReview): Promise<Panel> {
    const { crypto, queue, shelves } = this.#parts;
    const own = queue.ownFile(id);
    const files: { role: string; bytes: Uint8Array }[] = [];
    if (own !== undefined) files.push({ role: vendor, bytes: own });
    for (const one of queue.below(id).filter(({ role }) => !isBinName(role))) {
      const bytes = await readRoleBlob(shelves, vendor, one).catch((error) => {
        // Of one that came to its end; without its files nothing is published either.
        if (!isIronError(error, 'E_NOT_FOUND')) throw error;
      });
      if (bytes !== undefined) files.push({ role: one.role, bytes });
    }
    return await panelFor(crypto, published, vendor, files);
  }

  async #progress(review: StoredReview): Promise<ReviewState> {
    const { current, reviews } = this.#parts;
    const published = await current.get();
    const panel =
      published === undefined
        ? { keys: [], threshold: undefined }
        : await this.#panel(published, review);
    return {
      reasons: [...review.reasons],
      since: formatInstant(review.since),
      until: formatInstant(review.until),
      approved_by: countApprovals(reviews.statements(review.id), panel),
      needed: panel.threshold ?? null,
    };
  }

  async #summary(review: StoredReview): Promise<ReviewSummary> {
    const { id, vendor, role, version } = review;
    const state = this.#parts.queue.get(id)?.state ?? 'refused';
    return { id, vendor, role, version, state, ...(await this.#progress(review)) };
  }
}

const saidBy = (one: ReviewStatement, identity: string, result: string): boolean =>
  one.identity === identity && one.result === result;

/** Distinct keys of the panel that approved (invariant 2: keys are counted, not statements). */
function countApprovals(statements: readonly ReviewStatement[], { keys }: Panel): number {
  return keys.filter((key) => statements.some((one) => saidBy(one, keyIdentity(key), 'approved')))
    .length;
}

function rejection(comment: string): IronError {
  return new IronError('E_REVIEW', 'the reviewers rejected it', {
    why: comment,
    hint: 'nothing was published; what was handed in is not looked at again: publish something else',
    context: { reason: 'rejected' },
  });
}

function decided(state: 'approved' | 'rejected' | 'expired'): IronError {
  const words = {
    approved: 'approved',
    rejected: 'rejected',
    expired: 'refused, its time was over',
  };
  return new IronError('E_CONFLICT', `it is decided already: ${words[state]}`, {
    hint: 'nothing was changed; what is published is taken back by the vendor, or by revocation',
    context: { state },
  });
}
