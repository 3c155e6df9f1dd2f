/** A service on a socket of its own, and a vendor's program as far as tests need one. */

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Test } from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { Updater } from '../../client/updater.ts';
import {
  openRepository,
  type Repository,
  type RepositoryOptions,
} from '../../server/repository.ts';
import { type Service, startService } from '../../server/service.ts';
import { type RequestHead, signRequest } from '../../shared/api/http-signature.ts';
import {
  SUBMISSION_SCHEMA,
  type SubmissionReply,
  submissionReply,
  UPLOAD_TYPE,
} from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { type IronError, isIronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { DAY } from '../../shared/time.ts';
import { TestClock } from '../support/clock.ts';
import {
  type Operators,
  signedRoot,
  signedTargets,
  type TestArtifact,
  type TestVendor,
  testOperators,
  testVendor,
} from '../support/repository.ts';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request over a socket of its own. `path` goes over the wire as it is. */
export async function call(
  url: string,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders = {},
  body?: Uint8Array | Readable,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const outgoing = request({ host, port, method, path, headers, agent: false });
  const answered = new Promise<Answer>((resolve, reject) => {
    outgoing.on('error', reject);
    outgoing.on('response', async (response) => {
      const parts: Buffer[] = [];
      try {
        for await (const part of response) parts.push(part);
      } catch (error) {
        reject(error);
        return;
      }
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        body: Buffer.concat(parts),
      });
    });
  });
  if (body instanceof Readable) {
    pipeline(body, outgoing).catch(() => {});
  } else {
    outgoing.end(body);
  }
  return await answered;
}

/** The `code` of an answer that is an error. */
export function codeOf(answer: Answer): string {
  return JSON.parse(answer.body.toString('utf8')).error.code;
}

/** What a vendor's program says to the service; every request signed with its API key. */
export class Caller {
  readonly url: string;
  readonly signer: Signer;
  readonly clock: TestClock;

  constructor(url: string, signer: Signer, clock: TestClock) {
    this.url = url;
    this.signer = signer;
    this.clock = clock;
  }

  async headers(
    method: string,
    path: string,
    extra: Record<string, string> = {},
    body?: Uint8Array,
  ): Promise<Record<string, string>> {
    const [plain, query] = path.split('?');
    const head: RequestHead = {
      method,
      authority: new URL(this.url).host,
      path: plain as string,
      query: query === undefined ? '' : `?${query}`,
      headers: extra,
    };
    const nonce = randomBytes(18).toString('base64');
    const options = { signer: this.signer, created: this.clock.now, nonce };
    const added = await signRequest(platformCrypto, head, options, body);
    return { ...extra, ...added, host: head.authority };
  }

  async send(method: string, path: string, body?: Uint8Array): Promise<Answer> {
    const extra: Record<string, string> =
      body === undefined ? {} : { 'content-type': 'application/json' };
    return await call(this.url, method, path, await this.headers(method, path, extra, body), body);
  }

  async patch(
    sha256: string,
    offset: number,
    length: number,
    body: Uint8Array | Readable,
  ): Promise<Answer> {
    const path = api.blob(sha256);
    const headers = await this.headers('PATCH', path, {
      'content-type': UPLOAD_TYPE,
      'upload-offset': String(offset),
      'upload-length': String(length),
    });
    return await call(this.url, 'PATCH', path, headers, body);
  }

  async uploadAll(artifacts: readonly TestArtifact[]): Promise<void> {
    for (const { blobs } of artifacts) {
      for (const [digest, bytes] of blobs) {
        const { status, body } = await this.patch(digest, 0, bytes.length, bytes);
        // What was published by an earlier version is not sent again.
        if (status !== 204 && status !== 409) throw new Error(`${status}: ${body}`);
      }
    }
  }

  /** Hands it in and waits for the end. */
  async submit(role: string, metadata: Uint8Array): Promise<SubmissionReply> {
    return await this.ended((await this.submitOnly(role, metadata)).id);
  }

  /** Hands it in; the first answer. */
  async submitOnly(role: string, metadata: Uint8Array): Promise<SubmissionReply> {
    const document = { schema: SUBMISSION_SCHEMA, role, metadata: toBase64(metadata) };
    const answer = await this.send('POST', api.submissions, utf8(JSON.stringify(document)));
    if (answer.status !== 202) throw new Error(`${answer.status}: ${answer.body}`);
    return submissionReply.parse(JSON.parse(answer.body.toString('utf8')));
  }

  async ended(id: string): Promise<SubmissionReply> {
    const answer = await this.send('GET', `${api.submission(id)}?wait=20`);
    return submissionReply.parse(JSON.parse(answer.body.toString('utf8')));
  }
}

export interface Running {
  readonly home: string;
  readonly clock: TestClock;
  readonly operators: Operators;
  readonly acme: TestVendor;
  readonly repository: Repository;
  readonly service: Service;
  /** acme, calling. */
  readonly caller: Caller;
  /** Failures that are not the callers' fault. */
  readonly failures: IronError[];
  stop(): Promise<void>;
  /** Stops, and starts again over the same folder, on the same port. */
  restart(): Promise<Running>;
}

export function temporaryHome(t: Test): string {
  const home = mkdtempSync(join(tmpdir(), 'ironport-test-'));
  t.teardown(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

export function repositoryOptions(
  home: string,
  clock: TestClock,
  failures: IronError[] = [],
): RepositoryOptions {
  return {
    home,
    crypto: platformCrypto,
    clock: clock.read,
    random: (length) => new Uint8Array(randomBytes(length)),
    purpose: 'a test',
    onFailure: (error) => failures.push(error),
  };
}

/** A folder with online keys and root 1 and targets 1 published, acme admitted. */
export async function madeHome(t: Test, clock = new TestClock()) {
  const home = temporaryHome(t);
  const operators = await testOperators(home);
  const acme = testVendor('acme');
  const repository = await openRepository(repositoryOptions(home, clock));
  const files = [
    await signedRoot(operators, 1, { expires: clock.now + 365 * DAY }),
    await signedTargets(operators, 1, [acme], { expires: clock.now + 182 * DAY }),
  ];
  const { id } = await repository.intake.submitOperatorFiles(files, true);
  await repository.worker.drain();
  const { state, error } = repository.intake.find(id, undefined);
  await repository.close();
  if (state !== 'published') throw new Error(`the set-up was ${state}: ${error?.message}`);
  return { home, clock, operators, acme };
}

/** A running service over such a folder, stopped when the test ends. */
export async function running(t: Test, clock = new TestClock()): Promise<Running> {
  return await startOver(t, await madeHome(t, clock));
}

export async function startOver(
  t: Test,
  made: Awaited<ReturnType<typeof madeHome>>,
  port = 0,
): Promise<Running> {
  const failures: IronError[] = [];
  const repository = await openRepository(repositoryOptions(made.home, made.clock, failures));
  const service = await startService(repository, { listen: { host: '127.0.0.1', port } });
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    await service.close();
  };
  t.teardown(stop);
  return {
    ...made,
    repository,
    service,
    failures,
    caller: new Caller(service.url, made.acme.api, made.clock),
    stop,
    async restart() {
      await stop();
      return await startOver(t, made, service.port);
    },
  };
}

/** The client over a tree on disk, from root 1. */
export function clientOf(home: string, clock: TestClock, pin: Uint8Array): Updater {
  return updaterOf(home, clock, new MemoryStore(pin));
}

/** The client over a tree on disk, with a store that it had before. */
export function updaterOf(home: string, clock: TestClock, store: MemoryStore): Updater {
  return new Updater({
    crypto: platformCrypto,
    clock: clock.read,
    store,
    fetcher: {
      origin: home,
      async fetchFile(path, maxLength) {
        try {
          return await readFileCapped(join(home, 'tree', path), maxLength);
        } catch (error) {
          if (isIronError(error, 'E_NOT_FOUND')) return undefined;
          throw error;
        }
      },
      openFile() {
        throw new Error('not needed');
      },
    },
  });
}
