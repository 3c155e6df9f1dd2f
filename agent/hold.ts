/** Holding a confined device in the foreground, until somebody wants it back or its driver ends. */

import { asIronError } from '../shared/errors.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { HostState } from '../shared/manifest/host-lifecycle.ts';
import type { DeviceName } from '../shared/manifest/quarantine.ts';
import type { Agent } from './agent.ts';
import type { AuditEvent } from './audit.ts';
import type { Confined } from './confine.ts';
import { endedEvent, type Over, refusedEvent } from './drive.ts';
import type { DriverEnd } from './host/launch.ts';
import { libc } from './host/libc.ts';
import type { Sysfs } from './host/sysfs.ts';
import { enterQuarantine } from './quarantine/enter.ts';
import { watchQuarantine } from './quarantine/watch-store.ts';
import { transitions } from './transitions.ts';

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
  /** The device as it is told from others: with it, it can go into quarantine. */
  readonly named?: { readonly device: DeviceName; readonly sysfs: Sysfs };
}

/** What of a device's or a driver's doing takes the device out of service. */
const INCIDENTS: Readonly<Partial<Record<Over['why'], string>>> = {
  'device-error': 'it reported an error',
  'interrupt-storm': 'its interrupts went over their budget',
};

/**
 * Waits, then brakes and gives everything back. The kernel asks when somebody unbinds or removes the
 * device, and waits until we let go: `ironport-agent release` in another process works by this. What
 * goes into the audit log meanwhile waits for whoever works on the state, and holds up nothing.
 */
export async function hold(holding: Holding): Promise<HoldEnd> {
  const { confined } = holding;
  const { device, running } = confined;
  const log = new Log(holding);
  running?.onRefusal((report) => log.write(refusedEvent(device, report)));
  const end = await untilOver(holding);
  log.brake();
  if (end.why === 'device-error') log.write({ event: 'device-error', device });
  log.quarantine(end);
  // Frozen, and let alone for whoever wants to look at it: until it is wanted back.
  if (end.why === 'quarantined' && end.level === 'soft') await untilLetGo(holding);
  const undone = await confined.end();
  const driver = await running?.end();
  if (running !== undefined && driver !== undefined)
    log.write(endedEvent(device, running, end, driver));
  log.letGo(end);
  await log.written;
  return { why: end.why, undone, driver };
}

/** What is written down while a device is held, in its order. */
class Log {
  written = Promise.resolve();
  readonly #holding: Holding;

  constructor(holding: Holding) {
    this.#holding = holding;
  }

  /** Stops the device; a failure is told, and holds up nothing. */
  brake(): void {
    try {
      this.#holding.confined.brake();
    } catch (error) {
      this.#lost('the brake met a failure, and went on', error);
    }
  }

  write(event: AuditEvent, signs: 'now' | 'due' = 'due'): void {
    const { audit } = this.#holding.agent;
    this.#alone('not in the audit log', () => audit.append(event), signs);
  }

  /** Durable quarantine for what was braked because of what it did; a line for what was put there. */
  quarantine(over: Over): void {
    const { agent, confined, named } = this.#holding;
    const braked = { event: 'braked', device: confined.device, why: over.why };
    const states = transitions(confined.device, stateOf(confined), 'quarantined');
    const reason = INCIDENTS[over.why];
    if (over.why === 'quarantined')
      this.#alone('not in the audit log', () => agent.audit.append(braked, ...states), 'now');
    if (reason === undefined || named === undefined) return;
    const { device, sysfs } = named;
    const enter = async (): Promise<void> => {
      await agent.audit.append(braked, ...states).catch(() => {});
      await enterQuarantine(agent, sysfs, { device, level: 'hard', reason });
    };
    this.#alone('not in quarantine', enter, 'now');
  }

  /** It is bound still, unless it is in quarantine, and reaches nothing. */
  letGo(over: Over): void {
    const { agent, confined, named } = this.#holding;
    const isQuarantined =
      over.why === 'quarantined' || (named !== undefined && INCIDENTS[over.why] !== undefined);
    const events = isQuarantined ? [] : transitions(confined.device, stateOf(confined), 'claimed');
    this.#alone('not in the audit log', () => agent.audit.append(...events), 'now');
  }

  #alone(problem: string, act: () => Promise<unknown>, signs: 'now' | 'due'): void {
    const { agent } = this.#holding;
    const waitMs = 1000 * AGENT_LIMITS.auditWaitSeconds;
    this.written = this.written.then(async () => {
      try {
        await agent.alone(act, { waitMs, signs });
      } catch (error) {
        this.#lost(problem, error);
      }
    });
  }

  #lost(problem: string, error: unknown): void {
    this.#holding.onLost(`${problem}: ${asIronError(error).message}`);
  }
}

function stateOf({ running }: Confined): HostState {
  return running === undefined ? 'confined' : 'active';
}

type End = (over: Over) => void;

function untilOver({ agent, confined, signal, named }: Holding): Promise<Over> {
  const { events, running } = confined;
  return first((end, fail) => {
    // The kernel recovers a device from an error that is not fatal, without asking whether it still
    // does what it was told (Documentation/PCI/pci-error-recovery.rst): it is not left to run.
    const { error } = events;
    running?.over.then(end, fail);
    return [
      ...letGo(events.request, signal, end),
      ...(error === undefined ? [] : [libc().watch(error, () => end({ why: 'device-error' }))]),
      ...(named === undefined
        ? []
        : [watchQuarantine(agent, named.device, (heard) => end({ why: 'quarantined', ...heard }))]),
    ];
  });
}

async function untilLetGo({ confined, signal }: Holding): Promise<void> {
  await first((end) => letGo(confined.events.request, signal, end));
}

/** The kernel asks for the device, or we are told to stop. */
function letGo(request: number, signal: AbortSignal, end: End): (() => void)[] {
  const stop = (): void => end({ why: 'stopped' });
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return [libc().watch(request, () => end({ why: 'asked' }))];
}

/** The first end that is told, once; then all that `begin` began is ended. */
function first(begin: (end: End, fail: (error: unknown) => void) => (() => void)[]): Promise<Over> {
  return new Promise((resolve, reject) => {
    let over: Over | undefined;
    let watches: (() => void)[] = [];
    watches = begin((told) => {
      if (over !== undefined) return;
      over = told;
      for (const unwatch of watches) unwatch();
      resolve(told);
    }, reject);
    // Told of while it was begun.
    if (over !== undefined) for (const unwatch of watches) unwatch();
  });
}
