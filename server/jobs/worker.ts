/**
 * The one that publishes: takes up what waits in the queue, and renews the online roles before
 * they expire. One thing at a time; what comes in meanwhile is published together afterwards.
 */

import { errorBodyOf } from '../../shared/api/upload.ts';
import { asIronError, type IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import type { QueuedSubmission } from '../db/queue.ts';
import { refusal } from '../intake/check.ts';
import type { RepositoryEvents } from '../observe/events.ts';
import { type Change, renewal } from '../publish/change.ts';
import { type Composed, composeOperators, composeVendors, isRefusal } from '../publish/compose.ts';
import type { PublishParts } from '../publish/parts.ts';
import { publish } from '../publish/publisher.ts';
import { recover } from '../publish/recovery.ts';
import { type Collection, collect } from '../retention/collect.ts';
import { loadImported } from '../storage/imported.ts';
import type { Published } from '../storage/published.ts';
import { dueRenewal, isBlocked } from './due.ts';

/** Most submissions in one publication. */
const GROUP = 32;

export interface WorkerOptions {
  /** Told of failures that are not the fault of what was submitted. */
  readonly onFailure: (error: IronError) => void;
  readonly onPublished?: RepositoryEvents['published'];
  /** Throws when this process may not write any more. */
  readonly demandWriter?: () => void;
}

export class Worker {
  readonly #parts: PublishParts;
  readonly #options: WorkerOptions;
  /** The end of the line of everything that publishes: each waits for the one before it. */
  #line: Promise<unknown> = Promise.resolve();
  /** Those who wait for a submission's end, by its id. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #closed = false;
  #recovering = false;
  /** When a root came that left the timestamp standing (publish/sign.ts). */
  #restsSince = Number.NEGATIVE_INFINITY;

  constructor(parts: PublishParts, options: WorkerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Publishes all that waits; returns when there is nothing more, or when it cannot go on. */
  drain(): Promise<void> {
    return this.#inLine(async () => {
      await this.#recover();
      while (!this.#closed && (await this.#next()));
    });
  }

  /** The same, without waiting for it. Failures are reported and tried again at the next turn. */
  kick(): void {
    this.drain().catch((error) => this.#options.onFailure(asIronError(error)));
  }

  /** What the clock brings: renewal, sweeping, and whatever still waits. */
  tick(): Promise<void> {
    return this.#inLine(async () => {
      const { clock, queue, quarantine, current, desk, reviews } = this.#parts;
      await this.#recover();
      const now = clock();
      queue.prune(now - SERVER_LIMITS.refusedSeconds);
      desk.expire(now);
      await quarantine.sweep(now - SERVER_LIMITS.quarantineSeconds, reviews.held());
      while (!this.#closed && (await this.#next()));
      const published = await current.get();
      const due = published === undefined ? undefined : dueRenewal(published, now);
      if (published === undefined || due === undefined || this.#rests(published, now)) return;
      if (await awaitsFirstRoot(this.#parts, published)) return;
      await this.#publish(published, renewal(due));
    });
  }

  /** Whoever asked for roots just before a new one came still gets a timestamp that it accepts. */
  #rests({ timestamp }: Published, now: Instant): boolean {
    const until = this.#restsSince + SERVER_LIMITS.restSeconds;
    return now < until && now >= this.#restsSince && timestamp.expires > until;
  }

  /** Collects what nothing lists any more, while nothing is published; or says what it would. */
  collect(dryRun: boolean): Promise<Collection> {
    return this.#inLine(async () => {
      await this.#recover();
      if (!dryRun) this.#options.demandWriter?.();
      return await collect(this.#parts, dryRun);
    });
  }

  /** Resolves when the submission has come to its end, or after `seconds`, or on the signal. */
  async settled(id: string, seconds: number, signal?: AbortSignal): Promise<void> {
    const { queue } = this.#parts;
    if (this.#closed || queue.get(id)?.state !== 'queued' || seconds <= 0) return;
    await new Promise<void>((resolve) => {
      const listeners = this.#waiting.get(id) ?? new Set();
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        listeners.delete(end);
        if (listeners.size === 0) this.#waiting.delete(id);
        resolve();
      };
      const timer = setTimeout(end, seconds * 1000);
      signal?.addEventListener('abort', end, { once: true });
      this.#waiting.set(id, listeners.add(end));
    });
  }

  /** Waits for the publication that runs, and begins no other. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const listeners of this.#waiting.values()) for (const end of [...listeners]) end();
    await this.#line.catch(() => {});
  }

  #inLine<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#line.then(act, act);
    this.#line = turn.catch(() => {});
    return turn;
  }

  async #recover(): Promise<void> {
    if (this.#parts.journal.unfinished().length === 0) return;
    this.#options.demandWriter?.();
    this.#recovering = true;
    await recover(this.#parts);
    this.#recovering = false;
  }

  /** Whether a publication that was cut short waits to be finished, and could not be yet. */
  isRecovering(): boolean {
    return this.#recovering;
  }

  async #publish(
    published: Published | undefined,
    change: Change,
    onCommitted?: () => void,
  ): Promise<void> {
    this.#options.demandWriter?.();
    const began = performance.now();
    const versions = await publish(this.#parts, published, change, onCommitted).catch((error) => {
      this.#recovering = this.#parts.journal.unfinished().length > 0;
      throw error;
    });
    if (versions.timestamp === published?.timestamp.version) this.#restsSince = this.#parts.clock();
    const seconds = (performance.now() - began) / 1000;
    const submissions = change.members.length;
    this.#options.onPublished?.({ ...versions, submissions, seconds });
  }

  /** Takes up the next batch; false when there is none that can be published now. */
  async #next(): Promise<boolean> {
    const { queue, current, clock } = this.#parts;
    const published = await current.get();
    const listed = (await published?.revocations())?.role.expires;
    const batch =
      published === undefined || isBlocked(published, clock(), listed)
        ? []
        : queue.nextOfVendors(GROUP);
    if (published !== undefined && batch.length > 0) {
      await this.#run(published, batch, () => composeVendors(this.#parts, published, batch));
      return true;
    }
    // However many vendors wait before them: it may be for these that they wait.
    const handIn = queue.nextOfOperators();
    if (handIn === undefined) return false;
    await this.#run(published, [handIn], () => composeOperators(this.#parts, published, handIn));
    return true;
  }

  async #run(
    published: Published | undefined,
    batch: readonly QueuedSubmission[],
    compose: () => Promise<Composed>,
  ): Promise<void> {
    const { change, refused } = await compose();
    for (const { id, error } of refused) this.#refuse(id, 'publication', error);
    if (change === undefined) return;
    let isCommitted = false;
    try {
      await this.#publish(published, change, () => {
        isCommitted = true;
        for (const id of change.members) this.#settle(id);
      });
    } catch (error) {
      if (isCommitted || !isRefusal(error) || this.#parts.journal.unfinished().length > 0)
        throw error;
      await this.#blame(published, batch, change.members, error);
    }
  }

  /** One of them cannot be published. Alone, it is the one; in company, each is tried alone. */
  async #blame(
    published: Published | undefined,
    batch: readonly QueuedSubmission[],
    members: readonly string[],
    error: IronError,
  ): Promise<void> {
    const [only, ...others] = members;
    if (only !== undefined && others.length === 0) {
      this.#refuse(only, 'preflight', error);
      return;
    }
    const { current } = this.#parts;
    for (const submission of batch.filter(({ id }) => members.includes(id))) {
      const now = (await current.get()) ?? published;
      if (now === undefined) return;
      await this.#run(now, [submission], () => composeVendors(this.#parts, now, [submission]));
    }
  }

  #refuse(id: string, check: string, error: IronError): void {
    this.#parts.queue.refuse(id, errorBodyOf(error), [refusal(check, error)]);
    this.#settle(id);
  }

  #settle(id: string): void {
    for (const end of [...(this.#waiting.get(id) ?? [])]) end();
  }
}

/**
 * Whether the repository was taken over and no root names our keys yet: renewing is for those who
 * served it before, and each minute's failure would say nothing that the operators do not know.
 */
async function awaitsFirstRoot(
  { current, keys }: PublishParts,
  { root }: Published,
): Promise<boolean> {
  const imported = await loadImported(current.folder);
  if (imported === undefined || root.version > imported.root) return false;
  return (['snapshot', 'timestamp'] as const).some(
    (role) => keys.those(root, role).length < root.roles[role].threshold,
  );
}
