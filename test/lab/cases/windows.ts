/**
 * What a device reaches, asserted on memory: every refusal stands beside a transfer of the same size
 * by the same engine that went through.
 */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { readSync, writeSync } from 'node:fs';
import type { DeviceSpace } from '../../../agent/host/backend.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { makeWindowMemory, type WindowMemory } from '../../../agent/host/memory.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { VfioDevice } from '../../../agent/host/vfio-device.ts';
import type { DmaAccess } from '../../../shared/manifest/ceiling.ts';
import { contains, windowAt } from '../../../shared/manifest/windows.ts';
import { Edu, pattern } from '../support/edu.ts';
import { EDU, giveToVfio, takeFromVfio } from '../support/vfio.ts';
import type { Lab, LabCase } from './case.ts';

const PAGE = 4096n;
/** The device's buffer: the longest transfer that it makes at once. */
const FULL = 4096;

interface Held {
  readonly space: DeviceSpace;
  readonly device: VfioDevice;
  readonly edu: Edu;
}

async function hold(lab: Lab, bdf: string): Promise<Held> {
  giveToVfio(bdf);
  const space = await openDevice(lab.backend, await Sysfs.open('/sys'), bdf);
  const device = new VfioDevice(space.device);
  return { space, device, edu: new Edu(space.device, device.region(REGION.bar0).offset) };
}

function letGo(bdf: string, { space }: Held, ...memories: WindowMemory[]): void {
  space.close();
  for (const memory of memories) memory.end();
  takeFromVfio(bdf);
}

function memoryAt(iova: bigint, length: bigint, access: DmaAccess = 'read-write'): WindowMemory {
  return makeWindowMemory({ window: windowAt(iova, length), access });
}

function put({ fd }: WindowMemory, bytes: Buffer, at = 0): void {
  equal(writeSync(fd, bytes, 0, bytes.length, at), bytes.length);
}

function get({ fd, length }: WindowMemory, at = 0, count = length): Buffer {
  const bytes = Buffer.alloc(count);
  equal(readSync(fd, bytes, 0, count, at), count);
  return bytes;
}

/** Through the device and back: the positive control of everything below. */
async function roundTrip({ edu }: Held, memory: WindowMemory, seed: number): Promise<void> {
  const bytes = pattern(FULL, seed);
  put(memory, bytes);
  put(memory, Buffer.alloc(FULL), FULL);
  await edu.take(memory.window.start, FULL);
  await edu.give(memory.window.start + BigInt(FULL), FULL);
  deepEqual(get(memory, FULL, FULL), bytes, 'every byte moves inside the window');
}

/** Loads the device's buffer with `bytes`, by way of memory that it may read. */
async function load({ edu }: Held, memory: WindowMemory, bytes: Buffer): Promise<void> {
  put(memory, bytes);
  await edu.take(memory.window.start, bytes.length);
}

/** What the device's buffer holds, by way of memory that it may write. */
async function unload({ edu }: Held, memory: WindowMemory, length: number): Promise<Buffer> {
  put(memory, Buffer.alloc(length), FULL);
  await edu.give(memory.window.start + BigInt(FULL), length);
  return get(memory, FULL, length);
}

const IOVA = 0x1000_0000n;

export const windows: readonly LabCase[] = [
  {
    name: 'windows',
    title: 'bytes move inside a window, and nowhere else, before, during and after',
    standsAlone: true,
    eachBackend: true,
    async run(lab) {
      const held = await hold(lab, EDU[0]);
      const { space, device, edu } = held;
      const memory = memoryAt(IOVA, 4n * PAGE);
      const readOnly = memoryAt(IOVA + 0x10_0000n, PAGE, 'read');
      // Memory that no window names: right behind the first one, and somewhere else.
      const secret = memoryAt(IOVA + 4n * PAGE, PAGE);
      const outside = pattern(FULL, 9);
      put(secret, outside);

      equal(device.isBusMaster, false, 'a device that was opened is no bus master');
      space.map(memory);
      space.map(readOnly);

      lab.say('before attach, even with the bus master on');
      device.setBusMaster(true);
      put(memory, pattern(FULL, 1));
      await edu.give(memory.window.start, FULL);
      deepEqual(get(memory, 0, FULL), pattern(FULL, 1), 'nothing moves before attach');
      device.setBusMaster(false);

      space.attach();
      const { ranges, pageSize } = space.reach();
      lab.say(`page size ${pageSize}, ${ranges.length} ranges`);
      equal(pageSize, PAGE);
      ok(ranges.some((range) => contains(range, memory.window)));
      ok(
        !ranges.some((range) => contains(range, windowAt(0xfee0_0000n, PAGE))),
        'not the MSI range',
      );

      lab.say('attached, and not bus master');
      await edu.give(memory.window.start, FULL);
      deepEqual(
        get(memory, 0, FULL),
        pattern(FULL, 1),
        'nothing moves before the bus master is on',
      );
      device.setBusMaster(true);

      await roundTrip(held, memory, 2);

      lab.say('a write outside');
      await load(held, memory, pattern(FULL, 3));
      await edu.give(secret.window.start, FULL);
      deepEqual(get(secret, 0, FULL), outside);

      lab.say('a secret outside is not read');
      await load(held, memory, pattern(FULL, 4));
      await edu.take(secret.window.start, FULL);
      const taken = await unload(held, memory, FULL);
      ok(!taken.equals(outside), 'the secret did not reach the device');
      ok(!taken.includes(outside.subarray(0, 16)), 'nor did a part of it');

      lab.say('across the edge: by one byte, and by one page');
      await load(held, memory, pattern(FULL, 5));
      const last = memory.window.end - 1n;
      await edu.give(last, 2);
      deepEqual(get(secret, 0, FULL), outside, 'not the first byte behind the window');
      await edu.give(memory.window.end - PAGE / 2n, FULL);
      deepEqual(get(secret, 0, FULL), outside, 'not the page behind the window');

      lab.say('a read-only window is read, and not written');
      const kept = pattern(FULL, 6);
      put(readOnly, kept);
      await edu.take(readOnly.window.start, FULL);
      deepEqual(await unload(held, memory, FULL), kept, 'it is read');
      await load(held, memory, pattern(FULL, 7));
      await edu.give(readOnly.window.start, FULL);
      deepEqual(get(readOnly, 0, FULL), kept, 'it is not written');

      lab.say('after unmap');
      await roundTrip(held, memory, 8);
      const before = get(memory);
      space.unmap(memory.window);
      await edu.give(memory.window.start, FULL);
      deepEqual(get(memory), before);
      space.map(memory);
      await roundTrip(held, memory, 10);

      lab.say('after detach');
      const then = get(memory);
      space.detach();
      await edu.give(memory.window.start, FULL);
      deepEqual(get(memory), then);
      space.attach();
      await roundTrip(held, memory, 11);

      lab.say('after the bus master is off');
      device.setBusMaster(false);
      const finally_ = get(memory);
      await edu.give(memory.window.start, FULL);
      deepEqual(get(memory), finally_);

      letGo(EDU[0], held, memory, readOnly, secret);
    },
  },
  {
    name: 'two-devices',
    title: 'two devices with the same addresses and different memory never meet',
    standsAlone: true,
    eachBackend: true,
    async run(lab) {
      const first = await hold(lab, EDU[0]);
      const second = await hold(lab, EDU[1]);
      const ofFirst = memoryAt(IOVA, 2n * PAGE);
      const ofSecond = memoryAt(IOVA, 2n * PAGE);
      for (const [held, memory] of [
        [first, ofFirst],
        [second, ofSecond],
      ] as const) {
        held.space.map(memory);
        held.space.attach();
        held.device.setBusMaster(true);
      }
      await roundTrip(first, ofFirst, 1);
      await roundTrip(second, ofSecond, 2);
      deepEqual(get(ofFirst, FULL, FULL), pattern(FULL, 1), 'the second left the first alone');

      lab.say('both at once');
      put(ofFirst, pattern(FULL, 3));
      put(ofSecond, pattern(FULL, 4));
      await Promise.all([first.edu.take(IOVA, FULL), second.edu.take(IOVA, FULL)]);
      await Promise.all([first.edu.give(IOVA + PAGE, FULL), second.edu.give(IOVA + PAGE, FULL)]);
      deepEqual(get(ofFirst, FULL, FULL), pattern(FULL, 3));
      deepEqual(get(ofSecond, FULL, FULL), pattern(FULL, 4));

      lab.say('one is detached, the other goes on');
      first.space.detach();
      const before = get(ofFirst);
      await first.edu.give(IOVA, FULL);
      deepEqual(get(ofFirst), before);
      await roundTrip(second, ofSecond, 5);

      letGo(EDU[0], first, ofFirst);
      letGo(EDU[1], second, ofSecond);
    },
  },
];
