/** Starting the driver of a device that is confined, and what the audit log says about it. */

import { AGENT_LIMITS, BROKER_LIMITS } from '../shared/limits.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import { interruptJson } from '../shared/manifest/interrupt-budget.ts';
import type { AuditEvent } from './audit.ts';
import { msixRegisters } from './broker/msix.ts';
import { BROKER_FD } from './broker/serve.ts';
import { brokerTask } from './broker/task.ts';
import type { DrivenParts } from './confine.ts';
import { directWindows } from './direct/task.ts';
import type { DriverEnd } from './host/launch.ts';
import type { OutOfMemory } from './host/out-of-memory.ts';
import { requireListenable } from './host/refused-calls.ts';
import type { PreparedRun } from './prepare-run.ts';
import type { Heard } from './quarantine/watch-store.ts';
import {
  type BrokeredRegisters,
  type DirectRegisters,
  type Refusal,
  type RunEnd,
  type Running,
  startDriver,
} from './running.ts';
import { cutText } from './sound-text.ts';
import type { WatchEvent } from './watch/event.ts';

export interface Driving {
  readonly device: string;
  readonly grant: Pick<Grant, 'mmio' | 'ports' | 'interrupts' | 'mode'>;
  readonly prepared: PreparedRun;
  readonly parts: DrivenParts;
  readonly record: (event: AuditEvent) => Promise<unknown>;
  /** Where the kernel says what its filters can do; /proc when left out. */
  readonly proc?: string;
}

/** PCI 3.0, 6.1: the part of configuration space that has the list of capabilities. */
const CONFIG_LENGTH = 256;

/**
 * Starts the driver, and its broker where it has one; each is confined, was looked at, and waits. A
 * driver with the device's descriptor does not wait, but its device reaches nothing yet. Throws as
 * `launch` does.
 */
export async function driveDevice(driving: Driving): Promise<Running> {
  const { device, grant, prepared, parts, record } = driving;
  const { vfio, memories, vectors } = parts;
  const running = await startDriver({
    ...{ device, prepared, memories, vfio: vfio.fd },
    registers: grant.mode === 'direct' ? direct(driving) : brokered(driving),
    interrupts: { vectors, budget: grant.interrupts },
  });
  try {
    await record(startedEvent(device, prepared, running));
    return running;
  } catch (error) {
    await running.end();
    throw error;
  }
}

function brokered({ grant, prepared, parts: { vfio } }: Driving): BrokeredRegisters {
  const bars = [...new Set([...grant.mmio, ...grant.ports].map(({ bar }) => bar))];
  const task = brokerTask(
    grant,
    bars.map((index) => ({ index, ...vfio.region(index) })),
    msixRegisters(vfio.readConfig(0, CONFIG_LENGTH)),
    { perSecond: prepared.entry.accessesPerSecond, burst: BROKER_LIMITS.burst },
  );
  return { mode: 'brokered', task };
}

function direct({ grant, parts: { vfio }, proc = '/proc' }: Driving): DirectRegisters {
  requireListenable(proc);
  const regions = [0, 1, 2, 3, 4, 5].map((index) => ({ index, ...vfio.region(index) }));
  return { mode: 'direct', windows: directWindows(grant, regions) };
}

const LOOKED_AT = ['Seccomp', 'NoNewPrivs', 'CapEff', 'CapPrm', 'CapBnd', 'Uid'];

function startedEvent(device: string, prepared: PreparedRun, running: Running): AuditEvent {
  const { driver, broker, user, brokerUser, descriptors } = running;
  return {
    event: 'driver-started',
    device,
    path: prepared.path,
    sha256: prepared.sha256,
    program: prepared.entry.program,
    process: driver.pid,
    user,
    mode: broker === undefined ? 'direct' : 'brokered',
    broker:
      broker === undefined
        ? null
        : {
            process: broker.pid,
            user: brokerUser ?? null,
            descriptors: Object.entries(BROKER_FD).map(([what, fd]) => `${fd}: ${what}`),
          },
    status: LOOKED_AT.map((name) => `${name} ${driver.status.get(name) ?? ''}`),
    descriptors: descriptors.map(({ fd, what }) => `${fd}: ${what}`),
  };
}

export function refusedEvent(device: string, refused: Refusal): AuditEvent {
  if (refused.by === 'filter') {
    const { what, ofDevice, count, arguments: args } = refused.refusal;
    const event = ofDevice ? 'device-call-refused' : 'call-refused';
    return { event, device, what, count, arguments: [...args] };
  }
  const { status, count, example } = refused.report;
  return { event: 'access-refused', device, why: status, count, example: { ...example } };
}

/**
 * Why a device is stopped: somebody wants it, or put it into quarantine, it reported an error, the machine
 * slept, or its driver's doing.
 */
export type Over =
  | { readonly why: 'asked' | 'stopped' | 'device-error' }
  | ({ readonly why: 'quarantined' } & Heard)
  | { readonly why: 'watched'; readonly event: WatchEvent }
  | { readonly why: 'slept'; readonly what: string }
  | RunEnd;

/** Of whom it was that ended: a driver whose broker was ended so did nothing about it. */
export function outOfMemoryOf(over: Over, driver: DriverEnd | undefined): OutOfMemory | undefined {
  return (over.why === 'broker-ended' ? over.end : driver)?.outOfMemory;
}

export function endedEvent(
  device: string,
  running: Pick<Running, 'accesses' | 'interrupts' | 'output'>,
  over: Over,
  driver: DriverEnd,
): AuditEvent {
  const { status, signal } = driver;
  return {
    event: 'driver-ended',
    device,
    why: over.why,
    vector: over.why === 'interrupt-storm' ? over.vector : null,
    status,
    signal,
    out_of_memory: outOfMemoryOf(over, driver) ?? null,
    accesses: Object.fromEntries(running.accesses),
    interrupts: running.interrupts().map(interruptJson),
    output: cutText(running.output(), AGENT_LIMITS.driverOutputAudited),
  };
}
