/** A service in strange hands that shows signers another change than the one that they were told of. */

import { cp, rename, writeFile } from 'node:fs/promises';
import { request as ask, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { type DraftReply, draftId, draftPart } from '../../shared/api/pending.ts';
import { utf8 } from '../../shared/bytes.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, Scene, vendor } from './support.ts';

/** Passes everything on to the real service, and bends the answers that a test names: all of these are good. */
class Liar {
  bend: (path: string, reply: unknown) => unknown = (_path, reply) => reply;
  target = '';
  readonly #server = createServer((asked, answer) => {
    const { hostname, port } = new URL(this.target);
    const { method, url = '', headers } = asked;
    const passed = ask({ hostname, port, method, path: url, headers }, (real) => {
      const chunks: Buffer[] = [];
      real.on('data', (chunk: Buffer) => chunks.push(chunk));
      real.on('end', () => {
        const body = Buffer.concat(chunks);
        const isDraft = method === 'GET' && /\/pending(\/|$)/.test(url);
        const bent = isDraft
          ? Buffer.from(JSON.stringify(this.bend(url, JSON.parse(body.toString('utf8')))))
          : body;
        const { 'content-length': _length, ...others } = real.headers;
        answer.writeHead(isDraft ? 200 : (real.statusCode ?? 500), others).end(bent);
      });
    });
    asked.pipe(passed);
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const liar = new Liar();
const address = await liar.listen();
t.teardown(() => liar.close());
const scene = new Scene(temporaryHome(t), [address]);
await scene.start();
t.teardown(() => scene.stop());
liar.target = scene.url;
await scene.admit('acme', 2, '--tuf-keys', '2', '--threshold', '2');
await cp(scene.at('acme'), scene.at('second'), { recursive: true });
await rename(scene.at('acme', 'keys', 'tuf-2.json'), scene.at('away-2.json'));
await rename(scene.at('second', 'keys', 'tuf-1.json'), scene.at('away-1.json'));
await writeFile(scene.at('edu.js'), 'a driver\n');

const first = ['--dir', scene.at('acme'), '--repository', scene.url, ...scene.root];
const second = ['--dir', scene.at('second'), '--repository', `http://${address}`, ...scene.root];
const publish = (version: string): string[] => [
  ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...first],
];

const { data: one } = await vendor(...publish('1.0.0'));
const { data: other } = await vendor(...publish('2.0.0'));
const asked: string = one.pending.id;
const given: string = other.pending.id;

t.test('the other change under its own name', async (t) => {
  const { data } = await vendor('pending', 'list', ...second);
  t.equal(data.changes.length, 2);
  const real = await draftOf(given);
  liar.bend = (path, reply) => (path.endsWith(asked) ? real : reply);
  for (const verb of ['show', 'sign']) {
    const { error } = await ironport(
      'pending',
      verb,
      asked,
      ...(verb === 'sign' ? ['--yes'] : []),
      ...second,
    );
    t.match(error, { code: 'E_MIX_AND_MATCH', message: `another change than ${asked}` }, verb);
  }
});

t.test('the other change under the name that was asked for', async (t) => {
  const real = await draftOf(given);
  liar.bend = (path, reply) => (path.endsWith(asked) ? { ...real, id: asked } : reply);
  const { error } = await ironport('pending', 'sign', asked, '--yes', ...second);
  t.equal(error?.code, 'E_MIX_AND_MATCH');
});

t.test('a change that begins with the few digits that somebody reads out', async (t) => {
  const forged = `${asked.slice(0, 8)}${'0'.repeat(24)}`;
  liar.bend = (path, reply) =>
    path.endsWith('/pending')
      ? { drafts: [{ ...(reply as { drafts: DraftReply[] }).drafts[0], id: forged }] }
      : reply;
  t.match(
    (await ironport('pending', 'sign', asked.slice(0, 8), '--yes', ...second)).error,
    { code: 'E_USAGE', message: /too little of an id to sign by/ },
    'is not signed by eight digits',
  );
  t.equal(
    (await ironport('pending', 'sign', asked.slice(0, 16), '--yes', ...second)).error?.code,
    'E_NOT_FOUND',
    'and is not what sixteen name',
  );
  liar.bend = (_path, reply) => reply;
  const signed = await vendor('pending', 'sign', asked.slice(0, 16), '--yes', ...second);
  t.match(signed.data, { state: 'published' });
});

t.test('entries that move into a nested role are shown only when they change', async (t) => {
  const nest = await vendor(
    ...['nest', 'wifi', '--path', 'acme/edu/*/*', '--make-keys', '1', '--adopt', ...first],
  );
  const { id } = nest.data.pending;
  const honest = await vendor('pending', 'show', id, ...second);
  const moved = /is listed|no longer listed|other bytes/;
  t.notMatch(honest.stderr, moved, 'a move alone is no gain and no loss of anybody');
  t.match(honest.stderr, /wifi/);

  // The one who begins the change also exchanges a driver on its way.
  const real = await draftOf(id);
  const path = 'acme/edu/1.0.0/edu.js';
  const at = real.files.findIndex(({ role }) => role === 'acme.wifi');
  const contents = [...(real.contents ?? [])];
  const file = JSON.parse(Buffer.from(contents[at] ?? '', 'base64').toString('utf8'));
  file.signed.targets[path].hashes.sha256 = 'ab'.repeat(32);
  file.signed.targets['acme/edu/6.6.6/edu.js'] = file.signed.targets[path];
  contents[at] = Buffer.from(JSON.stringify(file)).toString('base64');
  const parts = real.files.map(({ role }, i) => {
    const bytes = utf8(Buffer.from(contents[i] ?? '', 'base64').toString('utf8'));
    return draftPart('acme', role, parseTargets(bytes, role).envelope.signedBytes());
  });
  const forged = { ...real, contents, id: draftId(platformCrypto, 'acme', parts) };
  liar.bend = (asked) => (asked.endsWith('/pending') ? { drafts: [forged] } : forged);
  const { stderr } = await vendor('pending', 'show', forged.id, ...second);
  t.match(stderr, `~ ${path} stands for other bytes`);
  t.match(stderr, '+ acme/edu/6.6.6/edu.js is listed');
  t.notMatch(stderr, 'no longer listed');
});

/** As the service says it. */
async function draftOf(id: string): Promise<DraftReply> {
  let found: unknown;
  liar.bend = (path, reply) => {
    if (path.endsWith(id)) found = reply;
    return reply;
  };
  await vendor('pending', 'show', id, ...second);
  return found as DraftReply;
}
