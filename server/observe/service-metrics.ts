/** What is counted of this service, under the names that docs/guide/operator.md lists. */

import type { Code } from '../../shared/errors.ts';
import type { Clock } from '../../shared/time.ts';
import type { Lives } from '../db/lives.ts';
import type { Queue } from '../db/queue.ts';
import { type ExpiryWarning, leftOf } from '../jobs/expiry.ts';
import type { Expiries } from '../storage/expiries.ts';
import type { CurrentTree } from '../storage/published.ts';
import type { DiskWatch } from './disk.ts';
import type { RepositoryEvents } from './events.ts';
import { Metrics, type Reading } from './metrics.ts';
import type { Readiness } from './ready.ts';
import type { SeenRequest } from './requests.ts';

const REQUEST_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const PUBLICATION_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60];

export class ServiceMetrics implements RepositoryEvents {
  readonly registry = new Metrics();
  readonly #requests = this.registry.counter(
    'ironport_requests_total',
    'Requests that ended, by route, method and status; status 0 had no answer.',
  );
  readonly #seconds = this.registry.histogram(
    'ironport_request_seconds',
    'From the head of a request to the end of its answer, by route.',
    REQUEST_SECONDS,
  );
  readonly #received = this.registry.counter(
    'ironport_received_bytes_total',
    'Bytes that came in over sockets, by route.',
  );
  readonly #sent = this.registry.counter(
    'ironport_sent_bytes_total',
    'Bytes that went out over sockets, by route.',
  );
  readonly #publications = this.registry.histogram(
    'ironport_publication_seconds',
    'Publications, from staging to visible; renewals are among them.',
    PUBLICATION_SECONDS,
  );
  readonly #published = this.registry.counter(
    'ironport_submissions_published_total',
    'Submissions that became visible.',
  );
  readonly #refused = this.registry.counter(
    'ironport_submissions_refused_total',
    'Submissions that were refused, by the code of the refusal.',
  );
  readonly #errors = this.registry.counter(
    'ironport_request_errors_total',
    'Requests that were answered with an error, by its code.',
  );
  readonly #warnings = this.registry.counter(
    'ironport_expiry_warnings_total',
    'Warnings that an offline role must be signed again, by the share of its life that is left.',
  );
  readonly #failures = this.registry.counter(
    'ironport_failures_total',
    'Failures of the service itself, by code.',
  );

  request({ method, route, status, seconds, received, sent }: SeenRequest): void {
    this.#requests.add(1, { route, method, status: String(status) });
    this.#seconds.observe(seconds, { route });
    this.#received.add(received, { route });
    this.#sent.add(sent, { route });
  }

  published({ submissions, seconds }: Parameters<RepositoryEvents['published']>[0]): void {
    this.#publications.observe(seconds);
    this.#published.add(submissions);
  }

  refused({ code }: Parameters<RepositoryEvents['refused']>[0]): void {
    this.#refused.add(1, { code });
  }

  error(code: Code): void {
    this.#errors.add(1, { code });
  }

  warning({ role, threshold }: ExpiryWarning): void {
    this.#warnings.add(1, { role, threshold: String(threshold) });
  }

  failure(code: Code): void {
    this.#failures.add(1, { code });
  }
}

export interface Gauges {
  readonly clock: Clock;
  readonly current: CurrentTree;
  readonly queue: Queue;
  readonly expiries: Expiries;
  readonly lives: Lives;
  readonly disk: DiskWatch;
  readonly ready: () => Promise<Readiness>;
  readonly active: () => number;
}

/** Adds what is not counted but read. */
export function addGauges(registry: Metrics, gauges: Gauges): void {
  const { clock, current, expiries, lives, queue, disk, ready, active } = gauges;
  const one = (value: number): Reading[] => [{ value }];
  registry.gauge('ironport_ready', 'Whether /readyz says yes.', async () =>
    one((await ready()).ok ? 1 : 0),
  );
  registry.gauge('ironport_requests_active', 'Requests that are being answered.', () =>
    one(active()),
  );
  registry.gauge(
    'ironport_role_expiry_seconds',
    'Seconds until a published role expires; negative when it has.',
    async () => {
      const now = clock();
      const published = await current.get();
      if (published === undefined) return [];
      return (await expiries.all(published)).map(({ role, expires }) => ({
        labels: { role },
        value: expires - now,
      }));
    },
  );
  registry.gauge(
    'ironport_role_life_left_ratio',
    'What is left of the life of an offline role, from 1 to 0.',
    () => {
      const now = clock();
      return lives.all().map((life) => ({
        labels: { role: life.role },
        value: Math.round(leftOf(life, now) * 100) / 10_000,
      }));
    },
  );
  registry.gauge('ironport_role_version', 'The published version of a role.', async () => {
    const published = await current.get();
    if (published === undefined) return [];
    const { root, targets, snapshot, timestamp } = published;
    return Object.entries({ root, targets, snapshot, timestamp }).map(([role, { version }]) => ({
      labels: { role },
      value: version,
    }));
  });
  registry.gauge('ironport_queue_waiting', 'Submissions that wait for publication.', () =>
    one(queue.waiting().count),
  );
  registry.gauge('ironport_queue_oldest_seconds', 'How long the first of them waits.', () => {
    const { oldest } = queue.waiting();
    return one(oldest === undefined ? 0 : Math.max(0, clock() - oldest));
  });
  registry.gauge('ironport_reviews_waiting', 'Submissions that wait for reviewers.', () =>
    one(queue.inReview()),
  );
  registry.gauge(
    'ironport_disk_free_bytes',
    "Room on the disk of the service's folder.",
    async () => one((await disk.look()).free),
  );
  registry.gauge('process_resident_memory_bytes', 'Resident memory.', () =>
    one(process.memoryUsage.rss()),
  );
  const processor = (): Reading[] => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  };
  registry.gauge('process_cpu_seconds_total', 'Processor time.', processor, 'counter');
  registry.gauge('process_start_time_seconds', 'When the process began.', () =>
    one(Math.floor(Date.now() / 1000 - process.uptime())),
  );
}
