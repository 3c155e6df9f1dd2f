/** Starting the driver of a device that is confined, and what the audit log says about it. */

import { AGENT_LIMITS, BROKER_LIMITS } from '../shared/limits.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import type { AuditEvent } from './audit.ts';
import { msixRegisters } from './broker/msix.ts';
import type { Report } from './broker/report.ts';
import { brokerTask } from './broker/task.ts';
import type { DrivenParts } from './confine.ts';
import type { DriverEnd } from './host/launch.ts';
import type { PreparedRun } from './prepare-run.ts';
import type { Heard } from './quarantine/watch-store.ts';
import { type RunEnd, type Running, startDriver } from './running.ts';

export interface Driving {
  readonly device: string;
  readonly grant: Pick<Grant, 'mmio' | 'ports' | 'interrupts'>;
  readonly prepared: PreparedRun;
  readonly parts: DrivenParts;
  readonly record: (event: AuditEvent) => Promise<unknown>;
}

/** PCI 3.0, 6.1: the part of configuration space that has the list of capabilities. */
const CONFIG_LENGTH = 256;

/** Starts broker and driver; both are confined, were looked at, and wait. Throws as `launch` does. */
export async function driveDevice(driving: Driving): Promise<Running> {
  const { device, grant, prepared, parts, record } = driving;
  const { vfio, memories, vectors } = parts;
  const bars = [...new Set([...grant.mmio, ...grant.ports].map(({ bar }) => bar))];
  const task = brokerTask(
    grant,
    bars.map((index) => ({ index, ...vfio.region(index) })),
    msixRegisters(vfio.readConfig(0, CONFIG_LENGTH)),
    { perSecond: prepared.entry.accessesPerSecond, burst: BROKER_LIMITS.burst },
  );
  const running = await startDriver({
    ...{ device, prepared, task, memories },
    vfio: vfio.fd,
    interrupts: { vectors, perSecond: grant.interrupts.perSecondBudget },
  });
  try {
    await record(startedEvent(device, prepared, running));
    return running;
  } catch (error) {
    await running.end();
    throw error;
  }
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
    broker: { process: broker.pid, user: brokerUser },
    status: LOOKED_AT.map((name) => `${name} ${driver.status.get(name) ?? ''}`),
    descriptors: descriptors.map(({ fd, what }) => `${fd}: ${what}`),
  };
}

export function refusedEvent(device: string, { status, count, example }: Report): AuditEvent {
  return { event: 'access-refused', device, why: status, count, example: { ...example } };
}

/**
 * Why a device is stopped: somebody wants it, or put it into quarantine, it reported an error, or its
 * driver's doing.
 */
export type Over =
  | { readonly why: 'asked' | 'stopped' | 'device-error' }
  | ({ readonly why: 'quarantined' } & Heard)
  | RunEnd;

export function endedEvent(
  device: string,
  running: Running,
  over: Over,
  { status, signal }: DriverEnd,
): AuditEvent {
  return {
    event: 'driver-ended',
    device,
    why: over.why,
    vector: over.why === 'interrupt-storm' ? over.vector : null,
    status,
    signal,
    accesses: Object.fromEntries(running.accesses),
    interrupts: running.interrupts().map(({ irqCalls, missed }) => ({ passed: irqCalls, missed })),
    output: running.output().slice(0, AGENT_LIMITS.driverOutputAudited),
  };
}
