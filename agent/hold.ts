/** Holding a confined device in the foreground, until somebody wants it back or its driver ends. */

import { asIronError, IronError } from '../shared/errors.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { DeviceName } from '../shared/manifest/quarantine.ts';
import { fromErrno, isErrno } from '../shared/node/errno.ts';
import type { Agent } from './agent.ts';
import type { Confined } from './confine.ts';
import { endedEvent, type Over, outOfMemoryOf, refusedEvent } from './drive.ts';
import { type End, first, type Listen } from './first-end.ts';
import { endText, eventOf, HoldLog, reached } from './hold-log.ts';
import type { DriverEnd } from './host/launch.ts';
import { libc } from './host/libc.ts';
import { type OutOfMemory, outOfMemoryText } from './host/out-of-memory.ts';
import type { Sysfs } from './host/sysfs.ts';
import { type Heard, watchQuarantine } from './quarantine/watch-store.ts';
import { relayInterrupts } from './relay.ts';
import type { RunPart } from './running.ts';
import { takeBaseline } from './watch/baseline.ts';
import { actionFor, decide, type WatchEvent } from './watch/event.ts';
import { type Watching, watchDevice } from './watch/watch.ts';

/** Why it ended: the kernel asks for the device, we were told to stop, an error, or the driver. */
export interface HoldEnd {
  readonly why: Over['why'];
  /** What was given back, in words. */
  readonly undone: readonly string[];
  readonly driver: DriverEnd | undefined;
  /** When the kernel ended driver or broker, whichever ended first, for want of memory. */
  readonly outOfMemory?: OutOfMemory;
}

export interface Holding {
  readonly agent: Agent;
  readonly confined: Confined;
  readonly signal: AbortSignal;
  /** What could not be written down; nothing waits for it. */
  readonly onLost: (text: string) => void;
  /** It is softly in quarantine: it stands still, and is held on. */
  readonly onFrozen?: (why: string) => void;
  /** The device as it is told from others: with it, it can go into quarantine. */
  readonly named?: { readonly device: DeviceName; readonly sysfs: Sysfs };
  /** What its driver rests on, and what was so before: with it, and `named`, the device is watched. */
  readonly watched?: Pick<Watching, 'resting' | 'baseline' | 'clocks'> | undefined;
  /** How often what is new in the audit log is signed. */
  readonly signMs?: number;
}

/**
 * Waits, then brakes and gives everything back. The kernel asks when somebody unbinds or removes the
 * device, and waits until we let go: `ironport-agent release` in another process works by this. What
 * goes into the audit log meanwhile waits for whoever works on the state, and holds up nothing. When
 * listening or watching cannot begin, nobody would stop the device: it is stopped at once, all of it is
 * given back, and this throws (`E_IO`, `E_NO_SPACE`, or the cause's own code).
 */
export async function hold(holding: Holding): Promise<HoldEnd> {
  const log = new HoldLog(holding);
  const signMs = holding.signMs ?? 1000 * AGENT_LIMITS.auditHeadSeconds;
  const signing = setInterval(() => log.sign(), signMs).unref();
  try {
    return await holdOn(holding, log);
  } finally {
    clearInterval(signing);
  }
}

async function holdOn(holding: Holding, log: HoldLog): Promise<HoldEnd> {
  const { confined } = holding;
  const { device, running } = confined;
  const end = await untilOver(holding, log)
    .catch((error) => giveUp(holding, log, error))
    // Also where the end came before anybody began to watch.
    .finally(() => holding.watched?.baseline.close());
  const isStopped = log.brake();
  if (end.why === 'device-error') log.write({ event: 'device-error', device });
  const seen = eventOf(end);
  if (seen !== undefined) log.seen(seen);
  log.quarantine(end);
  const level = reached(holding, end);
  // What was not seen to stop is not kept: frozen is what it is not.
  if (level === 'soft' && isStopped) await holdFrozen(holding, log, end);
  else if (level === 'soft') log.notStopped();
  let problem: unknown;
  const undone = await confined.end().catch((error): readonly string[] => {
    problem = error;
    return [];
  });
  const driver = await running?.end().catch((error): undefined => {
    problem ??= error;
  });
  if (problem !== undefined) return await notEnded(log, problem);
  if (running !== undefined && driver !== undefined)
    log.write(endedEvent(device, running, end, driver));
  const outOfMemory = outOfMemoryOf(end, driver);
  if (outOfMemory !== undefined) log.seen(outOfMemoryEvent(end, outOfMemory));
  log.letGo(end);
  if (level !== undefined) log.afterReset();
  if (isCrash(end, driver)) log.crash(crashText(end, driver));
  await log.written;
  return { why: end.why, undone, driver, ...(outOfMemory && { outOfMemory }) };
}

/** What is not seen to be over is not free: its device is nobody's, until operators say otherwise. */
async function notEnded(log: HoldLog, problem: unknown): Promise<never> {
  log.lost('driver and device were not seen to end', problem);
  log.notStopped('driver and device were not seen to end');
  await log.written;
  throw problem;
}

function outOfMemoryEvent({ why }: Over, outOfMemory: OutOfMemory): WatchEvent {
  const whose = why === 'broker-ended' ? 'broker' : 'driver';
  const what = `the kernel ended the ${whose}: ${outOfMemoryText(outOfMemory)}`;
  return { kind: 'out-of-memory', what };
}

/** How it ended, for whoever asks what became of it. */
function crashText(over: Over, driver: DriverEnd | undefined): string {
  const isBroker = over.why === 'broker-ended';
  return `its ${isBroker ? 'broker' : 'driver'} ended, ${endText(isBroker ? over.end : driver)}`;
}

/**
 * Frozen, and let alone for whoever wants to look at it: until it is wanted back, or goes further into
 * quarantine. A device that does something now was not stopped by this, and goes further by itself.
 */
async function holdFrozen(holding: Holding, log: HoldLog, end: Over): Promise<void> {
  holding.onFrozen?.(end.why === 'quarantined' ? end.reason : (eventOf(end)?.what ?? ''));
  try {
    const event = eventOf(await untilLetGo(holding, log));
    const level = event && actionFor(event, 'soft');
    if (event !== undefined && level !== undefined) log.enter(event, level);
  } catch (error) {
    log.lost('not held any longer', error);
  }
}

/** It ended badly by itself, or took its broker along. */
function isCrash({ why }: Over, driver: DriverEnd | undefined): boolean {
  return why === 'broker-ended' || (why === 'driver-ended' && driver?.status !== 0);
}

/** What nobody would stop is not left to run. It is bound still, as after every other end. */
async function giveUp({ confined }: Holding, log: HoldLog, error: unknown): Promise<never> {
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

async function untilOver(holding: Holding, log: HoldLog): Promise<Over> {
  const { agent, confined, named } = holding;
  const { device, running } = confined;
  running?.onRefusal((report) => log.defer(refusedEvent(device, report)));
  return await first([
    (end, fail) => {
      running?.over.then(end, fail);
      return () => {};
    },
    ...letGo(holding),
    ...errors(holding),
    ...storms(holding),
    ...watches(holding, log),
    ...(named === undefined
      ? []
      : [
          (end: End) =>
            watchQuarantine(agent, named, (heard) => end({ why: 'quarantined', ...heard })),
        ]),
  ]);
}

/**
 * The kernel recovers a device from an error that is not fatal, without asking whether it still does what
 * it was told (Documentation/PCI/pci-error-recovery.rst): it is not left to run.
 */
function errors({ confined }: Holding): Listen[] {
  const { error } = confined.events;
  if (error === undefined) return [];
  return [(end) => libc().watch(error, () => end({ why: 'device-error' }))];
}

/** A device whose driver is not run has the same budget, and nobody is told of its interrupts. */
function storms({ confined }: Holding): Listen[] {
  const { running, budget, events } = confined;
  if (running !== undefined || budget === undefined || events.vectors.length === 0) return [];
  return [
    (end) =>
      relayInterrupts({
        ...{ from: events.vectors, to: [], budget },
        onBreach: (vector) => end({ why: 'interrupt-storm', vector }),
        nowMs: () => performance.now(),
      }).stop,
  ];
}

/** Watching as long as it is held: what stops it ends the wait, the rest is written down. */
function watches(
  { agent, confined, named, watched }: Holding,
  log: HoldLog,
  parts: readonly RunPart[] = confined.running?.parts ?? [],
): Listen[] {
  if (named === undefined || watched === undefined) return [];
  const { device, vfio } = confined;
  const begin: Listen = (end) => {
    const onEvent = (event: WatchEvent): void => {
      if (decide(event) === 'observe') log.seen(event);
      else if (event.kind === 'slept') end({ why: 'slept', what: event.what });
      else end({ why: 'watched', event });
    };
    return watchDevice({ agent, sysfs: named.sysfs, device, vfio, parts, ...watched, onEvent });
  };
  return [begin];
}

/** Until somebody wants it back, it does something, or it goes further into quarantine than to be frozen. */
async function untilLetGo(holding: Holding, log: HoldLog): Promise<Over> {
  const { agent, named } = holding;
  const watched = await watchAnew(holding, log);
  return await first([
    ...letGo(holding),
    ...errors(holding),
    // What is frozen uses no more than it did.
    ...watches({ ...holding, watched }, log, []),
    ...(named === undefined
      ? []
      : [
          (end: End) => {
            const then = (heard: Heard): void => end({ why: 'quarantined', ...heard });
            return watchQuarantine(agent, named, then, 'hard');
          },
        ]),
  ]).finally(() => watched?.baseline.close());
}

/** What its driver did before it was stopped was seen; from here on it is the device. */
async function watchAnew(
  { confined, named, watched }: Holding,
  log: HoldLog,
): Promise<Holding['watched']> {
  if (named === undefined || watched === undefined) return undefined;
  try {
    return { ...watched, baseline: await takeBaseline(named.sysfs, confined.device) };
  } catch (error) {
    log.lost('not watched while it is frozen', error);
    return undefined;
  }
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
