/** Holding a confined device in the foreground, until somebody wants it back or its driver ends. */

import { asIronError } from '../shared/errors.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { Agent } from './agent.ts';
import type { AuditEvent } from './audit.ts';
import type { Confined } from './confine.ts';
import { endedEvent, type Over, refusedEvent } from './drive.ts';
import type { DriverEnd } from './host/launch.ts';
import { libc } from './host/libc.ts';

/** Why it ended: the kernel asks for the device, we were told to stop, an error, or the driver. */
export interface HoldEnd {
  readonly why: Over['why'];
  /** What was given back, in words. */
  readonly undone: readonly string[];
  readonly driver: DriverEnd | undefined;
}

export interface Holding {
  readonly agent: Agent;
  readonly confined: Confined;
  readonly signal: AbortSignal;
  /** What could not be written down; nothing waits for it. */
  readonly onLost: (text: string) => void;
}

/**
 * Waits, then brakes and gives everything back. The kernel asks when somebody unbinds or removes the
 * device, and waits until we let go: `ironport-agent release` in another process works by this. What
 * goes into the audit log meanwhile waits for whoever works on the state, and holds up nothing.
 */
export async function hold({ agent, confined, signal, onLost }: Holding): Promise<HoldEnd> {
  const { device, running } = confined;
  let written = Promise.resolve();
  const write = (event: AuditEvent, signs: 'now' | 'due' = 'due'): void => {
    written = written.then(() =>
      agent
        .alone(() => agent.audit.append(event), {
          waitMs: 1000 * AGENT_LIMITS.auditWaitSeconds,
          signs,
        })
        .then(() => {})
        .catch((error) => onLost(`not in the audit log: ${asIronError(error).message}`)),
    );
  };
  running?.onRefusal((report) => write(refusedEvent(device, report)));
  const end = await untilOver(confined, signal);
  try {
    confined.brake();
  } catch (error) {
    onLost(`the brake met a failure, and went on: ${asIronError(error).message}`);
  }
  if (end.why === 'device-error') write({ event: 'device-error', device });
  const undone = await confined.end();
  const driver = await running?.end();
  if (running !== undefined && driver !== undefined)
    write(endedEvent(device, running, end, driver), 'now');
  await written;
  return { why: end.why, undone, driver };
}

function untilOver({ events, running }: Confined, signal: AbortSignal): Promise<Over> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const end = (over: Over): void => {
      if (isOver) return;
      isOver = true;
      for (const unwatch of watches) unwatch();
      resolve(over);
    };
    const watches = [libc().watch(events.request, () => end({ why: 'asked' }))];
    // The kernel recovers a device from an error that is not fatal, without asking whether it still
    // does what it was told (Documentation/PCI/pci-error-recovery.rst): it is not left to run.
    if (events.error !== undefined)
      watches.push(libc().watch(events.error, () => end({ why: 'device-error' })));
    if (signal.aborted) end({ why: 'stopped' });
    else signal.addEventListener('abort', () => end({ why: 'stopped' }), { once: true });
    running?.over.then(end, reject);
  });
}
