/** A role in hash bins that two must sign, on two machines: role and bins wait as one proposal. */

import { mkdirSync } from 'node:fs';
import { cp, readFile, rename, writeFile } from 'node:fs/promises';
import t from 'tap';
import { DRAFT_ROLE_SCHEMA } from '../../shared/api/pending.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { api } from '../../shared/layout.ts';
import { DRAFT_LIMITS, LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import {
  formatMetadata,
  sign,
  succinctTree,
  targetEntry,
  withFields,
} from '../../shared/tuf/build.ts';
import { binFor } from '../../shared/tuf/delegations.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { run } from '../cli/support.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, operator, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2, '--tuf-keys', '2', '--threshold', '2');
await cp(scene.at('acme'), scene.at('second'), { recursive: true });
await rename(scene.at('acme', 'keys', 'tuf-2.json'), scene.at('away-2.json'));
await rename(scene.at('second', 'keys', 'tuf-1.json'), scene.at('away-1.json'));
await writeFile(scene.at('edu.js'), 'a driver\n');

const to = (dir: string): string[] => [
  ...['--dir', scene.at(dir), '--repository', scene.url],
  ...scene.root,
];
const publish = (version: string): string[] => [
  ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...to('acme')],
];
const signIn = (dir: string, id: string) => ironport('pending', 'sign', id, '--yes', ...to(dir));
const metadata = async (version: number, role: string) =>
  parseTargets(
    await readFile(scene.at('repo', 'tree', 'metadata', `${version}.${role}.json`)),
    role,
  );
const findings = async () => (await operator('fsck', '--dir', scene.at('repo'))).data.findings;

const first = await vendor(...publish('1.0.0'));
t.match((await signIn('second', first.data.pending.id)).data, { state: 'published' });

t.test('a division waits with all of its bins, and is signed as one', async (t) => {
  const { data } = await vendor('split', '--bins', '4', ...to('acme'));
  t.match(data, { bins: 4, targets: 6, published: false, pending: { lacking: 5 } });
  const { id } = data.pending;
  const listed = await run((await import('../../publisher/main.ts')).program, [
    ...['pending', 'list', ...to('second')],
  ]);
  t.match(listed.stdout, /acme 2, acme\.b2-0 1, .*lacks 5/);
  const shown = await ironport('pending', 'show', id, ...to('second'));
  t.match(shown.stderr, /acme\.b2/, 'that it is divided is said');
  t.notMatch(shown.stderr, 'is listed', 'what only moves is nothing new');
  t.notMatch(shown.stderr, 'is no longer listed');
  t.match((await signIn('acme', id)).data, { state: 'open', lacking: 5 }, 'the same key is one');
  t.match((await signIn('second', id)).data, { state: 'published', lacking: 0 });
  const own = await metadata(2, 'acme');
  t.equal(own.delegations?.succinct?.keyids.length, 2, 'bins want the keys of the role');
  t.equal(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');
  t.same(await findings(), []);
  t.equal((await ironport('split', '--bins', '4', ...to('second'))).error?.code, 'E_NOTHING_TO_DO');
});

t.test('a publication waits with the bins that it changes, and nothing else', async (t) => {
  const { data, stderr } = await vendor(...publish('1.1.0'));
  t.match(stderr, 'the tuf key keys/tuf-2.json is not here');
  const bins = data.bins.map(({ role }: { role: string }) => role);
  t.match(data.pending, { lacking: bins.length });
  t.equal(
    (await scene.fetched('acme/edu/1.1.0/edu.js')) === 'verified',
    false,
    'not published yet',
  );
  const { id } = data.pending;
  const shown = await ironport('pending', 'show', id, ...to('second'));
  t.match(shown.stderr, '+ acme/edu/1.1.0/edu.js is listed');
  t.notMatch(shown.stderr, 'acme/edu/1.0.0/edu.js is');
  t.match(shown.stderr, `this is what ${bins.length} bins of acme change`);
  t.match((await signIn('second', id)).data, { state: 'published' });
  t.equal(await scene.fetched('acme/edu/1.1.0/edu.js'), 'verified');

  const gone = await vendor(
    ...['withdraw', 'edu@1.0.0', '--reason', 'loses writes', ...to('second')],
  );
  const seen = await ironport('pending', 'show', gone.data.pending.id, ...to('acme'));
  t.match(seen.stderr, '- acme/edu/1.0.0/edu.js is no longer listed');
  t.match((await signIn('acme', gone.data.pending.id)).data, { state: 'published' });
  t.notSame(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');
  t.same(await findings(), []);
});

t.test('a renewal waits with role and bins together', async (t) => {
  const { data } = await vendor('renew', ...to('acme'));
  t.match(data, { bins: 4, also_pending: [], pending: { lacking: 5 } });
  const shown = await ironport('pending', 'show', data.pending.id, ...to('second'));
  t.match(shown.stderr, 'this is what 4 bins of acme change');
  t.match(shown.stderr, /~ it is valid until .*, where it was/);
  t.notMatch(shown.stderr, 'listed');
  t.match((await signIn('second', data.pending.id)).data, { state: 'published' });
  t.same(await findings(), []);
  t.equal((await vendor('renew', ...to('second'))).data.bins, 4, 'what both signed both know');
});

t.test('bins that no signature would make good do not wait', async (t) => {
  const key = await loadFileSigner(scene.at('acme', 'keys', 'tuf-1.json'));
  const apiKey = await loadFileSigner(scene.at('acme', 'keys', 'api-1.json'));
  const { Caller } = await import('../server/support.ts');
  const caller = new Caller(scene.url, apiKey, { now: systemClock() } as never);
  const bring = async (own: Uint8Array | undefined, below: Record<string, Uint8Array>) => {
    const document = {
      ...{ schema: DRAFT_ROLE_SCHEMA, role: 'acme' },
      ...(own === undefined ? {} : { metadata: toBase64(own) }),
      nested: Object.entries(below).map(([role, bytes]) => ({ role, metadata: toBase64(bytes) })),
    };
    const answer = await caller.send('POST', api.drafts, utf8(JSON.stringify(document)));
    const { error, id } = JSON.parse(answer.body.toString('utf8'));
    return error?.code ?? (id === undefined ? answer.status : 'waits');
  };
  const listed = (await operator('status', '--dir', scene.at('repo'))).exit;
  t.equal(listed, 0);
  const role = 'acme.b2-0';
  const versions = async (name: string): Promise<number> => {
    for (let version = 1; ; version++)
      if ((await metadata(version + 1, name).catch(() => undefined)) === undefined) return version;
  };
  const standing = await metadata(await versions(role), role);
  const renewed = (change: object) =>
    withFields(standing.envelope.tree, {
      version: standing.version + 1,
      expires: new Date((systemClock() + LIFETIMES.vendor) * 1000)
        .toISOString()
        .replace('.000', ''),
      ...change,
    });
  const signed = async (tree: Parameters<typeof sign>[1], signer = key) =>
    formatMetadata(tree, await sign(crypto, tree, [signer]));
  const own = await metadata(await versions('acme'), 'acme');
  const succinct = own.delegations?.succinct as never;
  const stray = Array.from({ length: 40 }, (_, i) => `acme/edu/9.0.${i}/x`).find(
    (path) => binFor(crypto, succinct, path) !== role,
  ) as string;
  const entry = targetEntry({ length: 1, sha256: '0'.repeat(64) });
  const other = { keys: [apiKey.key], threshold: 1 };
  const wide = withFields(own.envelope.tree, {
    version: own.version + 1,
    delegations: succinctTree(crypto, other, 31, 'acme.b31'),
  });
  const cases: [string, string, Promise<string>][] = [
    [
      'by the API key',
      'E_NOT_AUTHORISED',
      bring(undefined, { [role]: await signed(renewed({}), apiKey) }),
    ],
    [
      'of a version too far',
      'E_CONFLICT',
      bring(undefined, { [role]: await signed(renewed({ version: 99 })) }),
    ],
    [
      'that lists what hashes elsewhere',
      'E_DELEGATION',
      bring(undefined, { [role]: await signed(renewed({ targets: { [stray]: entry } })) }),
    ],
    [
      'that delegates on',
      'E_DELEGATION',
      bring(undefined, {
        [role]: await signed(renewed({ delegations: succinctTree(crypto, other, 1, 'acme.b1') })),
      }),
    ],
    [
      'of no bin',
      'E_NOT_AUTHORISED',
      bring(undefined, { 'acme.b2-7': await signed(renewed({ version: 1 })) }),
    ],
    [
      'with two thousand million bins',
      'E_DELEGATION',
      bring(await signed(wide), { [role]: await signed(renewed({})) }),
    ],
    [
      'too many',
      'E_SCHEMA',
      bring(
        undefined,
        Object.fromEntries(
          Array.from({ length: DRAFT_LIMITS.files + 1 }, (_, i) => [`acme.b12-${i}`, utf8('{}')]),
        ),
      ),
    ],
  ];
  for (const [name, code, answered] of cases) t.equal(await answered, code, name);
  const { changes } = (await vendor('pending', 'list', ...to('acme'))).data;
  t.equal(changes.length, 1, 'but for the renewal of before');
});
