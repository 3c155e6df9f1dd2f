/** A real broker, confined, over a file in memory in the place of a device. */

import { closeSync, ftruncateSync, readFileSync, readlinkSync, readSync, writeSync } from 'node:fs';
import t from 'tap';
import type { BrokerTask } from '../../agent/broker/program.ts';
import type { Report } from '../../agent/broker/report.ts';
import { STATUS } from '../../agent/broker/wire.ts';
import { type Broker, startBroker } from '../../agent/host/broker.ts';
import { libc } from '../../agent/host/libc.ts';
import { USER, whyNot } from './launch-support.ts';

const CONFIG = 7 * 2 ** 40;
const BAR2 = 2 * 2 ** 40;

const TASK: BrokerTask = {
  windows: [
    { region: 0, start: '0x1000', end: '0x2000', access: 'read-write' },
    { region: 2, start: '0x0', end: '0x1000', access: 'read' },
  ],
  bases: [
    [0, '0x0'],
    [2, '0x20000000000'],
  ],
  perSecond: 1_000_000,
  burst: 1000,
};

/** Every region as VFIO lays them out, each beginning with its own number. */
function device(): number {
  const fd = libc().memory('ironport-test-device');
  ftruncateSync(fd, 9 * 2 ** 40);
  for (let region = 0; region <= 8; region++)
    writeSync(fd, Uint8Array.of(0xa0 + region, 1, 2, 3), 0, 4, region * 2 ** 40);
  writeSync(fd, Uint8Array.of(1, 2, 3, 4), 0, 4, 0x1000);
  return fd;
}

function at(fd: number, place: number, length = 4): string {
  const bytes = Buffer.alloc(length);
  readSync(fd, bytes, 0, length, place);
  return bytes.toString('hex');
}

interface Asked {
  readonly op?: number;
  readonly width?: number;
  readonly region?: number;
  readonly offset?: bigint;
  readonly value?: bigint;
}

let sequence = 0;
function frame({ op = 1, width = 4, region = 0, offset = 0x1000n, value = 0n }: Asked): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.set([1, op, width, region]);
  bytes.writeUInt32LE(++sequence, 4);
  bytes.writeBigUInt64LE(offset, 8);
  bytes.writeBigUInt64LE(value, 16);
  return bytes;
}

function answer({ ends }: Broker): { status: number; sequence: number; value: string } {
  const bytes = Buffer.alloc(16);
  for (let held = 0; held < 16; ) {
    const count = readSync(ends.replies, bytes, held, 16 - held, null);
    if (count === 0) throw new Error('the broker ended');
    held += count;
  }
  const value = bytes.readBigUInt64LE(8).toString(16);
  return { status: bytes.readUInt8(1), sequence: bytes.readUInt32LE(4), value };
}

function ask(broker: Broker, asked: Asked): [status: number, value: string] {
  writeSync(broker.ends.requests, frame(asked));
  const { status, value, sequence: number } = answer(broker);
  if (number !== sequence) throw new Error('an answer to something else');
  return [status, value];
}

async function gone(broker: Broker): Promise<void> {
  closeSync(broker.ends.requests);
  closeSync(broker.ends.replies);
  await broker.end();
}

t.test('a broker', { skip: whyNot() }, async (t) => {
  t.test('serves what was granted, and nothing else', async (t) => {
    const fd = device();
    const reports: Report[] = [];
    const broker = await startBroker({
      ...{ device: fd, task: TASK, user: USER },
      onReport: (report) => reports.push(report),
    });
    broker.serve();
    t.strictSame(ask(broker, {}), [STATUS.good, '4030201']);
    t.strictSame(ask(broker, { width: 2, offset: 0x1002n }), [STATUS.good, '403']);
    t.strictSame(ask(broker, { width: 1, offset: 0x1003n }), [STATUS.good, '4']);
    t.strictSame(ask(broker, { op: 2, width: 2, offset: 0x1004n, value: 0xbeefn }), [0, '0']);
    t.equal(at(fd, 0x1000, 8), '01020304efbe0000', 'two bytes and no more');
    t.strictSame(ask(broker, { region: 2, offset: 0n }), [STATUS.good, '30201a2']);

    const refused: [Asked, keyof typeof STATUS][] = [
      [{ op: 2, region: 2, offset: 0n, value: 1n }, 'readOnly'],
      [{ op: 2, region: 7, offset: 4n, width: 2, value: 6n }, 'region'],
      [{ region: 6, offset: 0n }, 'region'],
      [{ region: 1, offset: 0n }, 'region'],
      [{ offset: 0xffcn }, 'outside'],
      [{ offset: 0x2000n }, 'outside'],
      [{ offset: (7n << 40n) + 4n }, 'outside'],
      [{ offset: 2n ** 64n - 4n }, 'outside'],
      [{ offset: 0x1ffen }, 'unaligned'],
      [{ width: 8 }, 'width'],
      [{ op: 3 }, 'malformed'],
    ];
    for (const [asked, status] of refused)
      t.strictSame(ask(broker, asked), [STATUS[status], '0'], status);
    t.equal(at(fd, CONFIG + 4), '00000000');
    t.equal(at(fd, BAR2), 'a2010203');
    closeSync(broker.ends.requests);
    t.match(await broker.ended, { status: 0 }, 'it ends with its driver');
    t.strictSame(Object.fromEntries(broker.totals), {
      ...{ good: 5, malformed: 1, width: 1, unaligned: 1, region: 3, outside: 4 },
      ...{ readOnly: 1, device: 0 },
    });
    t.strictSame(
      reports.filter(({ status }) => status === 'region').map(({ count }) => count),
      [1, 2],
    );
    t.match(reports[1]?.example, { op: 2, width: 2, region: 7, offset: '0x4' });
    await broker.end();
  });

  t.test('waits until it is let begin', async (t) => {
    const fd = device();
    const broker = await startBroker({ device: fd, task: TASK, user: USER });
    writeSync(broker.ends.requests, frame({ op: 2, value: 7n }));
    t.match(readFileSync(`/proc/${broker.pid}/status`, 'utf8'), /^Seccomp:\t2$/m);
    t.equal(at(fd, 0x1000), '01020304');
    broker.serve();
    t.equal(answer(broker).status, STATUS.good);
    t.equal(at(fd, 0x1000), '07000000');
    await gone(broker);
    const never = await startBroker({ device: fd, task: TASK, user: USER });
    writeSync(never.ends.requests, frame({ op: 2, value: 9n }));
    await gone(never);
    t.equal(at(fd, 0x1000), '07000000', 'one that was not let begin served nothing');
  });

  t.test('has the device, two pipes, and nothing that leads elsewhere', async (t) => {
    const broker = await startBroker({ device: device(), task: TASK, user: USER });
    broker.serve();
    ask(broker, {});
    const names = [0, 1, 2, 3, 4, 5, 6].map((fd) =>
      readlinkSync(`/proc/${broker.pid}/fd/${fd}`).replace(/[0-9]+/, 'N'),
    );
    t.strictSame(names, [
      ...['/dev/null', 'pipe:[N]', 'pipe:[N]', '/memfd:ironport-test-device (deleted)'],
      ...['pipe:[N]', 'pipe:[N]', 'pipe:[N]'],
    ]);
    await gone(broker);
  });

  t.test('frames that come apart, together, or not to an end', async (t) => {
    const fd = device();
    const broker = await startBroker({ device: fd, task: TASK, user: USER });
    broker.serve();
    const one = frame({ op: 2, value: 0x11n });
    for (const byte of one) writeSync(broker.ends.requests, Uint8Array.of(byte));
    t.equal(answer(broker).status, STATUS.good);
    const many = Array.from({ length: 500 }, () => frame({}));
    writeSync(broker.ends.requests, Buffer.concat(many));
    const numbers = many.map(() => answer(broker).sequence);
    t.strictSame(
      numbers,
      many.map((bytes) => bytes.readUInt32LE(4)),
      'in order',
    );
    const noise = Buffer.alloc(24 * 200, 0xff);
    writeSync(broker.ends.requests, noise);
    for (let i = 0; i < 200; i++) t.equal(answer(broker).status, STATUS.malformed);
    t.strictSame(ask(broker, {}), [STATUS.good, '11'], 'and it goes on after that');
    writeSync(broker.ends.requests, frame({ op: 2, value: 0x22n }).subarray(0, 23));
    closeSync(broker.ends.requests);
    t.match(await broker.ended, { status: 0 });
    t.equal(at(fd, 0x1000), '11000000', 'half a frame is no request');
    await broker.end();
  });

  t.test('a driver that asks and does not listen waits for itself alone', async (t) => {
    const broker = await startBroker({ device: device(), task: TASK, user: USER });
    broker.serve();
    // More answers than a pipe holds (64 KiB): the broker waits in its write.
    for (let i = 0; i < 6; i++)
      writeSync(broker.ends.requests, Buffer.concat(Array.from({ length: 1000 }, () => frame({}))));
    t.match(await broker.end(), { signal: 'SIGKILL' }, 'and is ended all the same');
    closeSync(broker.ends.requests);
    closeSync(broker.ends.replies);
  });

  t.test('is held by its filter where its policy would not hold it', async (t) => {
    const fd = device();
    // As if whoever took it over had the whole descriptor served: configuration space is in reach of
    // the offsets of region 0.
    const task: BrokerTask = {
      ...TASK,
      windows: [{ region: 0, start: '0x0', end: '0x90000000000', access: 'read-write' }],
      bases: [[0, '0x0']],
    };
    const broker = await startBroker({ device: fd, task, user: USER });
    broker.serve();
    t.strictSame(ask(broker, { offset: 0n }), [STATUS.good, '30201a0'], 'control: the granted BAR');
    for (let region = 1n; region <= 8n; region++) {
      const offset = region << 40n;
      t.strictSame(ask(broker, { offset }), [STATUS.device, '0'], `region ${region}`);
      t.strictSame(ask(broker, { op: 2, offset, value: 6n }), [STATUS.device, '0']);
    }
    t.equal(at(fd, CONFIG), 'a7010203');
    await gone(broker);
  });
});
