/**
 * How far what was seen takes a device out of service: seen on the device, its configuration space, its
 * processes and its memory, and not in what the agent wrote about it.
 */

import { deepEqual, equal, ok } from 'node:assert/strict';
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { enforce } from '../../../agent/quarantine/enforce.ts';
import { STORM } from '../support/drivers.ts';
import { Edu, pattern } from '../support/edu.ts';
import { driverProcesses, groups, nothingLeft } from '../support/held.ts';
import { EDU_GRANT, GROUPS, runOn } from '../support/run.ts';
import { EDU, rngDevice, stateOf, unbindAll } from '../support/vfio.ts';
import { holdWatched, incidentOf, watchHeld } from '../support/watched.ts';
import type { LabCase } from './case.ts';

const DEVICES = '/sys/bus/pci/devices';
const LENGTH = 256;
const NOTHING = { dma: { windows: [] }, interrupts: { kind: 'none', vectors: 0 } } as const;

const config = (bdf: string): Buffer => readFileSync(`${DEVICES}/${bdf}/config`);

/** PCI 3.0, 6.8.1.3: the bit of the MSI capability by which messages are on. */
function isMsiOn(bdf: string): boolean {
  const bytes = config(bdf);
  for (let at = bytes.readUInt8(0x34); at !== 0; at = bytes.readUInt8(at + 1))
    if (bytes.readUInt8(at) === 0x05) return (bytes.readUInt16LE(at + 2) & 1) !== 0;
  throw new Error('it has no MSI');
}

/** The port above, and its register of the number of the bus below (PCI-to-PCI Bridge 1.2, 3.2.5.3). */
const SECONDARY_BUS = 0x19;

function portAbove(bdf: string): string {
  return basename(dirname(realpathSync(`${DEVICES}/${bdf}`)));
}

/** Has the port look for the device on another bus: from then on nobody answers for it. Returns how it was. */
function moveBus(port: string, to: number): number {
  const fd = openSync(`${DEVICES}/${port}/config`, 'r+');
  const before = Buffer.alloc(1);
  readSync(fd, before, 0, 1, SECONDARY_BUS);
  writeSync(fd, Buffer.of(to), 0, 1, SECONDARY_BUS);
  closeSync(fd);
  return before.readUInt8();
}

export const levels: readonly LabCase[] = [
  {
    name: 'level-soft',
    title:
      'a driver that storms is frozen and its device still; one that goes on anyway goes to hard',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 1800,
    async run(lab) {
      const watched = await holdWatched(lab, EDU[0], `soft-${lab.backend}`, async (take) => {
        await take();
        return await runOn(lab.backend, STORM, () => {}, EDU[0], EDU_GRANT);
      });
      const { confined } = watched;
      const [memory] = confined.memories;
      ok(memory !== undefined);
      const attempt = async (seed: number): Promise<Buffer> => {
        const bytes = pattern(LENGTH, seed);
        writeSync(memory.fd, bytes, 0, LENGTH, 0);
        const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
        await edu.give(memory.window.start, LENGTH);
        readSync(memory.fd, bytes, 0, LENGTH, 0);
        return bytes;
      };
      const soft = await incidentOf(watched);
      equal(soft.level, 'soft', soft.reason);
      // Time for what would end it, were there something.
      for (let i = 0; i < 20; i++) {
        await setTimeout(100);
        equal(watched.isOver(), false, 'it is held on');
      }
      equal(stateOf(EDU[0]).busMaster, false, 'bus master is off');
      equal(isMsiOn(EDU[0]), false, 'interrupts are off');
      equal(confined.space.isAttached, false);
      equal(groups().length, 2);
      for (const name of groups())
        ok(readFileSync(`${GROUPS}/${name}/cgroup.events`, 'utf8').includes('frozen 1'), name);
      equal(driverProcesses().length, 2, 'driver and broker are there, and stand still');
      // Not before: of one that was ended there is no memory to write to.
      deepEqual(await attempt(1), pattern(LENGTH, 1), 'it reaches nothing');
      equal(watched.isOver(), false);

      lab.say('now it is bus master by itself, and reaches for memory: refused, and recorded');
      confined.vfio.setBusMaster(true);
      equal(stateOf(EDU[0]).busMaster, true, 'control');
      deepEqual(await attempt(2), pattern(LENGTH, 2), 'detached, it reaches nothing either way');
      // The kernel prints some faults, and not each one; the device is let go while one is waited for.
      while (!watched.isOver()) await attempt(3).catch(() => setTimeout(50));
      equal((await watched.end).why, 'interrupt-storm');
      const hard = await incidentOf(watched, ({ level }) => level === 'hard');
      equal(hard.id, soft.id, 'the same incident, further');
      lab.say(hard.again?.reason ?? '');
      const state = { driver: 'vfio-pci', override: 'vfio-pci', busMaster: false };
      deepEqual(stateOf(EDU[0]), state);
      nothingLeft();
      unbindAll(EDU[0]);
    },
  },
  {
    name: 'level-tomb',
    title: 'a device that does not answer after its reset is removed, and again when it comes back',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 3600,
    async run(lab) {
      const rng = rngDevice();
      unbindAll(rng);
      const control = await watchHeld(lab, rng, `tomb-control-${lab.backend}`, NOTHING);
      control.stop();
      equal((await control.end).why, 'stopped');
      ok(existsSync(`${DEVICES}/${rng}`), 'control: one that answers stays');
      unbindAll(rng);

      const watched = await watchHeld(lab, rng, `tomb-${lab.backend}`, NOTHING);
      const port = portAbove(rng);
      const before = moveBus(port, 0x7f);
      ok(
        config(rng)
          .subarray(0, 64)
          .every((byte) => byte === 0xff),
        'nobody answers for it',
      );
      // The kernel waits a minute for a device to come back from its reset, and again.
      const { why } = await watched.end;
      equal(why, 'watched');
      const { level, reason, again } = await incidentOf(watched);
      lab.say(`${reason}; ${again?.reason}`);
      equal(level, 'tomb');
      ok(!existsSync(`${DEVICES}/${rng}`), 'it is removed');
      for (const { kind, level } of await watched.seen()) lab.say(`${kind}: ${level}`);

      moveBus(port, before);
      writeFileSync('/sys/bus/pci/rescan', '1');
      ok(existsSync(`${DEVICES}/${rng}`), 'control: a rescan brings it back');
      await enforce(watched.agent, await Sysfs.open('/sys'));
      ok(!existsSync(`${DEVICES}/${rng}`), 'and it is removed again');
      // For the cases after this one.
      writeFileSync('/sys/bus/pci/rescan', '1');
    },
  },
];
