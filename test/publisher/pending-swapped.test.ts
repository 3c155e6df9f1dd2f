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
  const path = 'acme/edu/1.0.0/edu.js';
  const forged = forge(await draftOf(id), 'acme.wifi', ({ targets }) => {
    targets[path].hashes.sha256 = 'ab'.repeat(32);
    targets['acme/edu/6.6.6/edu.js'] = targets[path];
  });
  const { stderr } = await vendor('pending', 'show', show(forged), ...second);
  t.match(stderr, `~ ${path} stands for other bytes`);
  t.match(stderr, '+ acme/edu/6.6.6/edu.js is listed');
  t.notMatch(stderr, 'no longer listed');
});

t.test('what is no role of this vendor is neither shown nor signed', async (t) => {
  liar.bend = (_path, reply) => reply;
  const [listed] = (await vendor('pending', 'list', ...second)).data.changes.filter(
    ({ files }: DraftReply) => files.length === 2,
  );
  const real = await draftOf(listed.id);
  const entry = { length: 1, hashes: { sha256: 'ab'.repeat(32) } };
  const cases: readonly [string, string, RegExp, Bend][] = [
    [
      'acme',
      "another vendor's path",
      /lists other\/edu/,
      ({ targets }) => {
        targets['other/edu/1.0.0/edu.js'] = entry;
      },
    ],
    [
      'acme',
      'a delegation to another vendor',
      /delegates to others/,
      ({ delegations }) => {
        delegations.roles[0].name = 'other';
      },
    ],
    [
      'acme',
      "a delegation of another vendor's paths",
      /delegates to others/,
      ({ delegations }) => {
        delegations.roles[0].paths = ['other/edu/*/*'];
      },
    ],
    [
      'acme',
      'a delegation that does not end the search',
      /delegates to others/,
      ({ delegations }) => {
        delegations.roles[0].terminating = false;
      },
    ],
    [
      'acme',
      'a threshold that no keys reach',
      /delegates to others/,
      ({ delegations }) => {
        delegations.roles[0].threshold = 3;
      },
    ],
    [
      'acme',
      'nobody delegates to it',
      /delegates to no acme\.wifi/,
      (signed) => {
        delete signed.delegations;
      },
    ],
    [
      'acme.wifi',
      'paths that it was not given',
      /lists acme\/net/,
      ({ targets }) => {
        targets['acme/net/1.0.0/net.js'] = entry;
      },
    ],
    [
      'acme.wifi',
      'delegations of its own',
      /delegates to others/,
      (signed) => {
        signed.delegations = { keys: {}, roles: [] };
      },
    ],
  ];
  for (const [role, name, why, bend] of cases) {
    const id = show(forge(real, role, bend));
    for (const verb of ['show', 'sign']) {
      const yes = verb === 'sign' ? ['--yes'] : [];
      const { error } = await ironport('pending', verb, id, ...yes, ...second);
      t.match(error, { code: 'E_NOT_AUTHORISED', why }, `${verb}: ${name}`);
    }
  }
  for (const role of ['acme', 'acme.wifi']) {
    const id = show(forge(real, role, (signed) => (signed.version += 1)));
    t.equal(
      (await ironport('pending', 'sign', id, '--yes', ...second)).error?.code,
      'E_VERSION',
      role,
    );
  }
});

// biome-ignore lint/suspicious/noExplicitAny: what a document holds is what a test bends
type Bend = (signed: any) => unknown;

/** The draft with other contents of one role, under the id that these have. */
function forge(real: DraftReply, role: string, bend: Bend): DraftReply {
  const contents = real.files.map(({ role: one }, i) => {
    const text = Buffer.from(real.contents?.[i] ?? '', 'base64').toString('utf8');
    const file = JSON.parse(text);
    if (one === role) bend(file.signed);
    return utf8(JSON.stringify(file));
  });
  const parts = contents.map((bytes, i) => {
    const { role: one = '' } = real.files[i] ?? {};
    return draftPart('acme', one, parseTargets(bytes, one).envelope.signedBytes());
  });
  const id = draftId(platformCrypto, 'acme', parts);
  return { ...real, id, contents: contents.map((bytes) => Buffer.from(bytes).toString('base64')) };
}

/** Lets the liar show it, and nothing else; returns its id. */
function show(draft: DraftReply): string {
  liar.bend = (path) => (path.endsWith('/pending') ? { drafts: [draft] } : draft);
  return draft.id;
}

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
