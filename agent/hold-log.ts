/** What is written down while a device is held, and how far what was seen takes it out of service. */

import { asIronError, type IronError, isIronError } from '../shared/errors.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { HostState } from '../shared/manifest/host-lifecycle.ts';
import { WorkQueue } from '../shared/manifest/interrupt-budget.ts';
import type { Level } from '../shared/manifest/quarantine.ts';
import type { AuditEvent } from './audit.ts';
import type { Confined } from './confine.ts';
import type { Over } from './drive.ts';
import type { Holding } from './hold.ts';
import type { DriverEnd } from './host/launch.ts';
import { outOfMemoryText } from './host/out-of-memory.ts';
import type { Sysfs } from './host/sysfs.ts';
import { type Entering, enterQuarantine } from './quarantine/enter.ts';
import { notHeldDown } from './quarantine/hold-down.ts';
import { cutText } from './sound-text.ts';
import { transitions } from './transitions.ts';
import { isUnanswering } from './watch/answering.ts';
import { noteCrash } from './watch/crashes.ts';
import { actionFor, decide, type WatchEvent } from './watch/event.ts';

/** What was seen, when that is why a device is stopped: the table says what follows. */
export function eventOf(over: Over): WatchEvent | undefined {
  switch (over.why) {
    case 'watched':
      return over.event;
    case 'device-error':
      return { kind: 'device-error', what: 'it reported an error' };
    case 'interrupt-storm':
      return { kind: 'interrupt-storm', what: 'its interrupts went over their budget' };
    case 'slept':
      return { kind: 'slept', what: over.what };
    case 'asked':
      return { kind: 'requested', what: 'the kernel wants it back' };
    case 'driver-ended':
    case 'broker-ended': {
      const whose = over.why === 'broker-ended' ? 'broker' : 'driver';
      return { kind: 'driver-exit', what: `its ${whose} ended, ${endText(over.end)}` };
    }
    case 'stopped':
    case 'quarantined':
      return undefined;
  }
}

/** How something ended, in words. */
export function endText(end: DriverEnd | undefined): string {
  const how = end?.signal == null ? `status ${end?.status ?? 'unknown'}` : `by ${end.signal}`;
  return end?.outOfMemory === undefined ? how : `${how}: ${outOfMemoryText(end.outOfMemory)}`;
}

/** How far what was seen takes the device out of service; undefined when it does not. */
function levelOf(over: Over): Level | undefined {
  const event = eventOf(over);
  return event && actionFor(event);
}

/** How far it is out of service by now; undefined where nobody put it there, or could. */
export function reached({ named }: Holding, over: Over): Level | undefined {
  if (over.why === 'quarantined') return over.level;
  return named && levelOf(over);
}

/** What is written down while a device is held, in its order. */
export class HoldLog {
  written = Promise.resolve();
  readonly #holding: Holding;
  /** What was seen and stops nothing: no device, and no driver, makes more of it wait than this. */
  readonly #deferred = new WorkQueue<AuditEvent>(AGENT_LIMITS.deferredLines);
  /** How many of it the newest piece of work writes down; undefined where that is something else. */
  #batch: { count: number } | undefined;
  #droppedTold = 0;

  constructor(holding: Holding) {
    this.#holding = holding;
  }

  /** Stops the device; a failure is told, and holds up nothing. False when not all of it was seen to stop. */
  brake(): boolean {
    try {
      this.#holding.confined.brake();
      return true;
    } catch (error) {
      this.lost('the brake met a failure, and went on', error);
      return false;
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
      await this.#putThere({ device, level, reason }, sysfs);
    };
    this.#alone('not in quarantine', enter, 'now');
  }

  /** The driver crashed, as `how` says: too often, and the device goes into quarantine. */
  crash(how: string): void {
    const { agent, named } = this.#holding;
    if (named === undefined) return;
    const { device, sysfs } = named;
    const note = async (): Promise<void> => {
      if (!(await noteCrash(agent, device.path, how))) return;
      const event: WatchEvent = { kind: 'crash-loop', what: 'its driver crashes again and again' };
      await this.#enterBy(event, { device, sysfs });
    };
    this.#alone('not noted as a crash', note, 'now');
  }

  /** It was given back, and so reset where it can be: one that does not answer now is removed. */
  afterReset(): void {
    const { named } = this.#holding;
    if (named === undefined) return;
    const look = async (): Promise<void> => {
      if (!(await isUnanswering(named.sysfs, named.device.path))) return;
      const event: WatchEvent = { kind: 'unanswering', what: 'it does not answer after its reset' };
      await this.#enterBy(event, named);
    };
    this.#alone('not looked at after its reset', look, 'now');
  }

  /** Further into quarantine, by what was seen while it was there. */
  enter(event: WatchEvent, level: Level): void {
    const { named } = this.#holding;
    if (named !== undefined)
      this.#alone('not in quarantine', () => this.#enterBy(event, named, level), 'now');
  }

  /** It was to be softly in quarantine, and what drives it did not stand still: it is ended instead. */
  notStopped(reason = 'its brake met a failure'): void {
    const { named } = this.#holding;
    if (named === undefined) return;
    const { device, sysfs } = named;
    const enter = (): Promise<void> => this.#putThere({ device, level: 'hard', reason }, sysfs);
    this.#alone('not in quarantine', enter, 'now');
  }

  /** What is new in the log is signed, when it is time for that, also where nothing comes after it. */
  sign(): void {
    this.#alone('not signed', async () => {}, 'due');
  }

  async #enterBy(
    event: WatchEvent,
    { device, sysfs }: NonNullable<Holding['named']>,
    level = actionFor(event),
  ): Promise<void> {
    const { agent } = this.#holding;
    await agent.audit.append(watchedEvent(device.path, event, level)).catch(() => {});
    if (level !== undefined) await this.#putThere({ device, level, reason: event.what }, sysfs);
  }

  /** What of it the kernel refused is told, and it is in quarantine all the same. */
  async #putThere(entering: Entering, sysfs: Sysfs): Promise<void> {
    const { incident, held } = await enterQuarantine(this.#holding.agent, sysfs, entering);
    const problem = notHeldDown(incident, held);
    if (problem !== undefined) this.lost(`${problem.code}: ${problem.message}`, problem.why);
  }

  /** What was seen and stops nothing. */
  seen(event: WatchEvent): void {
    this.defer(watchedEvent(this.#holding.confined.device, event));
  }

  /**
   * A line in its order, by the next piece of work; with all that comes until that is done. What finds no
   * room is counted, and the number is told when there is some.
   */
  defer(event: AuditEvent): void {
    try {
      this.#deferred.push(event);
    } catch (error) {
      if (!isIronError(error, 'E_QUOTA')) throw error;
      return;
    }
    if (this.#batch !== undefined) {
      this.#batch.count++;
      return;
    }
    const batch = { count: 1 };
    const { agent, confined } = this.#holding;
    const act = async (): Promise<void> => {
      const lines = this.#taken(batch);
      // Behind all that came before it.
      const count = this.#deferred.length > 0 ? 0 : this.#deferred.dropped - this.#droppedTold;
      if (count > 0) lines.push({ event: 'lines-dropped', device: confined.device, count });
      this.#droppedTold += count;
      await agent.audit.append(...lines);
    };
    this.#alone('not in the audit log', act, 'due', () => this.#taken(batch));
    this.#batch = batch;
  }

  /** What waits for this piece of work, once: what comes from now on is another's. */
  #taken(batch: { count: number }): AuditEvent[] {
    if (this.#batch === batch) this.#batch = undefined;
    const { count } = batch;
    batch.count = 0;
    return Array.from({ length: count }, () => this.#deferred.pop());
  }

  /** It is bound still, unless it is in quarantine, and reaches nothing. */
  letGo(over: Over): void {
    const { agent, confined } = this.#holding;
    const isQuarantined = reached(this.#holding, over) !== undefined;
    const states: HostState[] = over.why === 'slept' ? ['draining', 'claimed'] : ['claimed'];
    if (over.why === 'slept' && confined.running !== undefined) states.unshift('suspended');
    const events = isQuarantined ? [] : transitions(confined.device, stateOf(confined), ...states);
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

  #alone(
    problem: string,
    act: () => Promise<unknown>,
    signs: 'now' | 'due',
    after: () => unknown = () => {},
  ): void {
    const { agent } = this.#holding;
    this.#batch = undefined;
    const waitMs = 1000 * AGENT_LIMITS.auditWaitSeconds;
    this.written = this.written.then(async () => {
      try {
        await agent.alone(act, { waitMs, signs });
      } catch (error) {
        this.lost(problem, error);
      } finally {
        after();
      }
    });
  }

  lost(problem: string, error: unknown): void {
    const why = typeof error === 'string' ? error : asIronError(error).message;
    this.#holding.onLost(`${problem}: ${why}`);
  }
}

function stateOf({ running }: Confined): HostState {
  return running === undefined ? 'confined' : 'active';
}

function watchedEvent(
  device: string,
  event: WatchEvent,
  level: Level | undefined = actionFor(event),
): AuditEvent {
  const { kind, what } = event;
  const decision = decide(event);
  return {
    event: 'watch',
    device,
    kind,
    what: cutText(what, 1000),
    decision,
    level: level ?? null,
  };
}
