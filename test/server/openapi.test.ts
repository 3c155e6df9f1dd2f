/** The description of the API says what the service does: every route, and the form of real answers. */

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import t, { type Test } from 'tap';
import { createApp } from '../../server/http/app.ts';
import {
  type DescribedOperation,
  description,
  OPERATIONS,
} from '../../server/http/openapi/document.ts';
import type { Operation } from '../../server/http/openapi/operation.ts';
import { descriptionPage } from '../../server/http/openapi/page.ts';
import { listenForOperations, OPERATIONS_PATHS } from '../../server/observe/listener.ts';
import { ServiceMetrics } from '../../server/observe/service-metrics.ts';
import { saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { BATCH_TYPE, formatBatch } from '../../shared/api/blob-batch.ts';
import { DRAFT_ROLE_SCHEMA } from '../../shared/api/pending.ts';
import { formatUploadMetadata } from '../../shared/api/tus.ts';
import { OPERATOR_FILES_SCHEMA, SUBMISSION_SCHEMA } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { CODES, type Code } from '../../shared/errors.ts';
import { api, data, tree } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { DAY } from '../../shared/time.ts';
import { TestClock } from '../support/clock.ts';
import { sha256, signedRole, signedRoot, signedTargets } from '../support/repository.ts';
import { ANNA, artifactOf, handIn, nameReviewers, owner, statement } from './reviewing.ts';
import { type Answer, call, type Running, running } from './support.ts';

const document = description();
/** What the schemas are called inside the validator. */
const COMPONENTS = 'https://ironport.test/components';
const JSON_TYPE = { 'content-type': 'application/json' };

t.test('it is OpenAPI 3.1, and its schemas are JSON Schema 2020-12', async (t) => {
  const url = new URL('../vectors/schemas/openapi-3.1.schema.json', import.meta.url);
  const official = JSON.parse(await readFile(url, 'utf8'));
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(official);
  validate(document);
  t.strictSame(validate.errors, null);
  const broken = { ...document, paths: { '/x': { get: { responses: { 200: {} } } } } };
  t.notOk(validate(broken), 'the validator sees what is wrong');
  const texts = JSON.stringify(document).matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g);
  const schemas = document.components.schemas ?? {};
  for (const [, name] of texts) t.ok(schemas[name as string], String(name));
  const ids = OPERATIONS.map(({ id }) => id);
  t.equal(new Set(ids).size, ids.length, 'operationId is unique');
  const places = OPERATIONS.map(({ method, path }) => `${method} ${path}`);
  t.equal(new Set(places).size, places.length, 'nothing is described twice');
  for (const { path, parameters = [] } of OPERATIONS) {
    const inPath = parameters.filter((one) => one.in === 'path').map(({ name }) => name);
    const named = Array.from(path.matchAll(/\{([^}]+)\}/g), ([, name]) => name);
    t.strictSame(inPath, named, path);
  }
  const codes = document['x-ironport-codes'] as Record<string, { status: number }>;
  for (const [code, { http }] of Object.entries(CODES)) t.equal(codes[code]?.status, http);
});

t.test('every route is described, and nothing that is none', async (t) => {
  const { repository } = await running(t);
  const routes = new Set<string>();
  const app = createApp({
    ...repository,
    onFailure: () => {},
    names: () => new Set(),
    ownerToken: 'token',
    ready: async () => ({ ok: true, problems: [] }),
    onRoute: (method, url) => routes.add(`${method.toLowerCase()} ${asTemplate(url)}`),
  });
  await app.ready();
  await app.close();
  for (const path of OPERATIONS_PATHS) routes.add(`get ${path}`);
  const described = OPERATIONS.map(({ method, path }) => `${method} ${path}`);
  t.strictSame([...routes].sort(), described.sort());
});

/** A route of the framework as OpenAPI writes it. */
function asTemplate(url: string): string {
  const file = url === `/${tree.metadataFolder}/*` ? '{file}' : '{path}';
  return url.replace(/:([a-z0-9]+)/g, '{$1}').replace('*', file);
}

t.test('the page needs nothing but itself', async (t) => {
  const page = descriptionPage(document);
  t.notMatch(page, /<(script|link|img|iframe|object|form|base)\b| on[a-z]+=|\bsrc=|javascript:/i);
  const style = /<style>([^<]*)<\/style>/.exec(page)?.[1] as string;
  t.notMatch(style, /url\(|@import/);
  const anchors = new Set(Array.from(page.matchAll(/ id="([^"]+)"/g), ([, id]) => id));
  for (const [, place] of page.matchAll(/href="([^"]+)"/g)) {
    if (place === '/' || place === api.description) continue;
    t.ok(place?.startsWith('#') && anchors.has(place.slice(1)), String(place));
  }
  for (const { id } of OPERATIONS) t.ok(anchors.has(id), id);
  for (const name of Object.keys(document.components.schemas ?? {}))
    t.ok(anchors.has(`schema-${name}`), name);
  for (const code of Object.keys(CODES)) t.match(page, `<code>${code}</code>`);
});

/** Holds real answers to the document. Objects are closed: what is sent and not described is seen. */
class Holder {
  readonly seen = new Set<string>();
  readonly #ajv = new Ajv2020({ strict: false, validateFormats: false });

  constructor() {
    this.#ajv.addSchema({ ...closed(absolute(document.components)), $id: COMPONENTS });
  }

  hold(t: Test, method: string, path: string, answer: Answer): void {
    const plain = path.replace(/\?.*$/, '');
    const operation = OPERATIONS.find(
      (one) => one.method === method.toLowerCase() && patternOf(one.path).test(plain),
    ) as Operation;
    const described = document.paths[operation.path]?.[operation.method] as DescribedOperation;
    const name = `${operation.id} ${answer.status}`;
    const response = described.responses[answer.status];
    t.ok(response, `${name} is described`);
    this.seen.add(name);
    for (const field of Object.keys(response?.headers ?? {}))
      t.ok(answer.headers[field], `${name}: ${field} is there`);
    if (operation.method === 'head' || answer.body.length === 0) return;
    const type = answer.headers['content-type'] ?? '';
    const content = response?.content ?? {};
    const key = Object.keys(content).find((one) => type === one || type.startsWith(`${one};`));
    const schema = content[key ?? '*/*']?.schema;
    t.ok(schema, `${name}: ${type} is described`);
    // A range of a document is none.
    if (key !== 'application/json' || answer.status === 206) return;
    const body = JSON.parse(answer.body.toString('utf8'));
    const validate: ValidateFunction = this.#ajv.compile(absolute(schema as object));
    validate(body);
    t.strictSame(validate.errors, null, name);
    const code: Code | undefined = body.ok === false ? body.error?.code : undefined;
    if (code !== undefined) t.match(response?.description, `\`${code}\``, `${name} names ${code}`);
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{path\}/, '.+').replace(/\{[^}]+\}/g, '[^/]+')}$`);
}

function closed(value: unknown): object {
  return JSON.parse(JSON.stringify(value), (_key, one) =>
    typeof one === 'object' && one !== null && 'properties' in one && !('contentEncoding' in one)
      ? { additionalProperties: false, ...one }
      : one,
  );
}

function absolute(schema: object): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/components/', `"${COMPONENTS}#/`));
}

/** Everything that can be asked, asked of a running service; each answer is held to the document. */
class Scene {
  readonly it: Running;
  readonly holder = new Holder();
  readonly #t: Test;

  constructor(t: Test, it: Running) {
    this.#t = t;
    this.it = it;
  }

  held(method: string, path: string, answer: Answer): Answer {
    this.holder.hold(this.#t, method, path, answer);
    return answer;
  }

  async ask(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders = {},
    body?: Uint8Array,
  ): Promise<Answer> {
    return this.held(method, path, await call(this.it.service.url, method, path, headers, body));
  }

  async signed(
    method: string,
    path: string,
    body?: Uint8Array,
    extra: Record<string, string> = body === undefined ? {} : JSON_TYPE,
  ): Promise<Answer> {
    const headers = await this.it.caller.headers(method, path, extra, body);
    return await this.ask(method, path, headers, body);
  }

  async owner(path: string): Promise<Answer> {
    return this.held('GET', path, await owner(this.it, path));
  }
}

const documentOf = (answer: Answer) => JSON.parse(answer.body.toString('utf8'));

async function uploads({ it, ask, signed, held }: Bound): Promise<void> {
  const bytes = utf8('a blob');
  const digest = sha256(bytes);
  await signed('HEAD', api.blob(digest));
  held('PATCH', api.blob(digest), await it.caller.patch(digest, 0, 6, bytes.subarray(0, 3)));
  await signed('HEAD', api.blob(digest));
  held('PATCH', api.blob(digest), await it.caller.patch(digest, 1, 6, bytes));
  held('PATCH', api.blob(digest), await it.caller.patch(digest, 3, 6, utf8('lie')));
  held('PATCH', api.blob(digest), await it.caller.patch('xyz', 0, 6, bytes));
  await ask('OPTIONS', api.blobs);
  await ask('OPTIONS', api.blob(digest));
  const tus = { 'tus-resumable': '1.0.0' };
  const announced = { 'upload-length': '6', 'upload-metadata': formatUploadMetadata(digest) };
  await signed('POST', api.blobs, undefined, { ...tus, ...announced });
  await signed('POST', api.blobs, undefined, { ...tus, ...announced, 'upload-length': '7' });
  await signed('HEAD', api.blob(digest), undefined, tus);
  await signed('DELETE', api.blob(digest), undefined, tus);
  await signed('DELETE', api.blob(digest), undefined, tus);
  const batch = { 'content-type': BATCH_TYPE };
  await signed('POST', api.blobs, formatBatch([{ sha256: digest, bytes }]), batch);
  await signed('POST', api.blobs, formatBatch([{ sha256: digest, bytes: utf8('no') }]), batch);
  await signed('POST', api.blobs, utf8('x'), batch);
  const artifact = await artifactOf(it);
  await it.caller.uploadAll([artifact]);
  const expires = it.clock.now + LIFETIMES.vendor;
  const role = toBase64(await signedRole(it.acme, 1, [artifact], { expires }));
  const submission = { schema: SUBMISSION_SCHEMA, role: 'acme', metadata: role };
  const submit = async (document: object): Promise<Answer> =>
    await signed('POST', api.submissions, utf8(JSON.stringify(document)));
  const { id } = documentOf(await submit(submission));
  await signed('GET', `${api.submission(id)}?wait=60`);
  await signed('GET', `${api.submission(id)}?wait=x`);
  await signed('GET', api.submission('nobody'));
  const { error } = documentOf(await submit({ ...submission, role: 'evil' }));
  if (error === undefined) throw new Error('the role of somebody else was taken');
  await submit({ schema: 'other' });
}

async function drafts({ it, signed, ask }: Bound): Promise<void> {
  const expires = it.clock.now + LIFETIMES.vendor;
  const half = await signedRole(it.acme, 2, [await artifactOf(it)], {
    expires,
    signers: it.acme.tuf.slice(0, 1),
  });
  const body = (bytes: Uint8Array): Uint8Array =>
    utf8(JSON.stringify({ schema: DRAFT_ROLE_SCHEMA, role: 'acme', metadata: toBase64(bytes) }));
  const { id } = documentOf(await signed('POST', api.drafts, body(half)));
  await signed('POST', api.drafts, body(half));
  await signed('POST', api.drafts, utf8('{'));
  await signed('GET', api.drafts);
  await signed('GET', api.draft(id));
  await signed('GET', api.draft('nobody'));
  const root = await signedRoot(it.operators, 2, {
    signers: it.operators.root.slice(0, 1),
    expires: it.clock.now + LIFETIMES.root,
  });
  const files = (...list: Uint8Array[]): Uint8Array =>
    utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: list.map(toBase64) }));
  const draft = documentOf(await ask('POST', api.operatorDrafts, JSON_TYPE, files(root)));
  await ask('POST', api.operatorDrafts, JSON_TYPE, files(root));
  await ask('GET', api.operatorDrafts);
  await ask('GET', api.operatorDraft(draft.id));
  await ask('GET', api.operatorDraft('nobody'));
  await ask('DELETE', api.operatorDraft(draft.id));
  const { token } = JSON.parse(await readFile(`${it.home}/private/service.json`, 'utf8'));
  const bearer = { authorization: `Bearer ${token}` };
  await ask('DELETE', api.operatorDraft(draft.id), bearer);
  await ask('DELETE', api.operatorDraft(draft.id), bearer);
  await ask('POST', api.operatorFiles, JSON_TYPE, files(root));
  await ask('POST', api.operatorFiles, JSON_TYPE, utf8('[]'));
  const whole = await signedRoot(it.operators, 2, { expires: it.clock.now + LIFETIMES.root });
  const { id: taken } = documentOf(await ask('POST', api.operatorFiles, JSON_TYPE, files(whole)));
  await ask('GET', `${api.submission(taken)}?wait=60`);
}

async function reviews({ it, ask, owner: asOwner, signed }: Bound): Promise<void> {
  await nameReviewers(it, 2, [ANNA], 1);
  await saveReviewPolicy(it.home, 'all');
  const { id } = await handIn(it, 2, [await artifactOf(it), await artifactOf(it, '2.0.0')]);
  await signed('GET', api.submission(id));
  await ask('GET', api.reviews);
  await asOwner(api.reviews);
  await asOwner(`${api.reviews}?all`);
  const { files } = documentOf(await asOwner(api.review(id)));
  await asOwner(api.review('nobody'));
  await asOwner(api.reviewFile(id, files[0].sha256));
  await asOwner(api.reviewFile(id, 'nothing'));
  await ask('POST', api.review(id), JSON_TYPE, utf8('{}'));
  const approval = await statement(it, id, [ANNA]);
  await ask('POST', api.review(id), JSON_TYPE, approval);
  await ask('POST', api.review(id), JSON_TYPE, approval);
}

async function retention({ it, ask }: Bound): Promise<void> {
  const path = api.retention;
  const body = utf8('{"dry_run":true}');
  const { token } = JSON.parse(readFileSync(join(it.home, data.service), 'utf8'));
  const headers = { ...JSON_TYPE, authorization: `Bearer ${token}` };
  await ask('POST', path, JSON_TYPE, body);
  await ask('POST', path, headers, utf8('{}'));
  await ask('POST', path, headers, body);
  const window = { window: 30 * DAY, grace: DAY };
  const expires = it.clock.now + LIFETIMES.targets;
  const file = await signedTargets(it.operators, 3, [it.acme], { expires, retention: window });
  await it.repository.intake.submitOperatorFiles([file], false);
  await it.repository.worker.drain();
  await ask('POST', path, headers, body);
}

async function reads({ ask }: Bound): Promise<void> {
  const target = `/${tree.target('acme/edu/1.0.0/edu.js', sha256(utf8('the driver at acme/edu/1.0.0/edu.js')))}`;
  for (const path of [`/${tree.timestamp}`, `/${tree.metadata('root', 1)}`, target]) {
    const { headers } = await ask('GET', path);
    await ask('GET', path, { 'if-none-match': headers.etag });
    await ask('GET', path, { range: 'bytes=0-3' });
    await ask('GET', path, { range: 'bytes=9999999-' });
    await ask('HEAD', path);
    await ask('OPTIONS', path);
  }
  await ask('GET', '/metadata/99.root.json');
  await ask('GET', '/targets/a/..%2f/b');
  for (const path of ['/', '/?role=acme&page=2', api.description, api.descriptionPage])
    await ask('GET', path);
  for (const path of [api.health, api.ready]) await ask('GET', path);
}

async function operations(t: Test, holder: Holder): Promise<void> {
  const listener = await listenForOperations({ host: '127.0.0.1', port: 0 });
  t.teardown(() => listener.close());
  const ask = async (path: string): Promise<void> => {
    holder.hold(t, 'GET', path, await call(listener.url, 'GET', path));
  };
  for (const path of OPERATIONS_PATHS) await ask(path);
  const answer = { status: 200, type: 'application/json', text: '{}' };
  listener.attach({
    metrics: () => new ServiceMetrics().registry.text(),
    ready: async () => answer,
    health: async () => answer,
  });
  await ask(api.metrics);
}

interface Bound {
  readonly it: Running;
  readonly held: Scene['held'];
  readonly ask: Scene['ask'];
  readonly signed: Scene['signed'];
  readonly owner: Scene['owner'];
}

t.test('real answers are what the document says', async (t) => {
  const it = await running(t);
  const scene = new Scene(t, it);
  const bound: Bound = {
    it,
    held: scene.held.bind(scene),
    ask: scene.ask.bind(scene),
    signed: scene.signed.bind(scene),
    owner: scene.owner.bind(scene),
  };
  await uploads(bound);
  await drafts(bound);
  await reviews(bound);
  await retention(bound);
  await reads(bound);
  await operations(t, scene.holder);
  for (const { id, answers } of OPERATIONS) {
    const good = answers.filter(({ status }) => status < 300);
    t.ok(
      good.some(({ status }) => scene.holder.seen.has(`${id} ${status}`)),
      `${id} was seen to succeed`,
    );
  }
  const page = await call(it.service.url, 'GET', api.descriptionPage);
  t.match(page.headers['content-security-policy'], "default-src 'none'");
  t.strictSame(it.failures, []);
});

t.test('a service whose tree has expired answers by the document', async (t) => {
  const clock = new TestClock();
  const it = await running(t, clock);
  const scene = new Scene(t, it);
  clock.now += LIFETIMES.root * 2;
  t.equal((await scene.ask('GET', api.health)).status, 503);
  t.equal((await scene.ask('GET', api.ready)).status, 503);
});
