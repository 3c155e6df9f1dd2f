/** What is around a driver that runs: what it is handed, its users, its interrupts, its broker. */

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate, setTimeout } from 'node:timers/promises';
import t from 'tap';
import { Listening } from '../../agent/direct-listening.ts';
import { handedTo } from '../../agent/handed.ts';
import { startBroker } from '../../agent/host/broker.ts';
import { type DriverEnd, launch } from '../../agent/host/launch.ts';
import { libc } from '../../agent/host/libc.ts';
import { freeUsers } from '../../agent/host/users.ts';
import { program } from '../../agent/main.ts';
import { type Relay, relayInterrupts } from '../../agent/relay.ts';
import { brokerEnd, driverEnd } from '../../agent/running.ts';
import { RUNTIME_PROFILE } from '../../agent/sandbox/profiles.ts';
// @ts-expect-error: the driver is one plain file, without types
import { parseHanded } from '../../examples/edu/edu-driver.mjs';
import { interruptJson } from '../../shared/manifest/interrupt-budget.ts';
import { windowAt } from '../../shared/manifest/windows.ts';
import { run } from '../cli/support.ts';
import { node, sealed, USER, WITH, whyNot } from './launch-support.ts';
import { EDU } from './support.ts';

const WINDOWS = [
  { region: 0, start: '0x0', end: '0x1000', access: 'read-write' },
  { region: 0, start: '0x40000', end: '0x41000', access: 'read' },
] as const;
const DMA = [{ window: windowAt(0x100000n, 0x10000n), access: 'read-write' }] as const;

t.test('what a driver is handed', async (t) => {
  const { descriptors, document } = handedTo({ windows: WINDOWS }, DMA, 2);
  t.strictSame(
    descriptors.map(({ fd }) => fd),
    [3, 4, 5, 6, 7],
    'in their order, none left out',
  );
  t.strictSame(document, {
    schema: 'ironport.driver/v2',
    requests: 3,
    replies: 4,
    registers: [
      { bar: 0, offset: '0x0', length: '0x1000', access: 'read-write' },
      { bar: 0, offset: '0x40000', length: '0x1000', access: 'read' },
    ],
    dma: [{ iova: '0x100000', length: '0x10000', fd: 5, access: 'read-write' }],
    interrupts: [
      { vector: 0, fd: 6 },
      { vector: 1, fd: 7 },
    ],
  });
  t.strictSame(parseHanded(JSON.stringify(document)), {
    registers: { requests: 3, replies: 4 },
    memory: { fd: 5, at: 0, iova: 0x100000, length: 0x10000 },
    event: 6,
  });
  for (const bad of [
    { requests: 2 },
    { replies: undefined },
    { interrupts: [{ fd: 1 }] },
    { interrupts: 1 },
  ])
    t.throws(
      () => parseHanded(JSON.stringify({ ...document, ...bad })),
      /not handed what is needed/,
    );
  const bare = handedTo({ windows: [] }, [], 0);
  t.strictSame([bare.descriptors.length, bare.document.dma], [2, []]);
});

t.test('users as whom nothing runs', async (t) => {
  const proc = mkdtempSync(join(tmpdir(), 'ironport-proc-'));
  t.teardown(() => rmSync(proc, { recursive: true }));
  const process = (pid: number, uids: string): void => {
    mkdirSync(join(proc, `${pid}`));
    writeFileSync(join(proc, `${pid}`, 'status'), `Name:\tx\nUid:\t${uids}\nGid:\t0\t0\t0\t0\n`);
  };
  process(1, '0\t0\t0\t0');
  process(7, '64000\t64000\t64000\t64000');
  process(8, '0\t0\t64002\t0');
  mkdirSync(join(proc, '9'));
  mkdirSync(join(proc, 'sys'));
  t.strictSame(
    freeUsers({ first: 64_000, count: 5 }, 2, proc),
    [64_001, 64_003],
    'a saved user too',
  );
  t.throws(() => freeUsers({ first: 64_000, count: 3 }, 2, proc), {
    code: 'E_AGENT_REFUSED',
    context: { reason: 'driver-users' },
  });
});

t.test('a broker ends with its driver, unless it had no memory', async (t) => {
  const killed = { status: null, signal: 'SIGKILL' };
  const first = (end: DriverEnd) =>
    Promise.race([brokerEnd({ ended: Promise.resolve(end) }), setImmediate('nothing yet')]);
  const starved = { ...killed, outOfMemory: 'limit' } as const;
  t.strictSame(await first(starved), { why: 'broker-ended', end: starved });
  t.equal(await first(killed), 'nothing yet', 'its driver may be what ended');
});

t.test(
  'a driver that ended has its broker say what it counted, for as long as that may take',
  async (t) => {
    const end = { status: 0, signal: null };
    const { promise, resolve } = Promise.withResolvers<DriverEnd>();
    const over = driverEnd({ ended: Promise.resolve(end) }, { ended: promise });
    t.equal(await Promise.race([over, setImmediate('nothing yet')]), 'nothing yet');
    resolve(end);
    t.strictSame(await over, { why: 'driver-ended', end });
    t.strictSame(await driverEnd({ ended: Promise.resolve(end) }, undefined), {
      ...{ why: 'driver-ended', end },
    });
    // What is waited for there keeps no process alive.
    const alive = setInterval(() => {}, 1000);
    t.teardown(() => clearInterval(alive));
    t.strictSame(
      await driverEnd({ ended: Promise.resolve(end) }, { ended: new Promise(() => {}) }),
      { why: 'driver-ended', end },
      'one that is kept going is not waited for',
    );
  },
);

/** What is waiting in an event descriptor. */
function waiting(fd: number): number {
  const bytes = Buffer.alloc(8);
  try {
    readSync(fd, bytes, 0, 8, null);
  } catch {
    return 0;
  }
  return Number(bytes.readBigUInt64LE());
}

/** Signals `fd` so often, and comes back when the relay took note of it. */
async function signalled(relay: Relay, fd: number, times: number): Promise<void> {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(times));
  const sum = () => relay.metrics().reduce((all, one) => all + one.irqCalls + one.missed, 0);
  const before = sum();
  writeSync(fd, bytes);
  while (sum() === before) await setTimeout(1);
}

t.test('interrupts are passed on within their budget', async (t) => {
  const [from, to] = [libc().eventfd(), libc().eventfd()];
  const other = [libc().eventfd(), libc().eventfd()] as const;
  const breaches: number[] = [];
  const relay = relayInterrupts({
    ...{ from: [from, other[0]], to: [to, other[1]] },
    budget: { perSecondBudget: 20, burst: null, lifetimeMax: null },
    onBreach: (vector) => breaches.push(vector),
    nowMs: () => 0,
  });
  await signalled(relay, from, 4);
  t.equal(waiting(to), 4);
  t.equal(waiting(other[1]), 0, 'each vector its own');
  await signalled(relay, from, 6);
  t.equal(waiting(to), 6, 'its share: half of twenty');
  t.strictSame(breaches, []);
  await signalled(relay, from, 1);
  t.strictSame([waiting(to), breaches], [0, [0]], 'over it, nothing, and word of it');
  await signalled(relay, from, 5);
  t.strictSame(breaches, [0], 'once');
  await signalled(relay, other[0], 1);
  t.equal(waiting(other[1]), 1, 'the other vector goes on');
  t.match(relay.metrics(), [
    { irqCalls: 10, missed: 6, quarantineReason: 'BudgetExceeded' },
    { irqCalls: 1, missed: 0, quarantineReason: null },
  ]);
  t.strictSame(relay.metrics().map(interruptJson)[0], {
    ...{ irq_calls: 10, missed: 6, budget_violations: 1, quarantine_reason: 'BudgetExceeded' },
  });
  relay.stop();
  relay.stop();
  for (const fd of [from, to, ...other]) closeSync(fd);
});

t.test('and within what may come at once, and what there may be in all', async (t) => {
  for (const [what, budget, most] of [
    ['burst', { burst: 3, lifetimeMax: null }, 3],
    ['lifetime', { burst: 50, lifetimeMax: 12 }, 12],
  ] as const) {
    const from = libc().eventfd();
    const to = libc().eventfd();
    let [now, breaches] = [0, 0];
    const relay = relayInterrupts({
      ...{ from: [from], to: [to], budget: { perSecondBudget: 1000, ...budget } },
      onBreach: () => breaches++,
      nowMs: () => now,
    });
    await signalled(relay, from, most);
    t.strictSame([waiting(to), breaches], [most, 0], `${what}: as many as there may be`);
    // However long nothing came: what may come at once is no more then, and a lifetime stays over.
    now += 3_600_000;
    await signalled(relay, from, what === 'burst' ? most + 1 : 1);
    t.strictSame([waiting(to), breaches], [what === 'burst' ? most : 0, 1], `${what}: and no more`);
    relay.stop();
    for (const fd of [from, to]) closeSync(fd);
  }
});

t.test('the example driver through a real broker', { skip: whyNot() }, async (t) => {
  const device = libc().memory('ironport-test-device');
  ftruncateSync(device, 9 * 2 ** 40);
  // The mark of the device, and nothing that answers: a driver that gets this far is alive.
  writeSync(device, Uint8Array.of(0xed, 0, 0, 1), 0, 4, 0);
  const task = {
    ...{ windows: WINDOWS, bases: [[0, '0x0']] as const },
    ...{ perSecond: 100_000, burst: 100 },
  };
  const broker = await startBroker({ device, task, user: USER + 1 });
  const told: string[] = [];
  const listening = new Listening(({ what }) => told.push(what), undefined);
  const driver = await launch({
    ...WITH,
    // As it is run: whatever its runtime asks and is refused is answered by us.
    profile: { ...RUNTIME_PROFILE, tells: true },
    onListener: (listener) => listening.begin(listener),
    program: sealed(readFileSync(join(EDU, 'edu-driver.mjs'))),
    runtime: node(),
    descriptors: Object.values(broker.ends),
    environment: { IRONPORT_DRIVER: JSON.stringify(handedTo(task, [], 0).document) },
  });
  for (const fd of Object.values(broker.ends)) closeSync(fd);
  broker.serve();
  t.strictSame(await driver.ended, { status: 4, signal: null });
  t.match(driver.output(), 'edu device, version 1.0\n');
  t.match(driver.output(), 'edu-driver: wrote 0x0 and read 0x0');
  t.match(await broker.ended, { status: 0 }, 'the broker ends with it');
  t.equal(broker.totals.get('good'), 3);
  t.ok(told.includes('prlimit64'), 'and it asks some at its start');
  t.equal(listening.total, 0, 'of a device’s descriptor, which it has not, nothing');
  await broker.end();
  await driver.end();
  listening.stop();
});

t.test(
  'a driver that uses up what is told leaves a line that says so',
  { skip: whyNot() },
  async (t) => {
    const told: string[] = [];
    const listening = new Listening(({ what, count }) => told.push(`${what}: ${count}`), undefined);
    const driver = await launch({
      ...WITH,
      profile: { ...RUNTIME_PROFILE, tells: true },
      // Fewer than a runtime is refused at its start.
      onListener: (listener) => listening.begin(listener, 3),
      program: sealed(Buffer.from('console.log("alive");\n')),
      runtime: node(),
      descriptors: [],
    });
    t.match(await driver.ended, { status: 0 }, 'refused by the kernel alone, it runs on');
    t.equal(told.at(-1), 'what is refused from here on is not told: 3');
    t.equal(told.filter((line) => line.includes('not told')).length, 1);
    await driver.end();
    listening.stop();
  },
);

t.test('--run by itself', async (t) => {
  const common = ['apply', 'acme/edu/1.0.0/edu.js', '--device', '0000:00:05.0', '--run'];
  for (const [more, what] of [
    [[], 'needs --hold'],
    [['--hold'], 'needs --cgroup'],
  ] as const) {
    const { exit, stderr } = await run(program, [...common, ...more]);
    t.equal(exit, 2);
    t.match(stderr, what);
  }
});
