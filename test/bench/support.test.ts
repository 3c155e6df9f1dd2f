// What a bench says must be what happened: medians, ratios, bars, and what a process used.

import t from 'tap';
import { barTable, holds, ratio, table } from '../../bench/support/bar.ts';
import { inTurn, median } from '../../bench/support/in-turn.ts';
import { runToEnd, start } from '../../bench/support/measured.ts';

t.test('median', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 3, 2]), 2.5);
  t.equal(median([undefined, 7, undefined]), 7, 'what was not measured does not count');
  t.equal(median([]), undefined);
});

t.test('bars', async (t) => {
  const bar = { what: 'x', atMost: 2, unit: '×' } as const;
  t.equal(holds({ ...bar, measured: 2 }), true);
  t.equal(holds({ ...bar, measured: 2.01 }), false);
  t.equal(holds({ ...bar, measured: undefined }), undefined, 'not measured is not held');
  t.match(barTable([{ ...bar, measured: 3 }]), /3\.00 × +≤ 2\.00 × +MISSED$/);
  const rate = { what: 'y', atLeast: 2, unit: '/s' } as const;
  t.equal(holds({ ...rate, measured: 1.9 }), false);
  t.match(barTable([{ ...rate, measured: 2 }]), /2 \/s +≥ 2 \/s +holds$/);
  t.match(barTable([{ ...bar, measured: undefined }]), /not measured$/);
  t.equal(ratio(1, 0), undefined);
  t.equal(ratio(undefined, 1), undefined);
  t.equal(ratio(3, 2), 1.5);
});

t.test('columns stand one under the other', async (t) => {
  t.equal(table(['a', 'bb'], [['long', '1']]), 'a     bb\n----  --\nlong   1');
});

t.test('in turn, and a contender that fails is left out and named', async (t) => {
  const order: string[] = [];
  const said: string[] = [];
  const contender = (name: string, failsAt = Number.POSITIVE_INFINITY) => {
    let runs = 0;
    return {
      name,
      run: async () => {
        order.push(name);
        if (++runs >= failsAt) throw new Error('no longer');
        return { wallSeconds: runs, cpuSeconds: undefined, peakMiB: 1 };
      },
    };
  };
  const results = await inTurn([contender('a'), contender('b', 2)], 3, (text) => said.push(text));
  t.same(order, ['a', 'b', 'a', 'b', 'a']);
  t.same(results, [{ name: 'a', rounds: 3, wallSeconds: 2, cpuSeconds: undefined, peakMiB: 1 }]);
  t.same(said, ['b is left out: no longer']);
});

t.test('a process says itself what it used', async (t) => {
  const idle = await runToEnd({ args: ['-e', '0'] });
  const busy = await runToEnd({
    args: [
      '-e',
      'const held = Buffer.alloc(200 * 1024 * 1024, 1); const end = process.cpuUsage().user + 300_000; while (process.cpuUsage().user < end); console.log(held.length)',
    ],
  });
  t.equal(busy.stdout, '209715200\n');
  const [cpu, more] = [idle.cpuSeconds as number, busy.cpuSeconds as number];
  t.ok(more - cpu > 0.25, `${more} s after ${cpu} s`);
  const [memory, larger] = [idle.peakMiB as number, busy.peakMiB as number];
  t.ok(larger - memory > 180, `${larger} MiB after ${memory} MiB`);
  t.ok(memory < 120, 'and not what the parent had resident');
  t.ok(busy.wallSeconds >= 0.3);
});

t.test('a process that fails, and one whose time is up', async (t) => {
  await t.rejects(runToEnd({ args: ['-e', 'console.error("oh"); process.exit(3)'] }), {
    message: /ended with 3:\noh/,
  });
  const stuck = await start({ args: ['-e', 'setInterval(() => {}, 1e6)'], timeoutSeconds: 0.5 })
    .ended;
  t.equal(stuck.exit, undefined);
});
