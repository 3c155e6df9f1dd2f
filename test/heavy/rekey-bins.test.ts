/** More bins than wait as one change, of keys that lie apart: renewed, and taken over to new keys. */

import { mkdirSync } from 'node:fs';
import { cp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import t from 'tap';
import { DRAFT_LIMITS } from '../../shared/limits.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import { ironport, operator, Scene, vendor } from '../publisher/support.ts';
import { temporaryHome } from '../server/support.ts';

t.setTimeout(880_000);
const BINS = DRAFT_LIMITS.files;

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2, '--tuf-keys', '2', '--threshold', '2');
await writeFile(scene.at('edu.js'), 'a driver\n');

const to = (dir: string): string[] => [
  ...['--dir', scene.at(dir), '--repository', scene.url],
  ...scene.root,
];
const signIn = async (id: string): Promise<void> => {
  const { data } = await vendor('pending', 'sign', id, '--yes', ...to('second'));
  if (data.state !== 'published') throw new Error(JSON.stringify(data));
};
const publishing = (version: string, dir: string): string[] => [
  ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', version],
  ...['--ceiling', scene.at('ceiling.json'), ...to(dir)],
];
const metadata = (name: string) => readFile(scene.at('repo', 'tree', 'metadata', name));
const own = async () => {
  const { snapshot } = parseTimestamp(await metadata('timestamp.json'));
  const listed = parseSnapshot(await metadata(`${snapshot.version}.snapshot.json`)).roles;
  return parseTargets(await metadata(`${listed.get('acme')?.version}.acme.json`), 'acme');
};
const signers = async (): Promise<number> =>
  (await own()).delegations?.succinct?.keyids.length ?? 0;
/** Each folder keeps one of the two keys. */
async function part(first: string, second: string): Promise<void> {
  await rm(scene.at('second'), { recursive: true, force: true });
  await cp(scene.at('acme'), scene.at('second'), { recursive: true });
  await rename(scene.at('acme', second), scene.at('away-second.json'));
  await rename(scene.at('second', first), scene.at('away-first.json'));
}

await vendor(...publishing('1.0.0', 'acme'));
await part('keys/tuf-1.json', 'keys/tuf-2.json');

t.test('a division that is too large to wait goes around in a folder', async (t) => {
  const refused = await ironport('split', '--bins', `${BINS}`, ...to('acme'));
  t.match(refused.error, { code: 'E_TOO_LARGE', hint: /ironport split --out FOLDER/ });
  const folder = scene.at('division');
  const made = await vendor('split', '--bins', `${BINS}`, '--out', folder, ...to('acme'));
  t.match(made.data, {
    ...{ bins: BINS, published: false, folder },
    signatures: { have: BINS + 1, need: 2 * BINS + 2 },
  });
  t.equal((await own()).delegations, undefined, 'nothing was handed in');
  t.equal(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');
  const signed = await vendor('sign', folder, '--yes', ...to('second'));
  t.match(signed.data, { published: true });
  t.equal((await own()).delegations?.succinct?.bitLength, Math.log2(BINS));
  t.equal(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);
});

t.test('a renewal that has no room for all begins with those that end first', async (t) => {
  // Of what one key began only so many wait.
  for (let i = 1; i < DRAFT_LIMITS.openByKey; i++) await vendor(...publishing(`2.${i}.0`, 'acme'));
  // What waits was signed here last of their bins, and not what is published.
  const one = await ironport('renew', ...to('acme'));
  t.match(one.data, { bins: BINS - 1 }, JSON.stringify(one.error));
  t.equal(one.exit, 0, 'the one that is left has most of its time before it');
  await signIn(one.data.pending.id);
  const two = await vendor('renew', ...to('acme'));
  t.equal(two.data.bins, BINS);
  const files = async (id: string): Promise<string[]> =>
    (await vendor('pending', 'show', id, ...to('second'))).data.files.map(
      ({ role }: { role: string }) => role,
    );
  const listed = [
    ...(await files(two.data.pending.id)),
    ...(await files(two.data.also_pending[0])),
  ];
  const last = `acme.b9-${(BINS - 1).toString(16)}`;
  t.ok((await files(two.data.pending.id)).includes(last), 'the one that was left comes first');
  t.equal(new Set(listed).size, BINS + 1);
  for (const id of [two.data.pending.id, ...two.data.also_pending]) await signIn(id);
});

t.test('other keys sign so many bins in steps, and every reader finds every bin', async (t) => {
  const signed = (name: string): string => scene.at('signed', name);
  const old = (await own()).delegations?.succinct?.keyids ?? [];
  await rename(scene.at('away-second.json'), scene.at('acme', 'keys', 'tuf-2.json'));
  const made = await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'tuf');
  const [first, second] = made.data.keys as { file: string; keyid: string }[];
  if (first === undefined || second === undefined) throw new Error('no keys');
  await scene.exchange('acme', 3);
  await part(first.file, second.file);
  const half = await vendor('renew', '--out', signed('half.json'), ...to('acme'));
  t.match(half.data, { bins: 0 });
  await vendor(
    ...['sign', signed('half.json'), '--out', signed('acme.json'), '--yes'],
    ...['--dir', scene.at('second')],
  );
  await scene.submit('3.targets.json', 'acme.json');
  t.equal(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');

  const begun = await vendor('split', '--bins', `${BINS}`, ...to('acme'));
  t.match(begun.data, { bins: BINS, targets: 6, published: false, pending: { lacking: 1 } });
  const shown = await ironport('pending', 'show', begun.data.pending.id, ...to('second'));
  t.match(shown.stderr, /acme\.b9/, 'that other keys sign the bins is shown to who signs it');
  await signIn(begun.data.pending.id);
  t.equal(await signers(), 4);
  t.equal(
    await scene.fetched('acme/edu/1.0.0/edu.js'),
    'verified',
    'bins that the old keys signed',
  );
  const early = await ironport('split', '--bins', `${BINS}`, ...to('acme'));
  t.match(early.error, { code: 'E_THRESHOLD', message: /^512 bins lack signatures/ });

  const renewed = await vendor('renew', ...to('acme'));
  t.equal(renewed.data.bins, BINS);
  const [one, ...others] = [renewed.data.pending.id, ...renewed.data.also_pending];
  await signIn(one);
  const between = await ironport('split', '--bins', `${BINS}`, ...to('acme'));
  t.equal(between.error?.code, 'E_THRESHOLD', 'some are signed, and not all');
  for (const id of others) await signIn(id);
  const last = await vendor('split', '--bins', `${BINS}`, ...to('acme'));
  await signIn(last.data.pending.id);
  t.same(
    [...((await own()).delegations?.succinct?.keyids ?? [])].sort(),
    [first.keyid, second.keyid].sort(),
  );
  t.notOk(
    old.some((id) => id === first.keyid),
    'other keys than before',
  );
  t.equal(await scene.fetched('acme/edu/1.0.0/edu.js'), 'verified');
  const done = await ironport('split', '--bins', `${BINS}`, ...to('acme'));
  t.equal(done.error?.code, 'E_NOTHING_TO_DO');
  const more = await vendor(...publishing('3.0.0', 'acme'));
  await signIn(more.data.pending.id);
  t.equal(await scene.fetched('acme/edu/3.0.0/edu.js'), 'verified');
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);
});
