/** The running service: a repository behind a socket, and a clock that reminds it of renewal. */

import { rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toHex, utf8 } from '../shared/bytes.ts';
import { asIronError } from '../shared/errors.ts';
import { data } from '../shared/layout.ts';
import { SERVER_LIMITS } from '../shared/limits.ts';
import { fromErrno, isErrno } from '../shared/node/errno.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { type Listen, namesOf, urlOf } from './config.ts';
import { createApp } from './http/app.ts';
import { health } from './http/health.ts';
import type { ExpiryWarning } from './jobs/expiry.ts';
import { Reminder } from './jobs/reminder.ts';
import type { Webhook } from './jobs/webhook.ts';
import { DiskWatch } from './observe/disk.ts';
import { jsonAnswer, type OperationsListener } from './observe/listener.ts';
import type { Log } from './observe/log.ts';
import { type Readiness, readiness } from './observe/ready.ts';
import { type RequestWatch, watchRequests } from './observe/requests.ts';
import { addGauges, type ServiceMetrics } from './observe/service-metrics.ts';
import type { Repository } from './repository.ts';

export interface ServiceOptions {
  readonly listen: Listen;
  /** Further names under which vendors reach it. */
  readonly publicNames?: readonly string[];
  /** Seconds between two looks at the clock. */
  readonly tickSeconds?: number;
  /** Where each request is written down, a line each; without it none is. */
  readonly log?: Log | undefined;
  readonly metrics?: ServiceMetrics | undefined;
  /** The operators' listener, if there is one; closed with the service. */
  readonly operations?: OperationsListener | undefined;
  /** Told of each role that those who sign it must renew. */
  readonly onWarning?: (warning: ExpiryWarning, text: string) => void;
  /** Where such warnings are also sent; closed with the service. */
  readonly webhook?: Webhook | undefined;
  /** How long requests that are being answered may go on at the end. */
  readonly stopSeconds?: number;
}

export interface Service {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly port: number;
  /** What `/readyz` says. */
  ready(): Promise<Readiness>;
  close(): Promise<void>;
}

export const SERVICE_SCHEMA = 'ironport.service/v1';

/** Serves the repository until `close`. `E_IO` when the address is taken. Closes the repository, too. */
export async function startService(
  repository: Repository,
  options: ServiceOptions,
): Promise<Service> {
  const { home, crypto, clock, current, intake, pending, worker, onFailure, random } = repository;
  const { log, metrics, operations, webhook, onWarning = () => {} } = options;
  const { host } = options.listen;
  let names: ReadonlySet<string> = new Set();
  let isStopping = false;
  let watch: RequestWatch | undefined;
  const ownerToken = toHex(random(32));
  const disk = new DiskWatch(home);
  const ready = (): Promise<Readiness> =>
    readiness({ ...repository, disk, isStopping: () => isStopping });
  const app = createApp({
    crypto,
    clock,
    current,
    intake,
    pending,
    desk: repository.desk,
    worker,
    lives: repository.lives,
    ready,
    names: () => names,
    ownerToken,
    onFailure: (error, request) => onFailure(error, request && watch?.idOf(request)),
    onError: (code) => metrics?.error(code),
  });
  if (log !== undefined || metrics !== undefined) watch = watchApp(app.server, log, metrics);
  try {
    await app.listen({ host, port: options.listen.port });
  } catch (error) {
    await operations?.close();
    await repository.close();
    throw isErrno(error) ? fromErrno(error, `${host}:${options.listen.port}`) : error;
  }
  const { port } = app.server.address() as AddressInfo;
  names = namesOf({ host, port }, options.publicNames ?? []);
  const url = urlOf({ host, port });
  if (metrics !== undefined)
    addGauges(metrics.registry, { ...repository, disk, ready, active: () => watch?.active() ?? 0 });
  operations?.attach({
    metrics: async () => (await metrics?.registry.text()) ?? '',
    async ready() {
      const document = await ready();
      return jsonAnswer(document.ok ? 200 : 503, document);
    },
    async health() {
      const { status, document } = await health(current, clock());
      return jsonAnswer(status, document);
    },
  });
  const note = join(home, data.service);
  await writeFileAtomic(
    note,
    utf8(
      `${JSON.stringify({ schema: SERVICE_SCHEMA, url, pid: process.pid, token: ownerToken })}\n`,
    ),
    { mode: 0o600 },
  );
  const reminder = new Reminder({ ...repository, webhook, onWarning });
  let isResuming = false;
  // Apart from what the clock brings: a scanner may look at it for minutes, and renewal does not wait.
  const resume = (): void => {
    if (isResuming) return;
    isResuming = true;
    pending
      .resume()
      .then(() => (isStopping ? undefined : worker.drain()))
      .catch((error) => onFailure(asIronError(error)))
      .finally(() => {
        isResuming = false;
      });
  };
  const tick = (): void => {
    resume();
    worker
      .tick()
      .catch((error) => onFailure(asIronError(error)))
      .then(() => (isStopping ? undefined : reminder.look()))
      .catch((error) => onFailure(asIronError(error)));
  };
  // What waited in the queue, and what ran out while nobody was here.
  tick();
  const timer = setInterval(tick, (options.tickSeconds ?? 60) * 1000);
  return {
    url,
    port,
    ready,
    async close() {
      isStopping = true;
      clearInterval(timer);
      await rm(note, { force: true });
      // No other publication begins, the one that runs ends, and nobody waits for a later one any
      // more; what is handed in until the last request ended is in the queue, and waits there.
      const published = worker.close();
      intake.stop();
      await stopServing(app, options.stopSeconds ?? SERVER_LIMITS.stopSeconds);
      await published;
      await reminder.close();
      await webhook?.close();
      await operations?.close();
      await repository.close();
    },
  };
}

function watchApp(
  server: Server,
  log: Log | undefined,
  metrics: ServiceMetrics | undefined,
): RequestWatch {
  return watchRequests(
    server,
    (seen) => {
      metrics?.request(seen);
      if (log === undefined) return;
      const { seconds, ...fields } = seen;
      log.say('info', 'request', { ...fields, ms: Math.round(seconds * 1e6) / 1e3 });
    },
    log !== undefined,
  );
}

/** Takes no more, and lets what is being answered end, for so long and no longer. */
async function stopServing(
  app: { readonly server: Server; close(): PromiseLike<unknown> },
  seconds: number,
): Promise<void> {
  const timer = setTimeout(() => app.server.closeAllConnections(), seconds * 1000);
  try {
    await app.close();
  } finally {
    clearTimeout(timer);
  }
}
