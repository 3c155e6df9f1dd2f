/**
 * How long the brake takes after a fault of the IOMMU that the kernel recorded: from the moment at which
 * the agent has read the record. How long before that the device reached outside is the kernel's to say,
 * which prints only some faults, and the interval's at which records are read.
 */

import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { readSync, rmSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import type { Confined } from '../../../agent/confine.ts';
import type { ConfinedGrant } from '../../../agent/confine-plan.ts';
import { hold } from '../../../agent/hold.ts';
import { readName } from '../../../agent/host/inventory.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { type Baseline, takeBaseline } from '../../../agent/watch/baseline.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { Edu, pattern } from '../support/edu.ts';
import { EDU, giveToVfio, unbindAll } from '../support/vfio.ts';
import { COMMON, confineFor, type Measured, measure, stop } from './brake-figures.ts';
import type { LabCase } from './case.ts';

const ROUNDS = 10;
const LENGTH = 256;
const DEVICE = EDU[0];
const STATE = '/tmp/ironport-brake-faults';
const WINDOW = windowAt(0x20_0000n, 0x2000n);
const OUTSIDE = WINDOW.end + 0x10_0000n;
const GRANT: ConfinedGrant = {
  dma: { windows: [{ window: WINDOW, access: 'read-write' }] },
  interrupts: { kind: 'none', vectors: 0 },
};

/** Notes when a record of a fault was read. */
function timed(baseline: Baseline): { baseline: Baseline; heardAt: () => number | undefined } {
  const { log } = baseline;
  ok(log !== undefined, 'the log of the kernel can be read here');
  let at: number | undefined;
  const read = log.read.bind(log);
  log.read = () => {
    const events = read();
    if (events.some(({ kind }) => kind === 'iommu-fault')) at ??= performance.now();
    return events;
  };
  return { baseline, heardAt: () => at };
}

/** As `apply --hold` holds it, with a state of its own, from which the round before is gone. */
async function holdWatched(confined: Confined, baseline: Baseline): Promise<void> {
  rmSync(STATE, { recursive: true, force: true });
  const agent = new Agent({ state: STATE, writeSeconds: 200, settleSeconds: 60 });
  await agent.alone(async () => {});
  const sysfs = await Sysfs.open('/sys');
  const lost: string[] = [];
  const { why } = await hold({
    ...{ agent, confined, signal: new AbortController().signal },
    onLost: (text) => lost.push(text),
    named: { device: await readName(sysfs, DEVICE), sysfs },
    watched: {
      resting: { path: 'acme/edu/1.0.0/driver', grantExpires: Number.MAX_SAFE_INTEGER },
      baseline,
    },
  });
  equal(why, 'watched');
  deepEqual(lost, []);
}

async function fault(measured: Measured): Promise<number> {
  // What the round before left: in quarantine, bound and held by nobody.
  unbindAll(DEVICE);
  giveToVfio(DEVICE);
  let before: Baseline | undefined;
  const confined = await confineFor(measured, DEVICE, GRANT, {
    beforeReach: async () => {
      before = await takeBaseline(await Sysfs.open('/sys'), DEVICE);
    },
  });
  ok(before !== undefined);
  const { baseline, heardAt } = timed(before);
  const [memory] = confined.memories;
  ok(memory !== undefined);
  const edu = new Edu(confined.vfio.fd, confined.vfio.region(REGION.bar0).offset);
  const attempt = async (seed: number): Promise<Buffer> => {
    const bytes = pattern(LENGTH, seed);
    writeSync(memory.fd, bytes, 0, LENGTH, 0);
    await edu.give(WINDOW.start, LENGTH);
    readSync(memory.fd, bytes, 0, LENGTH, 0);
    return bytes;
  };
  notDeepEqual(await attempt(1), pattern(LENGTH, 1), 'control: bytes move before');
  let reaching: Promise<void> = Promise.resolve();
  return await stop(confined, {
    heardAt,
    hold: (timedOne) => holdWatched(timedOne, baseline),
    async cause(isOver) {
      const reach = async (): Promise<void> => {
        // The kernel prints some of the faults: again, until one was read.
        while (!isOver()) {
          await edu.give(OUTSIDE, LENGTH);
          await setTimeout(20);
        }
      };
      reaching = reach();
      await reaching;
    },
    async staysStill() {
      await reaching;
      deepEqual(await attempt(2), pattern(LENGTH, 2), 'nothing moves after');
    },
  });
}

export const brakeByFaults: readonly LabCase[] = [
  {
    name: 'brake-figures-fault',
    title: 'how long the brake takes when the kernel recorded a fault of the device',
    ...COMMON,
    run: (lab) =>
      measure(lab, {
        ...{ device: DEVICE, what: 'brake by a recorded fault', rounds: ROUNDS, one: fault },
      }),
  },
];
