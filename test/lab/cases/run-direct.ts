/** Drivers that have their device's descriptor: what they reach with it, and what of it stays ours. */

import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { readFileSync, readSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Confined } from '../../../agent/confine.ts';
import type { Driver } from '../../../agent/host/launch.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { elf, resultsOf, type Syscall } from '../../agent/elf.ts';
import { PAUSE } from '../../agent/hostile.ts';
import { STEADY } from '../support/drivers.ts';
import { Edu, pattern } from '../support/edu.ts';
import { groups, holdUntil, nothingLeft, ownAgent, said } from '../support/held.ts';
import { EDU_GRANT, GROUPS, type RunGrant, runOn } from '../support/run.ts';
import { EDU, giveToVfio, takeFromVfio } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

const FULL = 4096;
const BAR = 0x10_0000;
const DIRECT: RunGrant = {
  ...EDU_GRANT,
  mode: 'direct',
  mmio: [
    {
      ...{ bar: 0, offset: 0n, window: windowAt(0xfe00_0000n, BigInt(BAR)) },
      access: 'read-write',
    },
  ],
};

const DEVICE = 3;
const at = (index: number): bigint => BigInt(index) << 40n;
const u32 = (...values: number[]): Uint8Array => new Uint8Array(new Uint32Array(values).buffer);
const room = (): Uint8Array => new Uint8Array(64);
const EPERM = -1;
const EBADF = -9;
const BY_NUMBER = 'COMMAND by that number';

/** Answered by the device and the kernel; the controls of what follows. */
const GRANTED: readonly (readonly [what: string, answer: number | 'address', ...Syscall])[] = [
  ['the first register', 4, 17, DEVICE, room(), 4, 0],
  ['the last register', 4, 17, DEVICE, room(), 4, BAR - 4],
  ['a write', 4, 18, DEVICE, u32(0x1234), 4, 4],
  ['what the device is', 0, 16, DEVICE, 0x3b6b, u32(24, 0, 0, 0, 0, 0)],
  ['what BAR 0 is', 0, 16, DEVICE, 0x3b6c, u32(32, 0, 0, 0, 0, 0, 0, 0)],
  ['what MSI is', 0, 16, DEVICE, 0x3b6d, u32(16, 0, 1, 0)],
  ['BAR 0, mapped', 'address', 9, 0, BAR, 3, 1, DEVICE, 0],
];

/** COMMAND with everything on, and with the bus master off. */
const COMMAND = at(7) + 4n;
/** By each what it takes, the whole way; SET_IRQS: DATA_NONE and TRIGGER of index and count. */
const TAKEN: readonly (readonly [what: string, told: string | undefined, ...Syscall])[] = [
  ['COMMAND, off', 'pwrite64 in configuration space', 18, DEVICE, u32(0x103), 2, COMMAND],
  ['COMMAND, on', 'pwrite64 in configuration space', 18, DEVICE, u32(0x507), 2, COMMAND],
  ['configuration space', 'pread64 in configuration space', 17, DEVICE, room(), 4, at(7)],
  ['BAR 0 moved', 'pwrite64 in configuration space', 18, DEVICE, u32(0), 4, at(7) + 0x10n],
  ['MSI set up', 'pwrite64 in configuration space', 18, DEVICE, u32(0), 4, at(7) + 0x40n],
  ['the ROM', 'pread64 in the ROM', 17, DEVICE, room(), 4, at(6)],
  ['the VGA region', 'pread64 in the VGA region', 17, DEVICE, room(), 4, at(8)],
  ...[1, 2, 3, 4, 5].map(
    (bar) => [`BAR ${bar}`, `pread64 in BAR ${bar}`, 17, DEVICE, room(), 4, at(bar)] as const,
  ),
  ...[BAR - 3, BAR - 2, BAR - 1, BAR, BAR + 4].flatMap((offset) => [
    [`read at ${offset}`, 'pread64 in BAR 0', 17, DEVICE, room(), 4, offset] as const,
    [`write at ${offset}`, 'pwrite64 in BAR 0', 18, DEVICE, room(), 4, offset] as const,
  ]),
  ...[0, 3, 5, 16, 4096].map(
    (width) => [`width ${width}`, 'pread64 in BAR 0', 17, DEVICE, room(), width, 0] as const,
  ),
  ['before the beginning', 'pread64 in no region', 17, DEVICE, room(), 4, -4],
  ['to read on', 'read', 0, DEVICE, room(), 4],
  ['to write on', 'write', 1, DEVICE, room(), 4],
  ['interrupts off', 'ioctl VFIO_DEVICE_SET_IRQS', 16, DEVICE, 0x3b6e, u32(20, 33, 1, 0, 0)],
  ['interrupts its own', 'ioctl VFIO_DEVICE_SET_IRQS', 16, DEVICE, 0x3b6e, u32(24, 36, 1, 0, 1, 6)],
  ['errors its own', 'ioctl VFIO_DEVICE_SET_IRQS', 16, DEVICE, 0x3b6e, u32(24, 36, 3, 0, 1, 6)],
  ['a reset', 'ioctl VFIO_DEVICE_RESET', 16, DEVICE, 0x3b6f, 0],
  ['the reset set', 'ioctl VFIO_DEVICE_GET_PCI_HOT_RESET_INFO', 16, DEVICE, 0x3b70, u32(12, 0, 0)],
  ['a hot reset', 'ioctl VFIO_DEVICE_PCI_HOT_RESET', 16, DEVICE, 0x3b71, u32(12, 0, 0)],
  ['writes by events', 'ioctl VFIO_DEVICE_IOEVENTFD', 16, DEVICE, 0x3b74, new Uint8Array(32)],
  ['a feature', 'ioctl VFIO_DEVICE_FEATURE', 16, DEVICE, 0x3b75, u32(8, 0x10003)],
  ['another context', 'ioctl VFIO_DEVICE_BIND_IOMMUFD', 16, DEVICE, 0x3b76, u32(16, 0, 6, 0)],
  ...[0, 1, 2, 3, 4].map(
    (id) =>
      [
        `attach to ${id}`,
        'ioctl VFIO_DEVICE_ATTACH_IOMMUFD_PT',
        ...([16, DEVICE, 0x3b77, u32(12, 0, id)] as const),
      ] as const,
  ),
  ['detach', 'ioctl VFIO_DEVICE_DETACH_IOMMUFD_PT', 16, DEVICE, 0x3b78, u32(8, 0)],
  ['configuration space, mapped', 'mmap in configuration space', 9, 0, 4096, 3, 1, DEVICE, at(7)],
  ['a part of BAR 0', 'mmap in BAR 0', 9, 0, 4096, 3, 1, DEVICE, 0],
  ['BAR 0 and more', 'mmap in BAR 0', 9, 0, BAR + 4096, 3, 1, DEVICE, 0],
  ['BAR 0, to be run', 'mmap in BAR 0', 9, 0, BAR, 5, 1, DEVICE, 0],
  ['another number', 'dup', 32, DEVICE],
  ['a number of its choice', 'dup2', 33, DEVICE, 60],
  ['a number and a flag', 'dup3', 292, DEVICE, 60, 0],
  ['F_DUPFD', 'fcntl', 72, DEVICE, 0, 60],
  ['pieces', 'preadv', 295, DEVICE, new Uint8Array(16), 1, at(7), 0],
  // Had one of these made it; there is none.
  [BY_NUMBER, undefined, 18, 60, u32(0x507), 2, COMMAND],
  ['io_uring', undefined, 425, 1, new Uint8Array(128)],
  ['a socket to an accomplice', undefined, 53, 1, 1, 0, room()],
  ['a descriptor of the agent', undefined, 434, 1, 0],
  ['its own descriptor, opened', undefined, 257, -100, '/proc/self/fd/3', 2],
  ['the container', undefined, 257, -100, '/dev/vfio/vfio', 2],
  ['iommufd', undefined, 257, -100, '/dev/iommu', 2],
  ['sysfs', undefined, 257, -100, `/sys/bus/pci/devices/${EDU[0]}/config`, 2],
];

/** Begins transfers again and again, and between them takes back what the brake takes away. */
const BUSY_DIRECT = `
const { readSync, writeSync } = process.getBuiltinModule('node:fs');
readSync(4, Buffer.alloc(1));
console.log(JSON.stringify({ what: 'begun' }));
const write = (at, value, width = 8) => {
  const word = Buffer.alloc(8);
  word.writeBigUInt64LE(BigInt(value));
  try {
    writeSync(3, word, 0, width, at);
  } catch (error) {
    if (error.code !== 'EPERM') throw error;
  }
};
for (;;) {
  write(0x80, 0x40000);
  write(0x88, 0x200000);
  write(0x90, 256);
  write(0x98, 3, 4);
  write(7 * 2 ** 40 + 4, 0x507, 2);
}
`;

function get({ memories }: Confined): Buffer {
  const found = Buffer.alloc(FULL);
  readSync(memories[0]?.fd ?? -1, found, 0, FULL, 0);
  return found;
}

const config = (bdf: string): string =>
  readFileSync(`/sys/bus/pci/devices/${bdf}/config`).subarray(0, 256).toString('hex');

export const directRuns: readonly LabCase[] = [
  {
    name: 'run-direct',
    title: "a driver with its device's descriptor drives edu, and asks for nothing else",
    ...{ eachBackend: true, standsAlone: true, limitSeconds: 900 },
    async run({ backend, say }) {
      giveToVfio(EDU[0]);
      const source = readFileSync('/examples/edu/edu-driver.mjs', 'utf8');
      const confined = await runOn(backend, source, () => {}, EDU[0], DIRECT);
      equal(confined.running?.broker, undefined);
      equal(groups().length, 1, 'there is no broker');
      const { end } = await holdUntil(confined);
      const output = confined.running?.output() ?? '';
      say(output);
      deepEqual([end.why, end.driver], ['driver-ended', { status: 0, signal: null }]);
      for (const line of ['factorials: 0!', 'interrupts: one was raised', 'transfers: up to 2048'])
        ok(output.includes(line), line);
      deepEqual([...(confined.running?.accesses ?? [])], [['refused', 0]]);
      nothingLeft();
      takeFromVfio(EDU[0]);
    },
  },
  {
    name: 'run-direct-hostile',
    title: 'what it takes beyond its BARs it does not get, and each is audited',
    ...{ eachBackend: true, standsAlone: true, limitSeconds: 900 },
    async run({ backend, say }) {
      for (const bdf of EDU) giveToVfio(bdf);
      const steady = await runOn(backend, STEADY, () => {}, EDU[1]);
      await said(steady, 'tick 3"');
      const ticks = (): number => steady.running?.interrupts()[0]?.irqCalls ?? 0;
      const others = config(EDU[1]);
      // A byte to begin with, and then everything.
      const calls: Syscall[] = [...TAKEN, ...GRANTED].map(([, , nr, ...operands]) => [
        nr,
        ...operands,
      ]);
      const program = elf([[0, 4, room(), 1], ...calls], [PAUSE]);
      const confined = await runOn(backend, program, () => {}, EDU[0], DIRECT);
      const { running, vfio, space } = confined;
      ok(running !== undefined);
      const before = config(EDU[0]);
      // What it writes is no text.
      const output = (): Buffer => (running.driver as Driver).bytes();
      const { end } = await holdUntil(confined, async () => {
        while (output().length < 8 * (calls.length + 1)) await setTimeout(50);
        equal(config(EDU[0]), before, 'configuration space is as it was');
        ok(vfio.isBusMaster && space.isAttached);
        const edu = new Edu(vfio.fd, vfio.region(REGION.bar0).offset);
        const [memory] = confined.memories;
        ok(memory !== undefined);
        writeSync(memory.fd, pattern(FULL, 1), 0, FULL, 0);
        await edu.give(memory.window.start + BigInt(FULL), 256);
        deepEqual(get(confined), pattern(FULL, 1));
        await edu.give(memory.window.start, 256);
        notDeepEqual(get(confined), pattern(FULL, 1), 'control: it still reaches its window');
        edu.write32(0x60, 1);
        edu.write32(0x64, 1);
        while ((running.interrupts()[0]?.irqCalls ?? 0) === 0) await setTimeout(20);
        say('its interrupts still come to the agent');
      });
      equal(end.why, 'stopped');
      const [begun, ...results] = resultsOf(output());
      equal(begun, 1);
      for (const [i, [what]] of TAKEN.entries()) {
        say(`${what}: ${results[i]}`);
        equal(results[i], what === BY_NUMBER ? EBADF : EPERM, what);
      }
      for (const [i, [what, answer]] of GRANTED.entries()) {
        const result = results[TAKEN.length + i] ?? Number.NaN;
        say(`${what}: ${result}`);
        ok(answer === 'address' ? result > 0 : result === answer, `control: ${what}: ${result}`);
      }
      const log = readFileSync(ownAgent().audit.path, 'utf8');
      for (const what of new Set(TAKEN.map(([, told]) => told)))
        if (what !== undefined)
          ok(
            log.includes(`"event":"device-call-refused","device":"${EDU[0]}","what":"${what}"`),
            what,
          );
      for (const what of ['io_uring', 'socketpair', 'pidfd_open', 'openat'])
        ok(log.includes(`"event":"call-refused","device":"${EDU[0]}","what":"${what}"`), what);
      const told = TAKEN.filter(([, what]) => what !== undefined).length;
      deepEqual([...running.accesses], [['refused', told]]);
      equal(config(EDU[1]), others, 'the other device is as it was');
      const then = ticks();
      while (ticks() < then + 3) await setTimeout(20);
      ok(steady.vfio.isBusMaster && steady.space.isAttached);
      await steady.end();
      nothingLeft();
      for (const bdf of EDU) takeFromVfio(bdf);
    },
  },
  {
    name: 'run-direct-brake',
    title: 'the brake stops a driver that has the descriptor, and then nothing moves',
    ...{ eachBackend: true, standsAlone: true, limitSeconds: 900 },
    async run({ backend, say }) {
      giveToVfio(EDU[0]);
      const confined = await runOn(backend, BUSY_DIRECT, () => {}, EDU[0], DIRECT);
      await said(confined, 'begun');
      const [memory] = confined.memories;
      ok(memory !== undefined);
      writeSync(memory.fd, pattern(FULL, 3), 0, FULL, 0);
      while (get(confined).equals(pattern(FULL, 3))) await setTimeout(20);
      say('control: while it runs, the device writes into its window');
      confined.brake();
      equal(confined.vfio.isBusMaster, false);
      equal(confined.space.isAttached, false);
      deepEqual(
        groups().map((name) => readFileSync(`${GROUPS}/${name}/cgroup.events`, 'utf8')),
        ['populated 1\nfrozen 1\n'],
      );
      writeSync(memory.fd, pattern(FULL, 4), 0, FULL, 0);
      const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
      while ((edu.read32(0x98) & 1) !== 0) await setTimeout(20);
      await edu.give(memory.window.start, FULL);
      ok(get(confined).equals(pattern(FULL, 4)), 'after the brake nothing is written');
      equal(confined.vfio.isBusMaster, false);
      const { end } = await holdUntil(confined, async () => {});
      equal(end.driver?.signal, 'SIGKILL');
      nothingLeft();
      takeFromVfio(EDU[0]);
    },
  },
];
