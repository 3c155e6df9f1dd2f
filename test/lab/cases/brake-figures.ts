/**
 * How long the brake takes, from the moment at which the agent hears of the reason until bus master
 * and attachment are seen to be off. Figures, printed beside what an idle event loop takes to hear
 * of anything, and never asserted; what is asserted is that nothing moves after it, each time.
 */

import { deepEqual, equal, notDeepEqual, ok } from 'node:assert/strict';
import { closeSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { type Confined, type Confining, confine } from '../../../agent/confine.ts';
import { type ConfinedGrant, planConfinement } from '../../../agent/confine-plan.ts';
import { openDevice } from '../../../agent/host/choose-backend.ts';
import { libc } from '../../../agent/host/libc.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { relayInterrupts } from '../../../agent/relay.ts';
import { type RunEnd, type Running, startDriver } from '../../../agent/running.ts';
import { windowAt } from '../../../shared/manifest/windows.ts';
import { elf } from '../../agent/elf.ts';
import { PAUSE } from '../../agent/hostile.ts';
import { Edu, pattern } from '../support/edu.ts';
import { groups, holdUntil, nothingLeft } from '../support/held.ts';
import { Rng } from '../support/rng.ts';
import { EDU_GRANT, GROUPS, prepare } from '../support/run.ts';
import { EDU, giveToVfio, rngDevice, unbindAll } from '../support/vfio.ts';
import { FIGURE, type Lab, type LabCase } from './case.ts';

const ROUNDS = 50;
const LENGTH = 256;
/** One interrupt a second: the second one is too many. */
const STRICT: ConfinedGrant = { ...EDU_GRANT, interrupts: { kind: 'msi', vectors: 1 } };
const PER_SECOND = 1;
const RNG_GRANT: ConfinedGrant = {
  dma: { windows: [{ window: windowAt(0x20_0000n, 0x2000n), access: 'read-write' }] },
  interrupts: { kind: 'none', vectors: 0 },
};

/**
 * A driver and its broker that are there to be frozen. They are the same in every round: to start
 * them takes longer than all that is measured.
 */
async function startWaiting(): Promise<Running> {
  const prepared = prepare(
    elf(
      [],
      Array.from({ length: 24 }, () => PAUSE),
    ),
  );
  const device = libc().eventfd();
  try {
    return await startDriver({
      ...{ device: EDU[0], prepared, vfio: device, memories: [] },
      registers: { mode: 'brokered', task: { windows: [], bases: [], perSecond: 1, burst: 1 } },
      interrupts: { vectors: [], budget: EDU_GRANT.interrupts },
    });
  } finally {
    closeSync(device);
    prepared.close();
  }
}

/** What of it a round has: interrupts of its own, and an end after which it goes on. */
function forRound(waiting: Running, vectors: readonly number[]): Running {
  const events = vectors.map(() => libc().eventfd());
  let breach: (vector: number) => void = () => {};
  const storm = new Promise<RunEnd>((resolve) => {
    breach = (vector) => resolve({ why: 'interrupt-storm', vector });
  });
  const relay = relayInterrupts({
    ...{ from: vectors, to: events },
    budget: { perSecondBudget: PER_SECOND, burst: null, lifetimeMax: null },
    onBreach: (vector) => breach(vector),
    nowMs: () => performance.now(),
  });
  const { driver, broker, user, brokerUser, descriptors, parts, accesses } = waiting;
  return {
    ...{ driver, broker, user, brokerUser, descriptors, parts, accesses },
    over: Promise.race([waiting.over, storm]),
    onRefusal: () => {},
    output: () => '',
    interrupts: () => relay.metrics(),
    serve: () => {},
    freeze: () => waiting.freeze(),
    async end() {
      relay.stop();
      for (const fd of events.splice(0)) closeSync(fd);
      for (const name of groups()) await thaw(`${GROUPS}/${name}`);
      return { status: null, signal: null };
    },
  };
}

async function thaw(group: string): Promise<void> {
  writeFileSync(`${group}/cgroup.freeze`, '0', { flag: 'r+' });
  while (!readFileSync(`${group}/cgroup.events`, 'utf8').includes('frozen 0')) await setImmediate();
}

export async function confineFor(
  { lab, waiting }: Measured,
  device: string,
  grant: ConfinedGrant,
  more: Pick<Confining, 'beforeReach'> = {},
): Promise<Confined> {
  return await confine({
    ...{ device, grant, steps: planConfinement(grant, 1, 'driven'), ...more },
    open: async () => openDevice(lab.backend, await Sysfs.open('/sys'), device),
    run: async ({ vectors }) => forRound(waiting, vectors),
    journal: { append: async () => {} },
    record: async () => {},
  });
}

export interface Measured {
  readonly lab: Lab;
  readonly waiting: Running;
  readonly heard: ReadonlyMap<number, number>;
}

/** When each event descriptor was last heard of, from here on. */
function receipts(): ReadonlyMap<number, number> {
  const heard = new Map<number, number>();
  const { watch } = libc();
  const timed: typeof watch = (fd, then) =>
    watch(fd, () => {
      heard.set(fd, performance.now());
      then();
    });
  Object.assign(libc(), { watch: timed });
  return heard;
}

/** One stop, by `cause`, of what `confined` holds; how long it took. */
export async function stop(
  confined: Confined,
  { heardAt, hold = holdUntil, cause, staysStill }: Stopping,
): Promise<number> {
  let tookMs: number | undefined;
  const timed: Confined = {
    ...confined,
    brake() {
      confined.brake();
      equal(confined.space.isAttached, false);
      equal(confined.vfio.isBusMaster, false, 'COMMAND reads back clear');
      const now = performance.now();
      for (const name of groups())
        ok(readFileSync(`${GROUPS}/${name}/cgroup.events`, 'utf8').includes('frozen 1'), name);
      tookMs ??= now - (heardAt() ?? Number.NaN);
    },
    async end() {
      await staysStill();
      return await confined.end();
    },
  };
  const held = hold(timed);
  await cause(() => tookMs !== undefined);
  await held;
  ok(tookMs !== undefined && tookMs >= 0, 'it was heard of, and then stopped');
  return tookMs;
}

interface Stopping {
  /** When the agent heard of it; undefined before. */
  readonly heardAt: () => number | undefined;
  readonly hold?: (confined: Confined) => Promise<unknown>;
  readonly cause: (isOver: () => boolean) => Promise<void>;
  readonly staysStill: () => Promise<void>;
}

async function breach(measured: Measured): Promise<number> {
  const { heard } = measured;
  const confined = await confineFor(measured, EDU[0], STRICT);
  const [memory] = confined.memories;
  const [event] = confined.events.vectors;
  ok(memory !== undefined && event !== undefined);
  const edu = new Edu(confined.vfio.fd);
  const attempt = async (seed: number): Promise<Buffer> => {
    const bytes = pattern(LENGTH, seed);
    writeSync(memory.fd, bytes, 0, LENGTH, 0);
    await edu.give(memory.window.start, LENGTH);
    readSync(memory.fd, bytes, 0, LENGTH, 0);
    return bytes;
  };
  notDeepEqual(await attempt(1), pattern(LENGTH, 1), 'control: bytes move before');
  return await stop(confined, {
    heardAt: () => heard.get(event),
    async cause(isOver) {
      while (!isOver()) {
        edu.write32(0x60, 1);
        edu.write32(0x64, 1);
        await setImmediate();
      }
    },
    staysStill: async () => deepEqual(await attempt(2), pattern(LENGTH, 2), 'nothing moves after'),
  });
}

async function deviceError(measured: Measured, device: string, isLast: boolean): Promise<number> {
  const { lab, heard } = measured;
  const confined = await confineFor(measured, device, RNG_GRANT);
  const { vfio, space, memories, events } = confined;
  const [memory] = memories;
  ok(memory !== undefined && events.error !== undefined);
  const rng = new Rng(vfio, memory);
  // An answer of the monitor comes from the loop that also serves the device: what it was to do
  // before is done by then.
  const moves = async (seed: number): Promise<void> => {
    rng.fill(pattern(LENGTH, seed));
    rng.ask(LENGTH);
    while (rng.filled(LENGTH).equals(pattern(LENGTH, seed))) await lab.monitor('info version');
  };
  await rng.begin();
  await moves(1);
  return await stop(confined, {
    heardAt: () => heard.get(events.error as number),
    async cause() {
      await lab.monitor('pcie_aer_inject_error vr0 COMP_TIME');
    },
    async staysStill() {
      rng.fill(pattern(LENGTH, 2));
      rng.ask(LENGTH);
      for (let i = 0; i < 3; i++) await lab.monitor('info version');
      deepEqual(rng.filled(LENGTH), pattern(LENGTH, 2), 'nothing moves after');
      if (!isLast) return;
      // It was the brake that held it, and not the error.
      space.attach();
      vfio.setBusMaster(true);
      await rng.begin();
      await moves(3);
      confined.brake();
    },
  });
}

/** From the signal of an event until its receipt, where nothing else is to be done. */
async function idle(): Promise<number> {
  const fd = libc().eventfd();
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  let unwatch = (): void => {};
  const received = new Promise<number>((resolve) => {
    unwatch = libc().watch(fd, () => resolve(performance.now()));
  });
  await setImmediate();
  const signalled = performance.now();
  writeSync(fd, one);
  const tookMs = (await received) - signalled;
  unwatch();
  return tookMs;
}

async function show(
  { say }: Lab,
  what: string,
  rounds: number,
  one: (isLast: boolean) => Promise<number>,
): Promise<void> {
  const took: number[] = [];
  for (let i = 1; i <= rounds; i++) took.push(await one(i === rounds));
  took.sort((a, b) => a - b);
  const [median, worst] = [took[took.length >> 1], took.at(-1)] as [number, number];
  const figures = `median ${median.toFixed(2)} ms, worst ${worst.toFixed(2)} ms`;
  say(`${FIGURE}${what}: ${took.length} runs, ${figures}`);
}

export interface Measuring {
  readonly device: string;
  readonly what: string;
  readonly rounds?: number;
  readonly one: (measured: Measured, isLast: boolean) => Promise<number>;
}

/** Stops the device again and again, and shows median and worst beside those of an idle event loop. */
export async function measure(
  lab: Lab,
  { device, what, rounds = ROUNDS, one }: Measuring,
): Promise<void> {
  await show(lab, 'idle event loop, from the signal to its receipt', ROUNDS, idle);
  const measured = { lab, waiting: await startWaiting(), heard: receipts() };
  equal(groups().length, 2);
  unbindAll(device);
  giveToVfio(device);
  await show(lab, what, rounds, (isLast) => one(measured, isLast));
  unbindAll(device);
  await measured.waiting.end();
  nothingLeft();
}

export const COMMON = { eachBackend: true, standsAlone: true, limitSeconds: 7200 } as const;

export const brakeFigures: readonly LabCase[] = [
  {
    name: 'brake-figures',
    title: 'how long the brake takes when a budget of interrupts is breached',
    ...COMMON,
    run: (lab) => measure(lab, { device: EDU[0], what: 'brake by a budget breached', one: breach }),
  },
  {
    name: 'brake-figures-error',
    title: 'how long the brake takes when the device reports an error',
    ...COMMON,
    run(lab) {
      const rng = rngDevice();
      return measure(lab, {
        ...{ device: rng, what: 'brake by an error of the device' },
        one: (measured, isLast) => deviceError(measured, rng, isLast),
      });
    },
  },
];
