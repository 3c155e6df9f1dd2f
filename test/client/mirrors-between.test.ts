// Mirrors that are in the middle of an update. The floor rises with a verified timestamp (TUF 5.4.3
// and 5.4.5), before what it names is there: no older one is accepted after it, from whatever
// mirror, and none of that is called a rollback while nothing is older than what this host has whole.

import { readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Fetcher } from '../../client/index.ts';
import { readCompleted } from '../../client/store/completed.ts';
import { store as layout } from '../../shared/layout.ts';
import { EDU } from '../support/artifact.ts';
import { Fleet, mirror, refusal, state } from '../support/fleet.ts';
import { type Simulator, signFile } from '../support/simulator.ts';

const TIMESTAMP = 'metadata/timestamp.json';

/** The state after so many publications, of which the list of roles did not arrive yet. */
async function halfway(publications: number): Promise<Simulator> {
  const sim = await state(publications);
  sim.overrides.set(`metadata/${publications + 1}.snapshot.json`, null);
  return sim;
}

const dead: Fetcher = mirror('dead', Object.assign(await state(0), { serve: () => undefined }));

t.test('a newer timestamp without its snapshot, and a late mirror: try again', async (t) => {
  const fleet = new Fleet(t);
  const late = await state(1);
  await (await fleet.open(mirror('late', late))).refresh();
  const half = await halfway(2);
  const between = await fleet.open(mirror('half', half), mirror('late', late));
  const error = await refusal(between.refresh());
  t.equal(error.code, 'E_TRY_AGAIN');
  t.match(error.why, 'late has timestamp 2 still');
  t.match(error.why, 'half was left with E_NETWORK, the repository has no snapshot 3');
  t.match(error.hint, 'nothing old was accepted');
  t.match(error.context, { mirrors: 2, mirror: 'late', offered: 2, floor: 3 });
  t.equal((await fleet.store.floors()).timestamp, 3, 'what was seen stays seen (TUF 5.4.5)');

  t.test('in a later run, which does not see the newer one', async (t) => {
    const repository = await fleet.open(dead, mirror('late', late));
    t.equal((await refusal(repository.refresh())).code, 'E_TRY_AGAIN');
    const oldest = await fleet.open(mirror('oldest', await state(0)), dead);
    const rollback = await refusal(oldest.refresh());
    t.equal(rollback.code, 'E_ROLLBACK', 'older than what this host has whole');
    const alone = await fleet.open(mirror('late', late));
    t.equal((await refusal(alone.refresh())).code, 'E_ROLLBACK', 'of a single one, TUF 5.4.3.1');
  });
  t.test('until one of them has it', async (t) => {
    half.overrides.clear();
    const repository = await fleet.open(mirror('late', late), mirror('half', half));
    t.equal((await repository.refresh()).snapshot().version, 3);
  });
});

t.test('a new host accepts nothing old either', async (t) => {
  const fleet = new Fleet(t);
  const out = join(fleet.folder, 'edu.js');
  const mirrors = [mirror('half', await halfway(2)), mirror('late', await state(1))];
  const repository = await fleet.open(...mirrors);
  t.equal((await refusal(repository.getVerified(EDU, out))).code, 'E_TRY_AGAIN');
  t.strictSame(await readdir(fleet.folder), ['store']);
  t.equal(await fleet.store.read('snapshot'), undefined);
});

t.test('a mirror that copies the timestamp last has what another one names', async (t) => {
  for (const order of ['half first', 'late first']) {
    const fleet = new Fleet(t);
    await (await fleet.open(mirror('before', await state(1)))).refresh();
    const late = await state(2);
    // Older than what this host has, so that it is refused on its own in either order.
    late.overrides.set(TIMESTAMP, (await state(0)).fileOf('timestamp'));
    const mirrors = [mirror('half', await halfway(2)), mirror('late', late)];
    if (order === 'late first') mirrors.reverse();
    const trusted = await (await fleet.open(...mirrors)).refresh();
    t.equal(trusted.snapshot().version, 3, order);
    t.match(fleet.notes.at(-1), 'asking late for what a newer timestamp names');
  }
});

t.test('the same where a new root replaced the key of timestamps', async (t) => {
  const fleet = new Fleet(t);
  const [half, late, ended] = [await halfway(2), await state(2), await state(1)];
  late.overrides.set(TIMESTAMP, ended.fileOf('timestamp'));
  late.overrides.set('metadata/2.root.json', null);
  for (const sim of [half, late]) sim.nextRoot(() => sim.rotateKeys('timestamp'));
  const alone = await refusal((await fleet.open(mirror('half', half))).refresh());
  t.equal(alone.code, 'E_NETWORK');
  const error = await refusal((await fleet.open(mirror('late', late), dead)).refresh());
  t.equal(error.code, 'E_THRESHOLD', 'by a key that the root has no more');
  const repository = await fleet.open(mirror('half', half), mirror('late', late));
  t.equal((await repository.refresh()).snapshot().version, 3);
});

t.test('a rollback stays one', async (t) => {
  const fleet = new Fleet(t);
  await (await fleet.open(mirror('current', await state(2)))).refresh();
  const older = mirror('older', await state(1));
  const half = mirror('half', await halfway(3));

  const error = await refusal((await fleet.open(half, older)).refresh());
  t.equal(error.code, 'E_ROLLBACK', 'older than what this host has whole');
  t.match(error.why, 'half was left with E_NETWORK');

  // The same version of snapshot, an older timestamp.
  const again = new Fleet(t);
  const resigned = await state(2);
  resigned.publishTimestamp();
  await (await again.open(mirror('current', resigned))).refresh();
  const before = await again.stored();
  const all = [mirror('older', await state(2)), mirror('oldest', await state(1))];
  t.equal((await refusal((await again.open(...all)).refresh())).code, 'E_ROLLBACK');
  t.strictSame(await again.stored(), before, 'nothing changed');
});

t.test('a timestamp that nobody accepted passes to no other mirror', async (t) => {
  const fleet = new Fleet(t);
  await (await fleet.open(mirror('current', await state(2)))).refresh();
  const forger = await state(3);
  forger.overrides.set(
    TIMESTAMP,
    signFile({ ...forger.timestamp, version: 99 }, [forger.newKey()]),
  );
  const older = await state(1);
  const repository = await fleet.open(mirror('forger', forger), mirror('older', older));
  older.requests.splice(0);
  t.equal((await refusal(repository.refresh())).code, 'E_ROLLBACK');
  t.equal(older.requests.filter((path) => path === TIMESTAMP).length, 1, 'it is asked once');
  t.notOk(older.requests.some((path) => path.includes('snapshot')));
});

t.test('a store that lost what it had whole gives nobody the benefit of the doubt', async (t) => {
  for (const role of ['timestamp', 'snapshot']) {
    const fleet = new Fleet(t);
    await (await fleet.open(mirror('current', await state(2)))).refresh();
    await unlink(join(fleet.folder, 'store', layout.metadata(role)));
    t.equal((await readCompleted(fleet.store))(), undefined, role);
    const mirrors = [mirror('older', await state(1)), mirror('oldest', await state(0))];
    t.equal((await refusal((await fleet.open(...mirrors)).refresh())).code, 'E_ROLLBACK', role);
  }
  const fleet = new Fleet(t);
  await (await fleet.open(mirror('current', await state(2)))).refresh();
  t.strictSame((await readCompleted(fleet.store))(), { timestamp: 3, snapshot: 3 });
  // Another hand puts an older file back, or one that is none.
  for (const bytes of [(await state(1)).fileOf('timestamp'), new Uint8Array([123])]) {
    await fleet.store.write('timestamp', bytes);
    t.equal((await readCompleted(fleet.store))(), undefined);
  }
});
