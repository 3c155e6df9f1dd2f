/** What changes while a collection runs: holds that come, and submissions that list the bytes again. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { changeHolds, loadHolds } from '../../server/storage/holds.ts';
import { utf8 } from '../../shared/bytes.ts';
import { tree } from '../../shared/layout.ts';
import { DAY } from '../../shared/time.ts';
import { sha256, type TestArtifact } from '../support/repository.ts';
import { House, WINDOW } from './retention-house.ts';

// Simulated time; what is real of it is the machine's affair.
t.setTimeout(280_000);

const PATH = 'acme/edu/1.0.0/edu.js';
const CONTENT = utf8('the bytes of the driver');
const PLACE = tree.target(PATH, sha256(CONTENT));

/** A house with one version that is due, and one that is listed. */
async function due(t: Test): Promise<{ house: House; old: TestArtifact; next: TestArtifact }> {
  const house = await House.build(t, WINDOW);
  const [old, next] = [await house.artifact('1.0.0', CONTENT), await house.artifact('1.1.0')];
  await house.list(old);
  await house.list(next);
  await house.wait(60 * DAY);
  return { house, old, next };
}

/** Opens it again, with something that happens when a collection comes to `point`. */
async function meanwhile(house: House, point: string, act: () => Promise<void>): Promise<void> {
  await house.repository.close();
  let isDone = false;
  await house.open(async (reached) => {
    if (reached !== point || isDone) return;
    isDone = true;
    await act();
  });
}

t.test('a hold that is added while the plan is made', async (t) => {
  const { house, old } = await due(t);
  const hold = { path: 'acme/edu/1.0.0/', reason: 'case 1', since: house.clock.now };
  await meanwhile(house, 'planned', async () => {
    await changeHolds(house.home, (holds) => [...holds, hold]);
  });
  const { collected, held, due: left } = await house.repository.worker.collect(false);
  t.same([collected.length, held.length, left.length], [0, old.entries.size, 0]);
  t.ok(existsSync(join(house.folder, PLACE)));
  t.notOk(existsSync(join(house.folder, tree.mark(PLACE) ?? '')), 'not so much as a mark');
  await changeHolds(house.home, () => []);
  t.equal((await house.collect()).length, old.entries.size);
  t.same((await house.fsck()).findings, []);
});

t.test('nobody adds a hold between the last look at them and the bytes', async (t) => {
  const { house } = await due(t);
  const hold = { path: PATH, reason: 'case 2', since: house.clock.now };
  const add = () => changeHolds(house.home, (holds) => [...holds, hold], { waitMs: 0 });
  for (const point of ['marked', 'noted', `collected ${PLACE}`]) {
    await meanwhile(house, point, async () => {
      await t.rejects(add(), { code: 'E_LOCKED' }, point);
      t.same(await loadHolds(house.home), [], 'so that nobody is told that it holds');
      throw new Error('and so on');
    });
    await t.rejects(house.collect(), /and so on/);
  }
  t.equal(await add(), 1, 'the lock went with the collection');
});

t.test('what waits for publication keeps its bytes', async (t) => {
  const { house, old, next } = await due(t);
  const id = await house.submit(next, old);
  const { collected, waiting } = await house.repository.worker.collect(false);
  t.same([collected.length, waiting.length], [0, old.entries.size]);
  t.same(await house.collect(true), [], 'and would keep them');
  await house.repository.worker.drain();
  t.equal(house.repository.intake.find(id, 'acme').state, 'published');
  t.same((await house.fsck()).findings, []);
});

for (const path of [PATH, 'acme/edu/2.0.0/edu.js'])
  t.test(`bytes that are listed as ${path} while the plan is made`, async (t) => {
    const { house, old, next } = await due(t);
    // Under another name they are not sent again either: the vendor's bytes are here.
    const again = path === PATH ? old : await house.artifact('2.0.0', CONTENT);
    let id = '';
    await meanwhile(house, 'planned', async () => {
      id = await house.submit(next, again);
    });
    const gone = await house.collect();
    t.notOk(gone.includes(PATH));
    t.ok(existsSync(join(house.folder, PLACE)));
    await house.repository.worker.drain();
    const { state, error } = house.repository.intake.find(id, 'acme');
    t.equal(state, 'published', `${error?.message}`);
    t.same((await house.fsck()).findings, []);
  });
