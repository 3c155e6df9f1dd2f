/**
 * A driver that runs: its broker, its process, and the interrupts that are passed on to it. Started
 * before the bus master is on, and looked at by then; let begin after.
 */

import { closeSync, writeSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { BROKER_LIMITS } from '../shared/limits.ts';
import type { DmaWindow } from '../shared/manifest/ceiling.ts';
import type { InterruptMetrics } from '../shared/manifest/interrupt-budget.ts';
import { type LeakBounds, readLeakBounds } from '../shared/manifest/leak.ts';
import { type RunEntry, STATIC_PROGRAM } from '../shared/manifest/policy-run.ts';
import { isErrno } from '../shared/node/errno.ts';
import type { BrokerTask } from './broker/program.ts';
import type { Report } from './broker/report.ts';
import type { StatusName } from './broker/wire.ts';
import type { DeviceRefusal } from './direct/refusals.ts';
import { Listening } from './direct-listening.ts';
import {
  DEVICE_FD,
  type DirectWindow,
  DRIVER_VARIABLE,
  type Handed,
  handedDirect,
  handedTo,
} from './handed.ts';
import { type Broker, startBroker } from './host/broker.ts';
import { type Cgroup, makeCgroup } from './host/cgroup.ts';
import { type Driver, type DriverEnd, type Launch, launch } from './host/launch.ts';
import { groupName } from './host/left-groups.ts';
import { libc } from './host/libc.ts';
import { isListenable } from './host/refused-calls.ts';
import { freeUsers } from './host/users.ts';
import type { PreparedRun } from './prepare-run.ts';
import { type Relay, type RelayBudget, relayInterrupts } from './relay.ts';
import { directProfile } from './sandbox/direct-profile.ts';
import { RUNTIME_PROFILE, STATIC_PROFILE } from './sandbox/profiles.ts';

export interface Starting {
  readonly device: string;
  readonly prepared: PreparedRun;
  /** The device's descriptor, for the broker, or for the driver itself. */
  readonly vfio: number;
  readonly registers: BrokeredRegisters | DirectRegisters;
  readonly memories: readonly (DmaWindow & { readonly fd: number })[];
  readonly interrupts: {
    /** What the kernel signals. */
    readonly vectors: readonly number[];
    readonly budget: RelayBudget;
  };
}

/** The driver asks a broker, which has this task. */
export interface BrokeredRegisters {
  readonly mode: 'brokered';
  readonly task: BrokerTask;
}

/** The driver has the device's descriptor, and its filter lets it reach these. */
export interface DirectRegisters {
  readonly mode: 'direct';
  readonly windows: readonly DirectWindow[];
}

/** Something that was asked of the device and refused, worth a line. */
export type Refusal =
  | { readonly by: 'broker'; readonly report: Report }
  | { readonly by: 'filter'; readonly refusal: DeviceRefusal };

/** Why a driver is to be stopped. */
export type RunEnd =
  | { readonly why: 'driver-ended'; readonly end: DriverEnd }
  | { readonly why: 'broker-ended'; readonly end: DriverEnd }
  | { readonly why: 'interrupt-storm'; readonly vector: number };

/** A process that runs for a device, and what it may use up. */
export interface RunPart {
  readonly of: 'driver' | 'broker';
  readonly pid: number;
  /** The folder of its control group. */
  readonly group: string;
  readonly memoryBytes: number;
  readonly leak: LeakBounds;
}

export interface Running {
  readonly driver: Pick<Driver, 'pid' | 'status'>;
  /** None where the driver has the device's descriptor. */
  readonly broker: Pick<Broker, 'pid' | 'status'> | undefined;
  readonly user: number;
  readonly brokerUser: number | undefined;
  readonly descriptors: readonly Handed[];
  /** Its processes, to be watched. */
  readonly parts: readonly RunPart[];
  /** The first reason to stop it. */
  readonly over: Promise<RunEnd>;
  /** What was asked of the broker so far, by answer; without one, what the filter refused. */
  readonly accesses: ReadonlyMap<StatusName | 'refused', number>;
  /** Refusals, from now on; those before are told of at once. */
  onRefusal(then: (refusal: Refusal) => void): void;
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
  const { device, prepared, vfio, registers, memories, interrupts } = starting;
  const { program, runtime, entry } = prepared;
  const isDirect = registers.mode === 'direct';
  const [user, brokerUser] = freeUsers(prepared.users, isDirect ? 1 : 2) as [number, number?];
  const vectors = interrupts.vectors.length;
  const handed = isDirect
    ? handedDirect(registers.windows, memories, vectors)
    : handedTo(registers.task, memories, vectors);
  const groups: Cgroup[] = [];
  const parts: Omit<RunPart, 'pid'>[] = [];
  const group = (
    of: RunPart['of'],
    memoryBytes: number,
    processes: number,
    leak: LeakBounds,
  ): Cgroup => {
    const bounds = { memoryBytes, processes };
    const made = makeCgroup(prepared.cgroup, groupName(device, of), bounds, 'limits');
    groups.push(made);
    parts.push({ of, group: made.path, memoryBytes, leak });
    return made;
  };
  const refusals: Refusal[] = [];
  let tell = (refusal: Refusal): void => void refusals.push(refusal);
  const listening = new Listening(
    (refusal) => tell({ by: 'filter', refusal }),
    isDirect ? DEVICE_FD : undefined,
  );
  const events: number[] = [];
  const leave = isDirect ? libc().pipe() : undefined;
  let broker: Broker | undefined;
  let driver: Driver;
  try {
    for (const _ of interrupts.vectors) events.push(libc().eventfd());
    if (registers.mode === 'brokered')
      broker = await startBroker({
        ...{ device: vfio, task: registers.task, user: brokerUser as number },
        cgroup: group(
          'broker',
          BROKER_LIMITS.memoryBytes,
          BROKER_LIMITS.process.threads,
          readLeakBounds(undefined, BigInt(BROKER_LIMITS.memoryBytes)),
        ),
        onReport: (report) => tell({ by: 'broker', report }),
      });
    const memory = Number(entry.memoryBytes);
    driver = await launch({
      ...{ program, user, group: user },
      ...(runtime === undefined ? {} : { runtime }),
      ...told(entry, registers, listening),
      descriptors: [
        ...(leave !== undefined ? [vfio, leave[0]] : endsOf(broker)),
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
      cgroup: group('driver', memory, entry.processes, entry.leak),
    });
  } catch (error) {
    for (const fd of [...events, ...(leave?.slice(1) ?? [])]) closeSync(fd);
    listening.stop();
    await broker?.end();
    for (const one of groups) await one.end();
    throw error;
  } finally {
    // What the driver has is the driver's alone: when it is gone, the broker hears of it.
    for (const fd of [...endsOf(broker), ...(leave?.slice(0, 1) ?? [])]) closeSync(fd);
  }
  return new Started(
    {
      starting,
      broker,
      driver,
      leave: leave?.[1],
      listening,
      groups,
      parts,
      events,
      user,
      brokerUser,
      handed,
    },
    (then) => {
      tell = then;
      for (const refusal of refusals.splice(0)) then(refusal);
    },
  );
}

/** A driver's ends of what leads to its broker. */
function endsOf(broker: Broker | undefined): number[] {
  return broker === undefined ? [] : [broker.ends.requests, broker.ends.replies];
}

/**
 * What the filter refuses is told of, and answered here; the device's descriptor comes with one that is
 * made for it. A kernel whose filters cannot tell refuses by itself, where there is no such descriptor.
 */
function told(
  { program }: RunEntry,
  registers: Starting['registers'],
  listening: Listening,
): Pick<Launch, 'profile' | 'onListener'> {
  const base = program === STATIC_PROGRAM ? STATIC_PROFILE : RUNTIME_PROFILE;
  if (registers.mode === 'brokered' && !isListenable()) return {};
  const profile =
    registers.mode === 'direct' ? directProfile(base, DEVICE_FD, registers.windows) : base;
  return {
    profile: { ...profile, tells: true },
    onListener: (listener) => listening.begin(listener),
  };
}

/** V8 reserves half a GiB for code. */
const RUNTIME_ROOM = 1 << 30;
const STACK = 8 << 20;

interface Parts {
  readonly starting: Starting;
  readonly broker: Broker | undefined;
  readonly driver: Driver;
  /** To be written when a driver without a broker may begin. */
  readonly leave: number | undefined;
  readonly listening: Listening;
  readonly groups: readonly Cgroup[];
  readonly parts: readonly Omit<RunPart, 'pid'>[];
  readonly events: readonly number[];
  readonly user: number;
  readonly brokerUser: number | undefined;
  readonly handed: { readonly descriptors: readonly Handed[] };
}

class Started implements Running {
  readonly driver: Driver;
  readonly broker: Broker | undefined;
  readonly user: number;
  readonly brokerUser: number | undefined;
  readonly descriptors: readonly Handed[];
  readonly parts: readonly RunPart[];
  readonly over: Promise<RunEnd>;
  readonly onRefusal: Running['onRefusal'];
  readonly #groups: readonly Cgroup[];
  readonly #events: readonly number[];
  readonly #relay: Relay;
  readonly #listening: Listening;
  #leave: number | undefined;
  #ended: Promise<DriverEnd> | undefined;

  constructor(parts: Parts, onRefusal: Running['onRefusal']) {
    const { starting, broker, driver, listening, groups, events, user, brokerUser, handed } = parts;
    this.driver = driver;
    this.broker = broker;
    this.user = user;
    this.brokerUser = brokerUser;
    this.descriptors = handed.descriptors;
    this.parts = parts.parts.map((part) => ({
      ...part,
      pid: part.of === 'broker' ? (broker?.pid ?? 0) : driver.pid,
    }));
    this.onRefusal = onRefusal;
    this.#groups = groups;
    this.#events = events;
    this.#listening = listening;
    this.#leave = parts.leave;
    let breach: (vector: number) => void = () => {};
    const storm = new Promise<RunEnd>((resolve) => {
      breach = (vector) => resolve({ why: 'interrupt-storm', vector });
    });
    const { vectors, budget } = starting.interrupts;
    this.#relay = relayInterrupts({
      ...{ from: vectors, to: events, budget },
      onBreach: (vector) => breach(vector),
      nowMs: () => performance.now(),
    });
    this.over = Promise.race([
      driverEnd(driver, broker),
      ...(broker === undefined ? [] : [brokerEnd(broker)]),
      storm,
    ]);
    this.over.catch(() => {});
  }

  get accesses(): Running['accesses'] {
    return this.broker?.totals ?? new Map([['refused', this.#listening.total]]);
  }

  output(): string {
    return this.driver.output();
  }

  interrupts(): InterruptMetrics[] {
    return this.#relay.metrics();
  }

  serve(): void {
    this.broker?.serve();
    try {
      if (this.#leave !== undefined) writeSync(this.#leave, Uint8Array.of(1));
    } catch (error) {
      // It does not want to be told, or is gone, which is told of as its end.
      if (!(isErrno(error) && error.code === 'EPIPE')) throw error;
    }
    this.#giveUp();
  }

  #giveUp(): void {
    if (this.#leave !== undefined) closeSync(this.#leave);
    this.#leave = undefined;
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
    this.#giveUp();
    try {
      const [end] = await Promise.all([this.driver.end(), this.broker?.end()]);
      return end;
    } finally {
      this.#listening.stop();
      for (const fd of this.#events) closeSync(fd);
    }
  }
}

/**
 * What a broker counted it says at its own end, which its driver's end brings about: one that is stopped
 * before it came so far takes its totals with it. Something that the driver left behind may keep it
 * going, under the same filter, for no longer than this.
 */
export async function driverEnd(
  driver: Pick<Driver, 'ended'>,
  broker: Pick<Broker, 'ended'> | undefined,
): Promise<RunEnd> {
  const end = await driver.ended;
  if (broker !== undefined)
    await Promise.race([broker.ended, setTimeout(GRACE_MS, undefined, { ref: false })]);
  return { why: 'driver-ended', end };
}

/**
 * It ends with its driver: only without is that news. One that had no memory ended by itself, and a driver
 * that ends for want of it is not the reason.
 */
export async function brokerEnd(broker: Pick<Broker, 'ended'>): Promise<RunEnd> {
  const end = await broker.ended;
  if (end.outOfMemory === undefined) await setTimeout(GRACE_MS, undefined, { ref: false });
  return { why: 'broker-ended', end };
}

/** The broker sees the driver's end before we do. */
const GRACE_MS = 1000;
