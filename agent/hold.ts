/** Holding a confined device in the foreground, until somebody wants it back or its driver ends. */

import { asIronError, IronError } from '../shared/errors.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { HostState } from '../shared/manifest/host-lifecycle.ts';
import type { DeviceName, Level } from '../shared/manifest/quarantine.ts';
import { fromErrno, isErrno } from '../shared/node/errno.ts';
import type { Agent } from './agent.ts';
import type { AuditEvent } from './audit.ts';
import type { Confined } from './confine.ts';
import { endedEvent, type Over, refusedEvent } from './drive.ts';
import { type End, first, type Listen } from './first-end.ts';
import type { DriverEnd } from './host/launch.ts';
import { libc } from './host/libc.ts';
import type { Sysfs } from './host/sysfs.ts';
import { enterQuarantine } from './quarantine/enter.ts';
import { type Heard, watchQuarantine } from './quarantine/watch-store.ts';
import { cutText } from './sound-text.ts';
import { transitions } from './transitions.ts';
import { noteCrash } from './watch/crashes.ts';
import { actionFor, decide, type WatchEvent } from './watch/event.ts';
import { type Watching, watchDevice } from './watch/watch.ts';

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
  /** What its driver rests on, and what was so before: with it, and `named`, the device is watched. */
  readonly watched?: Pick<Watching, 'resting' | 'baseline'>;
}

/** What was seen, when that is why a device is stopped: the table says what follows. */
function eventOf(over: Over): WatchEvent | undefined {
  switch (over.why) {
    case 'watched':
      return over.event;
    case 'device-error':
      return { kind: 'device-error', what: 'it reported an error' };
    case 'interrupt-storm':
      return { kind: 'interrupt-storm', what: 'its interrupts went over their budget' };
    default:
      return undefined;
  }
}

/** How far what was seen takes the device out of service; undefined when it does not. */
function levelOf(over: Over): Level | undefined {
  const event = eventOf(over);
  return event && actionFor(decide(event));
}

/**
 * Waits, then brakes and gives everything back. The kernel asks when somebody unbinds or removes the
 * device, and waits until we let go: `ironport-agent release` in another process works by this. What
 * goes into the audit log meanwhile waits for whoever works on the state, and holds up nothing. When
 * listening or watching cannot begin, nobody would stop the device: it is stopped at once, all of it is
 * given back, and this throws (`E_IO`, `E_NO_SPACE`, or the cause's own code).
 */
export async function hold(holding: Holding): Promise<HoldEnd> {
  const { confined } = holding;
  const { device, running } = confined;
  const log = new Log(holding);
  const end = await untilOver(holding, log)
    .catch((error) => giveUp(holding, log, error))
    // Also where the end came before anybody began to watch.
    .finally(() => holding.watched?.baseline.close());
  log.brake();
  if (end.why === 'device-error') log.write({ event: 'device-error', device });
  else if (end.why === 'watched') log.seen(end.event);
  log.quarantine(end);
  // Frozen, and let alone for whoever wants to look at it: until it is wanted back.
  if (end.why === 'quarantined' && end.level === 'soft')
    await untilLetGo(holding).catch((error) => log.lost('not held any longer', error));
  const undone = await confined.end();
  const driver = await running?.end();
  if (running !== undefined && driver !== undefined)
    log.write(endedEvent(device, running, end, driver));
  log.letGo(end);
  if (isCrash(end, driver)) log.crash();
  await log.written;
  return { why: end.why, undone, driver };
}

/** It ended badly by itself, or took its broker along. */
function isCrash({ why }: Over, driver: DriverEnd | undefined): boolean {
  return why === 'broker-ended' || (why === 'driver-ended' && driver?.status !== 0);
}

/** What nobody would stop is not left to run. It is bound still, as after every other end. */
async function giveUp({ confined }: Holding, log: Log, error: unknown): Promise<never> {
  const { device, running } = confined;
  log.brake();
  await confined.end().catch((problem) => log.lost('not all was given back', problem));
  await running?.end().catch((problem) => log.lost('the driver was not seen to end', problem));
  const cause = isErrno(error) ? fromErrno(error) : asIronError(error);
  log.notHeld(cause);
  await log.written;
  throw new IronError(cause.code, `${device} is not held: ${cause.message}`, {
    ...(cause.why === undefined ? {} : { why: cause.why }),
    hint: `driver and device were stopped; the device is bound still, and reaches nothing: ironport-agent release --device ${device}`,
    cause,
    context: { ...cause.context, device },
  });
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
      this.lost('the brake met a failure, and went on', error);
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
    const [level, reason] = [levelOf(over), eventOf(over)?.what ?? ''];
    if (over.why === 'quarantined')
      this.#alone('not in the audit log', () => agent.audit.append(braked, ...states), 'now');
    if (level === undefined || named === undefined) return;
    const { device, sysfs } = named;
    const enter = async (): Promise<void> => {
      await agent.audit.append(braked, ...states).catch(() => {});
      await enterQuarantine(agent, sysfs, { device, level, reason });
    };
    this.#alone('not in quarantine', enter, 'now');
  }

  /** The driver crashed: too often, and the device goes into quarantine. */
  crash(): void {
    const { agent, named } = this.#holding;
    if (named === undefined) return;
    const { device, sysfs } = named;
    const note = async (): Promise<void> => {
      if (!(await noteCrash(agent, device.path))) return;
      const event: WatchEvent = { kind: 'crash-loop', what: 'its driver crashes again and again' };
      await agent.audit.append(watchedEvent(device.path, event)).catch(() => {});
      const level = actionFor(decide(event));
      if (level !== undefined)
        await enterQuarantine(agent, sysfs, { device, level, reason: event.what });
    };
    this.#alone('not noted as a crash', note, 'now');
  }

  /** What was seen and stops nothing. */
  seen(event: WatchEvent): void {
    this.write(watchedEvent(this.#holding.confined.device, event));
  }

  /** It is bound still, unless it is in quarantine, and reaches nothing. */
  letGo(over: Over): void {
    const { agent, confined, named } = this.#holding;
    const isQuarantined =
      over.why === 'quarantined' || (named !== undefined && levelOf(over) !== undefined);
    const events = isQuarantined ? [] : transitions(confined.device, stateOf(confined), 'claimed');
    this.#alone('not in the audit log', () => agent.audit.append(...events), 'now');
  }

  /** It was bound and confined, and nobody could hold it. */
  notHeld({ code, message }: IronError): void {
    const { agent, confined } = this.#holding;
    const { device } = confined;
    const event = { event: 'not-held', device, code, message: cutText(message, 1000) };
    const states = transitions(device, stateOf(confined), 'claimed');
    this.#alone('not in the audit log', () => agent.audit.append(...states, event), 'now');
  }

  #alone(problem: string, act: () => Promise<unknown>, signs: 'now' | 'due'): void {
    const { agent } = this.#holding;
    const waitMs = 1000 * AGENT_LIMITS.auditWaitSeconds;
    this.written = this.written.then(async () => {
      try {
        await agent.alone(act, { waitMs, signs });
      } catch (error) {
        this.lost(problem, error);
      }
    });
  }

  lost(problem: string, error: unknown): void {
    this.#holding.onLost(`${problem}: ${asIronError(error).message}`);
  }
}

function stateOf({ running }: Confined): HostState {
  return running === undefined ? 'confined' : 'active';
}

async function untilOver(holding: Holding, log: Log): Promise<Over> {
  const { agent, confined, named } = holding;
  const { device, events, running } = confined;
  running?.onRefusal((report) => log.write(refusedEvent(device, report)));
  const { error } = events;
  return await first([
    (end, fail) => {
      running?.over.then(end, fail);
      return () => {};
    },
    ...letGo(holding),
    // The kernel recovers a device from an error that is not fatal, without asking whether it still
    // does what it was told (Documentation/PCI/pci-error-recovery.rst): it is not left to run.
    ...(error === undefined
      ? []
      : [(end: End) => libc().watch(error, () => end({ why: 'device-error' }))]),
    ...watches(holding, log),
    ...(named === undefined
      ? []
      : [
          (end: End) =>
            watchQuarantine(agent, named, (heard) => end({ why: 'quarantined', ...heard })),
        ]),
  ]);
}

/** Watching as long as it is held: what stops it ends the wait, the rest is written down. */
function watches({ agent, confined, named, watched }: Holding, log: Log): Listen[] {
  if (named === undefined || watched === undefined) return [];
  const { device, vfio, running } = confined;
  const { parts } = running ?? { parts: [] };
  const begin: Listen = (end) => {
    const onEvent = (event: WatchEvent): void => {
      if (actionFor(decide(event)) === undefined) log.seen(event);
      else end({ why: 'watched', event });
    };
    return watchDevice({ agent, sysfs: named.sysfs, device, vfio, parts, ...watched, onEvent });
  };
  return [begin];
}

function watchedEvent(device: string, event: WatchEvent): AuditEvent {
  const { kind, what } = event;
  return { event: 'watch', device, kind, what: cutText(what, 1000), decision: decide(event) };
}

/** Until somebody wants it back, or it goes further into quarantine than to be frozen. */
async function untilLetGo(holding: Holding): Promise<void> {
  const { agent, named } = holding;
  await first([
    ...letGo(holding),
    ...(named === undefined
      ? []
      : [
          (end: End) => {
            const then = (heard: Heard): void => end({ why: 'quarantined', ...heard });
            return watchQuarantine(agent, named, then, 'hard');
          },
        ]),
  ]);
}

/** The kernel asks for the device, or we are told to stop. */
function letGo({ confined, signal }: Holding): Listen[] {
  return [
    (end) => {
      const stop = (): void => end({ why: 'stopped' });
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
      return () => signal.removeEventListener('abort', stop);
    },
    (end) => libc().watch(confined.events.request, () => end({ why: 'asked' })),
  ];
}
