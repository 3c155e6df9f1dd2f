/** The running service: a repository behind a socket, and a clock that reminds it of renewal. */

import { rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { toHex, utf8 } from '../shared/bytes.ts';
import { asIronError } from '../shared/errors.ts';
import { data } from '../shared/layout.ts';
import { fromErrno, isErrno } from '../shared/node/errno.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { type Listen, namesOf } from './config.ts';
import { createApp } from './http/app.ts';
import type { Repository } from './repository.ts';

export interface ServiceOptions {
  readonly listen: Listen;
  /** Further names under which vendors reach it. */
  readonly publicNames?: readonly string[];
  /** Seconds between two looks at the clock. */
  readonly tickSeconds?: number;
}

export interface Service {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

export const SERVICE_SCHEMA = 'ironport.service/v1';

/** Serves the repository until `close`. `E_IO` when the address is taken. Closes the repository, too. */
export async function startService(
  repository: Repository,
  options: ServiceOptions,
): Promise<Service> {
  const { home, crypto, clock, current, intake, worker, onFailure, random } = repository;
  const { host } = options.listen;
  let names: ReadonlySet<string> = new Set();
  const ownerToken = toHex(random(32));
  const app = createApp({
    crypto,
    clock,
    current,
    intake,
    worker,
    names: () => names,
    ownerToken,
    onFailure,
  });
  try {
    await app.listen({ host, port: options.listen.port });
  } catch (error) {
    await repository.close();
    throw isErrno(error) ? fromErrno(error, `${host}:${options.listen.port}`) : error;
  }
  const { port } = app.server.address() as AddressInfo;
  names = namesOf({ host, port }, options.publicNames ?? []);
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const note = join(home, data.service);
  await writeFileAtomic(
    note,
    utf8(
      `${JSON.stringify({ schema: SERVICE_SCHEMA, url, pid: process.pid, token: ownerToken })}\n`,
    ),
    { mode: 0o600 },
  );
  const tick = (): void => {
    worker.tick().catch((error) => onFailure(asIronError(error)));
  };
  // What waited in the queue, and what ran out while nobody was here.
  tick();
  const timer = setInterval(tick, (options.tickSeconds ?? 60) * 1000);
  return {
    url,
    port,
    async close() {
      clearInterval(timer);
      await rm(note, { force: true });
      await app.close();
      await repository.close();
    },
  };
}
