/**
 * A driver that runs: its broker, its process, and the interrupts that are passed on to it. Started
 * before the bus master is on, and looked at by then; let begin after.
 */

import { closeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { BROKER_LIMITS } from '../shared/limits.ts';
import type { DmaWindow } from '../shared/manifest/ceiling.ts';
import type { InterruptMetrics } from '../shared/manifest/interrupt-budget.ts';
import { STATIC_PROGRAM } from '../shared/manifest/policy-run.ts';
import type { BrokerTask } from './broker/program.ts';
import type { Report } from './broker/report.ts';
import type { StatusName } from './broker/wire.ts';
import { DRIVER_VARIABLE, type Handed, handedTo } from './handed.ts';
import { type Broker, startBroker } from './host/broker.ts';
import { type Cgroup, makeCgroup } from './host/cgroup.ts';
import { type Driver, type DriverEnd, launch } from './host/launch.ts';
import { libc } from './host/libc.ts';
import { freeUsers } from './host/users.ts';
import type { PreparedRun } from './prepare-run.ts';
import { type Relay, relayInterrupts } from './relay.ts';

export interface Starting {
  readonly device: string;
  readonly prepared: PreparedRun;
  /** The device's descriptor, for the broker. */
  readonly vfio: number;
  readonly task: BrokerTask;
  readonly memories: readonly (DmaWindow & { readonly fd: number })[];
  readonly interrupts: {
    /** What the kernel signals. */
    readonly vectors: readonly number[];
    readonly perSecond: number;
  };
}

/** Why a driver is to be stopped. */
export type RunEnd =
  | { readonly why: 'driver-ended'; readonly end: DriverEnd }
  | { readonly why: 'broker-ended'; readonly end: DriverEnd }
  | { readonly why: 'interrupt-storm'; readonly vector: number };

export interface Running {
  readonly driver: Pick<Driver, 'pid' | 'status'>;
  readonly broker: Pick<Broker, 'pid' | 'status'>;
  readonly user: number;
  readonly brokerUser: number;
  readonly descriptors: readonly Handed[];
  /** The first reason to stop it. */
  readonly over: Promise<RunEnd>;
  /** What was asked of the broker so far, by answer. */
  readonly accesses: ReadonlyMap<StatusName, number>;
  /** Refusals, from now on; those before are told of at once. */
  onRefusal(then: (report: Report) => void): void;
  output(): string;
  interrupts(): InterruptMetrics[];
  /** Lets it at its registers. */
  serve(): void;
  /** Stops both processes where they are. False when the kernel did not say so in time. */
  freeze(): boolean;
  /** Ends both processes; returns when nothing is left of them. */
  end(): Promise<DriverEnd>;
}

export async function startDriver(starting: Starting): Promise<Running> {
  const { device, prepared, vfio, task, memories, interrupts } = starting;
  const { program, runtime, entry } = prepared;
  const [user, brokerUser] = freeUsers(prepared.users, 2) as [number, number];
  const handed = handedTo(task, memories, interrupts.vectors.length);
  const groups: Cgroup[] = [];
  const group = (of: string, memoryBytes: number, processes: number): Cgroup => {
    const bounds = { memoryBytes, processes };
    const made = makeCgroup(prepared.cgroup, `ironport-${device}-${of}`, bounds, 'limits');
    groups.push(made);
    return made;
  };
  const refusals: Report[] = [];
  let tell = (report: Report): void => void refusals.push(report);
  const events: number[] = [];
  let broker: Broker | undefined;
  let driver: Driver;
  try {
    for (const _ of interrupts.vectors) events.push(libc().eventfd());
    broker = await startBroker({
      ...{ device: vfio, task, user: brokerUser },
      cgroup: group('broker', BROKER_LIMITS.memoryBytes, BROKER_LIMITS.process.threads),
      onReport: (report) => tell(report),
    });
    const memory = Number(entry.memoryBytes);
    driver = await launch({
      ...{ program, user, group: user },
      ...(runtime === undefined ? {} : { runtime }),
      descriptors: [
        ...[broker.ends.requests, broker.ends.replies],
        ...memories.map(({ fd }) => fd),
        ...events,
      ],
      environment: { [DRIVER_VARIABLE]: JSON.stringify(handed.document) },
      limits: {
        // A runtime sets room aside that it does not use; the control group counts what is used.
        dataBytes: memory + (entry.program === STATIC_PROGRAM ? 0 : RUNTIME_ROOM),
        threads: entry.processes,
        stackBytes: STACK,
      },
      cgroup: group('driver', memory, entry.processes),
    });
  } catch (error) {
    for (const fd of events) closeSync(fd);
    await broker?.end();
    for (const one of groups) await one.end();
    throw error;
  } finally {
    // What the driver has is the driver's alone: when it is gone, the broker hears of it.
    if (broker !== undefined) for (const fd of Object.values(broker.ends)) closeSync(fd);
  }
  return new Pair(
    { starting, broker, driver, groups, events, user, brokerUser, handed },
    (then) => {
      tell = then;
      for (const report of refusals.splice(0)) then(report);
    },
  );
}

/** V8 reserves half a GiB for code. */
const RUNTIME_ROOM = 1 << 30;
const STACK = 8 << 20;

interface Parts {
  readonly starting: Starting;
  readonly broker: Broker;
  readonly driver: Driver;
  readonly groups: readonly Cgroup[];
  readonly events: readonly number[];
  readonly user: number;
  readonly brokerUser: number;
  readonly handed: { readonly descriptors: readonly Handed[] };
}

class Pair implements Running {
  readonly driver: Driver;
  readonly broker: Broker;
  readonly user: number;
  readonly brokerUser: number;
  readonly descriptors: readonly Handed[];
  readonly over: Promise<RunEnd>;
  readonly onRefusal: Running['onRefusal'];
  readonly #groups: readonly Cgroup[];
  readonly #events: readonly number[];
  readonly #relay: Relay;
  #ended: Promise<DriverEnd> | undefined;

  constructor(parts: Parts, onRefusal: Running['onRefusal']) {
    const { starting, broker, driver, groups, events, user, brokerUser, handed } = parts;
    this.driver = driver;
    this.broker = broker;
    this.user = user;
    this.brokerUser = brokerUser;
    this.descriptors = handed.descriptors;
    this.onRefusal = onRefusal;
    this.#groups = groups;
    this.#events = events;
    let breach: (vector: number) => void = () => {};
    const storm = new Promise<RunEnd>((resolve) => {
      breach = (vector) => resolve({ why: 'interrupt-storm', vector });
    });
    const { vectors, perSecond } = starting.interrupts;
    this.#relay = relayInterrupts({
      ...{ from: vectors, to: events, perSecond },
      onBreach: (vector) => breach(vector),
      nowMs: () => performance.now(),
    });
    this.over = Promise.race([
      driver.ended.then((end): RunEnd => ({ why: 'driver-ended', end })),
      // It ends with its driver: only without is that news.
      broker.ended.then(async (end): Promise<RunEnd> => {
        await setTimeout(GRACE_MS, undefined, { ref: false });
        return { why: 'broker-ended', end };
      }),
      storm,
    ]);
    this.over.catch(() => {});
  }

  get accesses(): ReadonlyMap<StatusName, number> {
    return this.broker.totals;
  }

  output(): string {
    return this.driver.output();
  }

  interrupts(): InterruptMetrics[] {
    return this.#relay.metrics();
  }

  serve(): void {
    this.broker.serve();
  }

  freeze(): boolean {
    if (this.#ended !== undefined) return true;
    return this.#groups.map((group) => group.freeze()).every((isFrozen) => isFrozen);
  }

  end(): Promise<DriverEnd> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<DriverEnd> {
    this.#relay.stop();
    try {
      const [end] = await Promise.all([this.driver.end(), this.broker.end()]);
      return end;
    } finally {
      for (const fd of this.#events) closeSync(fd);
    }
  }
}

/** The broker sees the driver's end before we do. */
const GRACE_MS = 1000;
