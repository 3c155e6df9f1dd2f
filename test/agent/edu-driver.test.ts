/** The example driver against a model of the device, and its program against what it is handed. */

import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
// @ts-expect-error: the driver is one plain file, without types
import * as driver from '../../examples/edu/edu-driver.mjs';
import { EDU } from './support.ts';

const SCRIPT = join(EDU, 'edu-driver.mjs');

/**
 * The device as docs/specs/edu.rst of QEMU describes it: 32-bit registers, a factorial that takes a
 * while, a DMA engine that refuses what its 4096-byte buffer does not hold, 28 bits of address.
 */
class EduModel {
  /** Reads of the status or of the DMA command until the work is done. */
  latency = 3;
  id = 0x010000ed;
  /** What the device reaches: memory at an address. */
  readonly memory = new Map<number, number>();
  readonly #buffer = Buffer.alloc(4096);
  #liveness = 0;
  #factorial = 0;
  #busy = 0;
  #dma = { source: 0, destination: 0, count: 0, command: 0, busy: 0 };

  read(offset: number): number {
    switch (offset) {
      case 0x00:
        return this.id;
      case 0x04:
        return this.#liveness;
      case 0x08:
        return this.#factorial;
      case 0x20:
        return this.#busy > 0 && this.#busy-- > 0 ? 1 : 0;
      case 0x98:
        if (this.#dma.busy > 0 && --this.#dma.busy === 0) this.#move();
        return this.#dma.command;
      default:
        return 0xffffffff;
    }
  }

  write(offset: number, value: number): void {
    if (offset === 0x04) this.#liveness = ~value >>> 0;
    if (offset === 0x08) {
      this.#busy = this.latency;
      this.#factorial = 1;
      for (let i = 2; i <= value; i++) this.#factorial = Math.imul(this.#factorial, i) >>> 0;
    }
    if (offset === 0x80) this.#dma.source = value;
    if (offset === 0x88) this.#dma.destination = value;
    if (offset === 0x90) this.#dma.count = value;
    if (offset === 0x98 && (value & 1) !== 0)
      Object.assign(this.#dma, { command: value, busy: this.latency });
  }

  #move(): void {
    const { source, destination, count, command } = this.#dma;
    this.#dma.command = command & ~1;
    const fromDevice = (command & 2) !== 0;
    const inBuffer = (fromDevice ? source : destination) - 0x40000;
    // hw/misc/edu.c stops the machine on this; a model of it stops the test.
    if (inBuffer < 0 || inBuffer + count > 4096) throw new Error('DMA outside the buffer');
    for (let i = 0; i < count; i++) {
      const address = ((fromDevice ? destination : source) + i) % 2 ** 28;
      if (fromDevice) this.memory.set(address, this.#buffer[inBuffer + i] as number);
      else this.#buffer[inBuffer + i] = this.memory.get(address) ?? 0;
    }
  }
}

/** Memory that the model reaches at `iova`. */
function memoryAt(model: EduModel, iova: number) {
  return {
    iova,
    read: (offset: number, length: number) =>
      Buffer.from(Array.from({ length }, (_, i) => model.memory.get(iova + offset + i) ?? 0)),
    write: (offset: number, bytes: Uint8Array) => {
      for (const [i, byte] of bytes.entries()) model.memory.set(iova + offset + i, byte);
    },
  };
}

const quick = { tries: 20, pauseMs: 0 };
const drive = async (model: EduModel, withMemory = true): Promise<string[]> => {
  const lines: string[] = [];
  const memory = withMemory ? memoryAt(model, 0x100000) : undefined;
  await driver.drive(model, memory, (line: string) => lines.push(line), quick);
  return lines;
};

t.test('a device that is in order', async (t) => {
  const lines = await drive(new EduModel());
  t.strictSame(lines, [
    'edu device, version 1.0',
    'alive: it inverts what it is given',
    'factorials: 0!, 5!, 12! and 13! modulo 2^32',
    'transfers: up to 2048 bytes into the device and back',
  ]);
  t.match((await drive(new EduModel(), false)).at(-1), 'left out');
});

t.test('devices that are not', async (t) => {
  const broken = (change: Partial<Pick<EduModel, 'id' | 'latency'>>): EduModel =>
    Object.assign(new EduModel(), change);
  const override = (offset: number, value: (model: EduModel) => number): EduModel => {
    const model = new EduModel();
    const read = model.read.bind(model);
    model.read = (at) => (at === offset ? value(model) : read(at));
    return model;
  };
  const cases: [name: string, model: EduModel, exit: number][] = [
    ['another device', broken({ id: 0x12345678 }), driver.EXIT.identity],
    ['a device that is gone', override(0, () => 0xffffffff), driver.EXIT.identity],
    ['a dead one', override(0x04, () => 0), driver.EXIT.liveness],
    ['one that cannot count', override(0x08, () => 7), driver.EXIT.factorial],
    ['one that never finishes', broken({ latency: 1000 }), driver.EXIT.stalled],
    ['one whose DMA never begins', override(0x98, () => 0), driver.EXIT.transfer],
  ];
  for (const [name, model, exit] of cases) {
    const ended = await drive(model).catch((error) => error);
    t.equal(ended.exit, exit, name);
  }
});

t.test('one byte that goes wrong on the way is found', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 4095 }), async (at) => {
      const model = new EduModel();
      const memory = memoryAt(model, 0x100000);
      const read = memory.read;
      memory.read = (offset, length) => {
        const bytes = read(offset, length);
        if (at < length) bytes[at] = (bytes[at] as number) ^ 0x10;
        return bytes;
      };
      const moved = driver.checkTransfer(model, memory, driver.patternOf(4096), quick);
      return moved.then(
        () => false,
        (error: { exit: number; message: string }) =>
          error.exit === driver.EXIT.transfer && error.message.startsWith(`byte ${at} `),
      );
    }),
    { numRuns: 50 },
  );
  t.pass();
});

t.test('factorials modulo 2^32', async (t) => {
  t.strictSame(
    [0, 1, 5, 12, 13, 40].map(driver.factorialHere),
    [1, 1, 120, 479001600, 1932053504, 0],
  );
});

function exitOf(act: () => unknown): number | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return (error as { exit?: number }).exit;
  }
}

const HANDED = {
  schema: 'ironport.driver/v1',
  registers: [{ bar: 0, offset: '0x0', length: '0x1000', fd: 3, at: '0x0' }],
  dma: [{ iova: '0x100000', length: '0x10000', fd: 4, at: '0x0' }],
};

t.test('what it is handed', async (t) => {
  t.strictSame(driver.parseHanded(JSON.stringify(HANDED)), {
    registers: { fd: 3, at: 0 },
    memory: { fd: 4, at: 0, iova: 0x100000, length: 0x10000 },
    event: undefined,
  });
  const [window] = HANDED.registers;
  const [memory] = HANDED.dma;
  // BAR 0 of a VFIO descriptor with a region index of 5: index << 40.
  const far = { ...HANDED, registers: [{ ...window, at: '0x50000000000' }], dma: [] };
  t.equal(driver.parseHanded(JSON.stringify(far)).registers.at, 5 * 2 ** 40);
  for (const bad of [
    ...['', '{', '[]', 'null', '7'],
    ...[
      { ...HANDED, schema: 'v2' },
      { ...HANDED, registers: [] },
      { ...HANDED, registers: {} },
      { ...HANDED, registers: [{ ...window, fd: 2 }] },
      { ...HANDED, registers: [{ ...window, fd: '3' }] },
      { ...HANDED, registers: [{ ...window, length: '0x80' }] },
      { ...HANDED, registers: [{ ...window, at: 0 }] },
      { ...HANDED, registers: [{ ...window, bar: 1 }] },
      { ...HANDED, dma: [{ ...memory, iova: '0xfff8000' }] },
      { ...HANDED, dma: [{ ...memory, length: '0x1000' }] },
    ].map((one) => JSON.stringify(one)),
  ])
    t.equal(
      exitOf(() => driver.parseHanded(bad)),
      driver.EXIT.handed,
      bad,
    );
});

t.test('the program', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-edu-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'bar');
  const run = (
    content: Uint8Array | undefined,
    input: string,
    env: Record<string, string> = {},
  ) => {
    writeFileSync(file, content ?? new Uint8Array());
    const fd = openSync(file, 'r+');
    const stdio = content === undefined ? [] : [fd];
    const ended = spawnSync(process.execPath, [SCRIPT], {
      stdio: ['pipe', 'pipe', 'pipe', ...stdio],
      input,
      env,
      encoding: 'utf8',
    });
    closeSync(fd);
    return ended;
  };
  const text = JSON.stringify({ ...HANDED, dma: [] });
  t.equal(run(undefined, '').status, driver.EXIT.handed, 'nothing');
  t.equal(run(undefined, `${text}\n`).status, driver.EXIT.io, 'a descriptor that is not there');
  t.equal(run(new Uint8Array(2), text).status, driver.EXIT.io, 'a window that ends too early');
  const zeros = run(new Uint8Array(4096), `${text}\nmore\n`);
  t.equal(zeros.status, driver.EXIT.identity, 'a file of zeros is no device');
  t.match(zeros.stderr, 'not an edu device: identification 0x0');
  // A file remembers what a device would turn around.
  const bytes = new Uint8Array(4096);
  bytes.set([0xed, 0, 0, 1]);
  const dead = run(bytes, '', { IRONPORT_DRIVER: text });
  t.equal(dead.status, driver.EXIT.liveness, 'handed over in the environment');
  t.match(dead.stdout, 'edu device, version 1.0');
});
