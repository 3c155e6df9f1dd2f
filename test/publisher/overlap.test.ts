/** What is done beside what, and what a failure leaves undone. */

import t from 'tap';
import { overlap, type Turn } from '../../publisher/overlap.ts';

/** A promise that somebody else settles. */
function gate(): { readonly promise: Promise<void>; open(): void; fail(error: Error): void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { promise, open: resolve, fail: reject };
}

/** Lets everything happen that waits for nothing. */
const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

t.test('an item is prepared beside the rest of the one before, and waits for it', async (t) => {
  const said: string[] = [];
  const rests = [gate(), gate(), gate()];
  const done = overlap(
    [0, 1, 2],
    async (item) => {
      said.push(`prepare ${item}`);
      return item;
    },
    async (item) => {
      said.push(`turn ${item}`);
      return { rest: (rests[item] as ReturnType<typeof gate>).promise };
    },
  );
  await rest();
  t.same(said, ['prepare 0', 'turn 0', 'prepare 1'], 'one ahead and no further');
  rests[0]?.open();
  await rest();
  t.same(said.slice(3), ['turn 1', 'prepare 2']);
  rests[1]?.open();
  rests[2]?.open();
  await done;
  t.same(said.slice(5), ['turn 2']);
});

t.test('it returns when the last rest is over', async (t) => {
  const last = gate();
  let isOver = false;
  const done = overlap(
    [0],
    async (item) => item,
    async () => ({ rest: last.promise }),
  ).then(() => {
    isOver = true;
  });
  await rest();
  t.notOk(isOver);
  last.open();
  await done;
});

t.test('a failure waits for what was begun, and begins nothing more', async (t) => {
  const turns: number[] = [];
  const first = gate();
  const run = (prepare: (item: number) => Promise<number>): Promise<void> =>
    overlap([0, 1, 2], prepare, async (item): Promise<Turn> => {
      turns.push(item);
      return item === 0 ? { rest: first.promise } : {};
    });
  let failure: unknown;
  const ended = run(async (item) => {
    if (item === 1) throw new Error('preparing 1');
    return item;
  }).catch((error) => {
    failure = error;
  });
  await rest();
  t.equal(failure, undefined, 'the first comes to its end');
  first.open();
  await ended;
  t.match(failure, { message: 'preparing 1' });
  t.same(turns, [0]);
});

t.test('of two failures that of the earlier item is told', async (t) => {
  const first = gate();
  const ended = overlap(
    [0, 1],
    async (item) => {
      if (item === 1) throw new Error('preparing 1');
      return item;
    },
    async () => ({ rest: first.promise }),
  );
  const told = t.rejects(ended, { message: 'the rest of 0' });
  await rest();
  first.fail(new Error('the rest of 0'));
  await told;
});

t.test('the last one ends it', async (t) => {
  const prepared: number[] = [];
  await overlap(
    [0, 1, 2],
    async (item) => {
      prepared.push(item);
      return item;
    },
    async (item) => ({ isLast: item === 1 }),
  );
  t.same(prepared, [0, 1]);
});
