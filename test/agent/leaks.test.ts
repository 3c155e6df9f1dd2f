/** Reading what processes and groups use, and telling that they leak. */

import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { countDescriptors, parseCount, parseKeyed, readGroupMemory } from '../../agent/host/use.ts';
import type { RunPart } from '../../agent/running.ts';
import { decide } from '../../agent/watch/event.ts';
import { Leaks } from '../../agent/watch/leaks.ts';

/** As Linux 6.12 has it. */
const EVENTS = 'low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\noom_group_kill 1\n';

const HOSTILE = [
  '',
  '\n',
  'max\n',
  '-1\n',
  '0x10\n',
  '1 2\n',
  '1\n2\n',
  ' 1\n',
  '1e3\n',
  '1.5\n',
  '99999999999999999999\n',
  '999999999999999999999999\n',
  '9007199254740993\n',
  '1\0\n',
  'x'.repeat(60_000),
];

t.test('one number, and nothing else', async (t) => {
  t.equal(parseCount('4096\n', 'f'), 4096);
  t.equal(parseCount('0', 'f'), 0);
  for (const text of HOSTILE)
    t.throws(() => parseCount(text, 'f'), { code: 'E_SCHEMA' }, JSON.stringify(text.slice(0, 40)));
});

t.test('the number of a key', async (t) => {
  t.equal(parseKeyed(EVENTS, 'max', 'f'), 3);
  t.equal(parseKeyed(EVENTS, 'oom', 'f'), 1, 'and not that of a longer one');
  for (const text of [
    ...HOSTILE,
    ...['max \n', 'max -1\n', 'max 1 2\n', 'max  1\n', 'max 1\nmax 1\n', 'maximum 1\n', ' max 1\n'],
    ...['max 99999999999999999999\n', 'max 9007199254740993\n'],
  ])
    t.throws(() => parseKeyed(text, 'max', 'f'), { code: 'E_SCHEMA' }, JSON.stringify(text));
});

t.test('the memory of a group', async (t) => {
  const group = t.testdir({ 'memory.current': '8192\n', 'memory.events': EVENTS });
  t.strictSame(await readGroupMemory(group), { bytes: 8192, hits: 3 });
  writeFileSync(join(group, 'memory.current'), 'x'.repeat(70_000));
  await t.rejects(readGroupMemory(group), { code: 'E_TOO_LARGE' });
  rmSync(join(group, 'memory.current'));
  await t.rejects(readGroupMemory(group), { code: 'E_NOT_FOUND' });
  mkdirSync(join(group, 'memory.current'));
  await t.rejects(readGroupMemory(group), { code: 'E_IO' }, 'a folder');
});

t.test(
  'descriptors of a process',
  { skip: process.platform !== 'linux' && 'they are read from /proc' },
  async (t) => {
    const before = await countDescriptors('/proc', process.pid);
    const opened = Array.from({ length: 20 }, () => openSync('.', 'r'));
    t.equal(await countDescriptors('/proc', process.pid), before + 20, 'exactly as many more');
    for (const fd of opened) closeSync(fd);
    await t.rejects(countDescriptors('/proc', 2 ** 22 + 1), { code: 'E_NOT_FOUND' });
    const proc = t.testdir({ 7: { fd: { 0: '', 1: '', x: '', '-1': '', '': {} } }, 8: { fd: '' } });
    t.equal(await countDescriptors(proc, 7), 2, 'what is no number is none');
    await t.rejects(countDescriptors(proc, 8), { code: 'E_IO' }, 'no folder');
  },
);

const LEAK = { windowSeconds: 1, windows: 3, memoryGrowthBytes: 1000, descriptorGrowth: 5 };

/** A driver whose readings are files of our own, and a clock that is ours. */
function played(t: Test) {
  const folder = t.testdir({
    group: { 'memory.current': '0\n', 'memory.events': 'max 0\n' },
    proc: { 7: { fd: {} } },
  });
  const part: RunPart = {
    ...{ of: 'driver', pid: 7, group: join(folder, 'group'), memoryBytes: 10_000, leak: LEAK },
  };
  let now = 0;
  const leaks = new Leaks({ parts: [part], proc: join(folder, 'proc'), nowMs: () => now });
  return {
    folder,
    async look(memory: number | string, descriptors: number, hits = 0) {
      writeFileSync(join(folder, 'group/memory.current'), `${memory}\n`);
      writeFileSync(join(folder, 'group/memory.events'), `max ${hits}\n`);
      rmSync(join(folder, 'proc/7/fd'), { recursive: true });
      mkdirSync(join(folder, 'proc/7/fd'));
      for (let i = 0; i < descriptors; i++) writeFileSync(join(folder, 'proc/7/fd', `${i}`), '');
      const looked = await leaks.look();
      now += 1000;
      return looked;
    },
    leaks,
  };
}

t.test('a driver that leaks memory, then one that leaks descriptors', async (t) => {
  for (const [what, grows] of [
    ['bytes of memory of the driver grew from 100 to 1300 through 3 windows of 1 s', [400, 0]],
    ['descriptors of the driver grew from 9 to 15 through 3 windows of 1 s', [0, 2]],
  ] as const) {
    const { look } = played(t);
    const events = [];
    for (let i = 0; i < 6; i++) {
      const after = Math.max(0, i - 1);
      events.push(...(await look(100 + after * grows[0], 9 + after * grows[1])).events);
    }
    t.strictSame(events, [{ kind: 'leak', what }]);
    t.equal(decide({ kind: 'leak', what }), 'quarantine');
  }
});

t.test('one that is steady, and one near its limit', async (t) => {
  const { look } = played(t);
  for (let i = 0; i < 20; i++)
    t.strictSame((await look(100 + (i % 3) * 400, 9 + (i % 2))).events, [], `${i}`);
  const near = [];
  for (let i = 0; i < 5; i++) near.push(...(await look(9000, 240)).events);
  t.match(near, [
    { kind: 'near-limit', what: /^bytes of memory of the driver were 9000 of at most 10000/ },
    { kind: 'near-limit', what: /^descriptors of the driver were 240 of at most 256/ },
  ]);
});

t.test('a group that meets its limit again and again is told of now and then', async (t) => {
  const { look } = played(t);
  const told: number[] = [];
  for (let hits = 0; hits <= 40; hits++)
    if ((await look(100, 9, hits)).events.length > 0) told.push(hits);
  t.strictSame(told, [1, 2, 4, 8, 16, 32]);
});

t.test('what cannot be read is told, and what is gone is not', async (t) => {
  const { look, folder, leaks } = played(t);
  const { events, unread } = await look('nonsense', 9);
  t.strictSame(events, []);
  t.match(unread, [/^bytes of memory of the driver: .*memory\.current/]);
  rmSync(join(folder, 'group'), { recursive: true });
  rmSync(join(folder, 'proc'), { recursive: true });
  t.strictSame(await leaks.look(), { events: [], unread: [] });
});

t.test(
  'this very process is looked at',
  { skip: process.platform !== 'linux' && 'it is read from /proc' },
  async (t) => {
    let now = 0;
    const leaks = new Leaks({ parts: [], proc: '/proc', nowMs: () => now });
    const opened: number[] = [];
    const events = [];
    for (let i = 0; i < 13; i++) {
      const looked = await leaks.look();
      t.strictSame(looked.unread, []);
      events.push(...looked.events);
      for (let n = 0; n < 10; n++) opened.push(openSync('.', 'r'));
      now += 60_000;
    }
    for (const fd of opened) closeSync(fd);
    const own = events.filter(({ what }) => what.startsWith('descriptors'));
    t.match(own, [{ kind: 'own-leak', what: /^descriptors of the process that holds it grew/ }]);
    t.equal(decide({ kind: 'own-leak', what: '' }), 'observe');
  },
);
