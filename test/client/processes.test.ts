// Several clients of one user at once, and clients that are killed: with real processes.

import t from 'tap';
import { Fleet, killAtRandom } from './processes.ts';

for (const count of [2, 8]) {
  t.test(`${count} processes at once share one store and one place`, async (t) => {
    const fleet = await Fleet.make(t);
    for (let round = 0; round < 2; round++) {
      await fleet.release(round + 2);
      const ended = await Promise.all(Array.from({ length: count }, () => fleet.get()));
      t.strictSame(
        ended.map(({ code, stderr }) => (code === 0 ? 0 : stderr)),
        Array(count).fill(0),
      );
      t.equal(await fleet.fault(), undefined);
    }
    const store = await fleet.store();
    t.equal((await store?.floors())?.timestamp, fleet.sim.timestamp.version);
  });
}

t.test('clients that are killed at random points leave nothing broken', async (t) => {
  const finished = await killAtRandom(t, 15, 700);
  t.comment(`${finished} of 15 were done before they were killed`);
});
