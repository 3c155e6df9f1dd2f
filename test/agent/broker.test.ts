/** What a broker serves and what not: every edge, hostile frames, and what it says about them. */

import fc from 'fast-check';
import t from 'tap';
import { msixRegisters } from '../../agent/broker/msix.ts';
import { policyOf, type ServedWindow } from '../../agent/broker/policy.ts';
import { bucketOf, tallyOf } from '../../agent/broker/rate.ts';
import { parseReport, REPORT_LINE, Refusals } from '../../agent/broker/report.ts';
import { BROKER_FD } from '../../agent/broker/serve.ts';
import { brokerTask } from '../../agent/broker/task.ts';
import { codecOf, type Request, STATUS, WIRE } from '../../agent/broker/wire.ts';
import { brokerProfile } from '../../agent/sandbox/broker-profile.ts';
import { ACTION, compileFilter, encodeFilter } from '../../agent/sandbox/filter.ts';
import { SYSCALL } from '../../agent/sandbox/syscalls.ts';
import { utf8 } from '../../shared/bytes.ts';
import { windowAt } from '../../shared/manifest/windows.ts';
import { judge } from './bpf.ts';

const LAST = (1n << 64n) - 1n;

const WINDOWS: readonly ServedWindow[] = [
  { region: 0, start: 0x1000n, end: 0x2000n, access: 'read-write' },
  { region: 0, start: 0x2000n, end: 0x3000n, access: 'read' },
  { region: 2, start: 0n, end: 6n, access: 'read-write' },
  // The last bytes of all that 64 bits can name.
  { region: 4, start: LAST - 3n, end: LAST + 1n, access: 'read-write' },
];
const policy = policyOf(WINDOWS, WIRE, STATUS);

const request = (change: Partial<Request> = {}): Request => ({
  ...{ version: 1, op: 1, width: 4, region: 0, sequence: 7, offset: 0x1000n, value: 0n },
  ...change,
});

/** The same question asked byte by byte, and one after the other: what the policy must agree with. */
function isServed({ version, op, width, region, offset, value }: Request): boolean {
  if (version !== 1 || (op !== 1 && op !== 2) || ![1, 2, 4].includes(width)) return false;
  if (offset % BigInt(width) !== 0n) return false;
  if (op === 1 ? value !== 0n : value > (1n << BigInt(8 * width)) - 1n) return false;
  const bytes = Array.from({ length: width }, (_, i) => offset + BigInt(i));
  return WINDOWS.some(
    (window) =>
      window.region === region &&
      (op === 1 || window.access === 'read-write') &&
      bytes.every((byte) => byte >= window.start && byte < window.end),
  );
}

const edge = fc.constantFrom(...WINDOWS.flatMap(({ start, end }) => [start, end]));
const offset = fc.oneof(
  fc.bigInt({ min: 0n, max: LAST }),
  fc
    .tuple(edge, fc.bigInt({ min: -9n, max: 9n }))
    .map(([place, by]) => BigInt.asUintN(64, place + by)),
);
const anyRequest = fc.record<Request>({
  version: fc.oneof({ weight: 8, arbitrary: fc.constant(1) }, fc.nat(255)),
  op: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(1, 2) }, fc.nat(255)),
  width: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(1, 2, 4, 8) }, fc.nat(255)),
  region: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 2, 4) }, fc.nat(255)),
  sequence: fc.nat(0xffffffff),
  offset,
  value: fc.oneof(
    { weight: 3, arbitrary: fc.constant(0n) },
    fc.constantFrom(1n, 0xffn, 0x100n, 0xffffn, 0x10000n, 0xffffffffn, 0x100000000n, LAST),
  ),
});

t.test('an access is served when each of its bytes was granted, and not otherwise', async (t) => {
  let served = 0;
  fc.assert(
    fc.property(anyRequest, (one) => {
      const isGood = policy(one) === STATUS.good;
      if (isGood) served++;
      return isGood === isServed(one);
    }),
    { numRuns: 20_000 },
  );
  t.ok(served > 100, 'and some are');
});

t.test('every edge, every width', async (t) => {
  for (const window of WINDOWS) {
    for (const width of [1, 2, 4]) {
      for (const place of [window.start, window.end]) {
        for (let by = -8n; by <= 8n; by++) {
          const one = request({
            region: window.region,
            width,
            offset: BigInt.asUintN(64, place + by),
          });
          for (const op of [1, 2])
            t.equal(policy({ ...one, op }) === STATUS.good, isServed({ ...one, op }));
        }
      }
    }
  }
});

t.test('why not, by name', async (t) => {
  const cases: [Partial<Request>, keyof typeof STATUS][] = [
    [{}, 'good'],
    [{ op: 2, value: 0xffffffffn }, 'good'],
    [{ op: 2, width: 1, value: 0xffn, offset: 0x1fffn }, 'good'],
    [{ version: 0 }, 'malformed'],
    [{ version: 2 }, 'malformed'],
    [{ op: 0 }, 'malformed'],
    [{ op: 3 }, 'malformed'],
    [{ value: 1n }, 'malformed'],
    [{ op: 2, width: 1, value: 0x100n }, 'malformed'],
    [{ width: 0 }, 'width'],
    [{ width: 3 }, 'width'],
    [{ width: 8 }, 'width'],
    [{ width: 255 }, 'width'],
    [{ offset: 0x1002n }, 'unaligned'],
    [{ offset: 0x1001n, width: 2 }, 'unaligned'],
    // The other BARs, the ROM, configuration space, VGA, and what is no region at all.
    ...[1, 3, 5, 6, 7, 8, 255].map((region): [Partial<Request>, 'region'] => [
      { region },
      'region',
    ]),
    [{ offset: 0xffcn }, 'outside'],
    [{ offset: 0x3000n }, 'outside'],
    [{ offset: LAST - 3n }, 'outside'],
    [{ region: 2, offset: 4n }, 'outside'],
    [{ offset: 0x2000n, op: 2 }, 'readOnly'],
    [{ offset: 0x2000n }, 'good'],
    [{ region: 4, offset: LAST - 3n }, 'good'],
    [{ region: 4, offset: 0n }, 'outside'],
  ];
  for (const [change, status] of cases)
    t.equal(
      policy(request(change)),
      STATUS[status],
      JSON.stringify(change, (_, v) => `${v}`),
    );
  t.equal(policyOf([], WIRE, STATUS)(request()), STATUS.region, 'without a window, nothing');
});

t.test('frames', async (t) => {
  const codec = codecOf(WIRE);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 24, maxLength: 24 }), fc.nat(24), (bytes, at) => {
      const held = Buffer.alloc(64);
      held.set(bytes, at);
      const { version, op, width, region, sequence, offset, value } = codec.request(held, at);
      const again = Buffer.alloc(24);
      again.set([version, op, width, region]);
      again.writeUInt32LE(sequence, 4);
      again.writeBigUInt64LE(offset, 8);
      again.writeBigUInt64LE(value, 16);
      return again.equals(bytes);
    }),
  );
  t.throws(() => codec.request(new Uint8Array(23), 0), 'never less than a whole one');
  t.equal(
    Buffer.from(codec.reply(STATUS.outside, 0x01020304, LAST)).toString('hex'),
    '01050000' + '04030201' + 'ffffffffffffffff',
  );
});

t.test('the rate', async (t) => {
  const take = bucketOf(1000, 3);
  t.strictSame([take(0), take(0), take(0)], [0, 0, 0], 'the burst');
  t.equal(take(0), 1, 'then one millisecond for each');
  t.equal(take(0), 2);
  t.equal(take(1000), 0, 'and again');
  t.strictSame([take(1000), take(1000), take(1000)], [0, 0, 1], 'no more than the burst is kept');
  t.equal(take(0), 2, 'a clock that goes back fills nothing');
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 50 }),
      (pauses, burst) => {
        const bucket = bucketOf(100, burst);
        let now = 0;
        let served = 0;
        for (const pause of pauses) {
          now += pause;
          // A broker waits before it serves.
          now += bucket(now);
          served++;
          if (served > burst + (now * 100) / 1000 + 1e-6) return false;
        }
        return true;
      },
    ),
  );
});

t.test('what it tells of', async (t) => {
  const tally = tallyOf(STATUS);
  const told: number[] = [];
  for (let i = 1; i <= 1000; i++) {
    t.equal(tally.note(STATUS.good, request()), undefined);
    const report = tally.note(STATUS.region, request({ region: 7, offset: LAST }));
    if (report === undefined) continue;
    told.push(report.count);
    t.strictSame(report.example, { op: 1, width: 4, region: 7, offset: '0xffffffffffffffff' });
    t.strictSame(parseReport(utf8(JSON.stringify(report))), report, 'as the agent reads it');
  }
  t.strictSame(told, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512], 'a flood is a few lines');
  t.match(tally.totals(), [
    { status: 'good', count: 1000 },
    ...['malformed', 'width', 'unaligned'].map((status) => ({ status, count: 0 })),
    { status: 'region', count: 1000 },
  ]);
});

t.test('a broker is believed no more than its driver', async (t) => {
  for (const line of [
    '',
    '[]',
    '{"status":"good"}',
    '{"status":"toString","count":1}',
    '{"status":"region","count":-1}',
    '{"status":"region","count":1e99}',
    '{"status":"region","count":1,"more":1}',
    '{"status":"region","count":1,"example":{"op":1,"width":4,"region":7,"offset":"\\n"}}',
    '{"status":"region","count":1,"example":{"op":1,"width":4,"region":256,"offset":"0x0"}}',
    `{"status":"region","count":1${' '.repeat(REPORT_LINE)}}`,
  ])
    t.throws(() => parseReport(utf8(line)), { name: 'IronError' }, line);
  const refusals = new Refusals();
  const example = { op: 1, width: 4, region: 7, offset: '0x0' };
  let taken = 0;
  for (let count = 1; count <= 100_000; count++)
    if (refusals.take({ status: 'region', count, example })) taken++;
  t.equal(taken, 17, 'and cannot fill a log');
  t.equal(refusals.take({ status: 'region', count: 5, example }), false, 'nothing counts back');
  t.equal(refusals.totals.get('region'), 100_000);
});

t.test('the MSI-X table is never served', async (t) => {
  const config = Buffer.alloc(256);
  config[0x06] = 0x10;
  config[0x34] = 0x40;
  config.set([0x05, 0x50], 0x40);
  config.set([0x11, 0x00, 64, 0x80], 0x50); // 65 vectors, enabled
  config.writeUInt32LE(0x2000 | 0, 0x54);
  config.writeUInt32LE(0x3800 | 2, 0x58);
  const reserved = msixRegisters(config);
  t.strictSame(reserved, [
    { region: 0, window: { start: 0x2000n, end: 0x2410n } },
    { region: 2, window: { start: 0x3800n, end: 0x3810n } },
  ]);
  const regions = [0, 2].map((index) => ({
    ...{ index, size: 0x4000n },
    offset: BigInt(index) << 40n,
  }));
  const granted = (bar: number) => ({
    ...{ bar, offset: 0n, window: windowAt(0xf000_0000n, 0x4000n) },
    access: 'read-write' as const,
  });
  const rate = { perSecond: 1000, burst: 10 };
  const task = brokerTask({ mmio: [granted(0)], ports: [granted(2)] }, regions, reserved, rate);
  t.strictSame(task, {
    windows: [
      { region: 0, start: '0x0', end: '0x2000', access: 'read-write' },
      { region: 0, start: '0x2410', end: '0x4000', access: 'read-write' },
      { region: 2, start: '0x0', end: '0x3800', access: 'read-write' },
      { region: 2, start: '0x3810', end: '0x4000', access: 'read-write' },
    ],
    bases: [
      [0, '0x0'],
      [2, '0x20000000000'],
    ],
    ...rate,
  });
  const refused = { code: 'E_AGENT_REFUSED', context: { reason: 'broker-regions' } };
  for (const wrong of [
    [],
    [{ index: 0, offset: 0n, size: 0n }],
    [{ index: 0, offset: 0n, size: 0x3fffn }],
    [{ index: 0, offset: 1n << 40n, size: 0x4000n }],
  ])
    t.throws(() => brokerTask({ mmio: [granted(0)], ports: [] }, wrong, [], rate), refused);
  t.throws(
    () => brokerTask({ mmio: [{ ...granted(0), bar: 7 }], ports: [] }, regions, [], rate),
    refused,
    'configuration space, whoever granted it',
  );
});

t.test('configuration space as a device may have it', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 256 }), (config) => {
      if (config.length > 0x34) {
        config[0x06] = 0x10;
        config[0x34] = 0x40;
      }
      return msixRegisters(config).every(
        ({ region, window }) => region <= 7 && window.start < window.end,
      );
    }),
  );
  const loop = Buffer.alloc(256);
  loop[0x06] = 0x10;
  loop[0x34] = 0x40;
  loop.set([0x11, 0x40], 0x40);
  t.ok(msixRegisters(loop).length <= 2 * 48, 'a list that bites its tail ends');
});

t.test('its filter lets nothing through to the device but its BARs', async (t) => {
  const { device } = BROKER_FD;
  const filter = encodeFilter(compileFilter(brokerProfile(device, [0, 2])));
  const allows = (nr: number, ...args: (number | bigint)[]): boolean =>
    judge(filter, nr, args) === ACTION.allow;
  for (const nr of [SYSCALL.pread64, SYSCALL.pwrite64]) {
    for (let region = 0n; region <= 256n; region++) {
      const isGranted = region === 0n || region === 2n;
      for (const at of [0n, 4n, (1n << 40n) - 4n])
        t.equal(allows(nr, device, 7, 4, (region << 40n) + at), isGranted);
      t.equal(allows(nr, 4, 7, 4, region << 40n), true, 'another descriptor');
    }
    t.equal(allows(nr, device, 7, 4, LAST), false);
    t.equal(allows(nr, device, 7, 4, 1n << 63n), false);
  }
  for (const nr of [SYSCALL.read, SYSCALL.write, SYSCALL.readv, SYSCALL.writev]) {
    t.equal(allows(nr, device, 7, 4), false);
    t.equal(
      allows(nr, (1n << 32n) + BigInt(device), 7, 4),
      false,
      'the kernel drops the upper half',
    );
    t.equal(allows(nr, 4, 7, 4), true);
  }
  t.equal(allows(SYSCALL.mmap, 0, 4096, 3, 1, device, 0), false, 'it is not mapped');
  t.equal(allows(SYSCALL.mmap, 0, 4096, 3, 2, device, 0), false);
  t.equal(allows(SYSCALL.mmap, 0, 4096, 3, 0x22, -1, 0), true);
  // VFIO's own, on the device: only whether it blocks could be asked, of a descriptor that does not care.
  for (const command of [0x3b6b, 0x3b6e, 0x3b6f, 0x3b75, 0x3b76, 0x3b77, 0x3b78])
    t.equal(allows(16, device, command, 0), false);
  t.ok(
    [32, 33, 72, 292].every((nr) => !allows(nr, device, 0)),
    'nor copied under another number',
  );
});
