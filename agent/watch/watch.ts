/** Watching a device that is held: looks again and again, and tells of what it sees, once each. */

import { asIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { VfioDevice } from '../host/vfio-device.ts';
import type { RunPart } from '../running.ts';
import { isAnswering } from './answering.ts';
import type { Baseline } from './baseline.ts';
import type { WatchEvent } from './event.ts';
import { evidenceEvents, type Resting } from './evidence.ts';
import { Leaks } from './leaks.ts';
import { type PathState, pathEvents, readPath, standingEvents } from './path.ts';
import { type Clocks, Sleeps } from './slept.ts';

export interface Watching {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  readonly device: string;
  readonly vfio: Pick<VfioDevice, 'readConfig'>;
  readonly resting: Resting;
  /** What comes after it is told of. It is closed when watching ends. */
  readonly baseline: Baseline;
  /** The processes that run for it; none where no driver is run. */
  readonly parts: readonly RunPart[];
  readonly onEvent: (event: WatchEvent) => void;
  readonly everyMs?: number;
  readonly clocks?: Clocks;
}

/** Begins; returns how to stop. What cannot be watched is told as an event that stops nothing. */
export function watchDevice(watching: Watching): () => void {
  const watch = new Watch(watching);
  watch.begin();
  return () => watch.stop();
}

class Watch {
  readonly #watching: Watching;
  readonly #told = new Set<string>();
  readonly #leaks: Leaks;
  readonly #sleeps: Sleeps;
  #path: PathState;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #round = 0;

  constructor(watching: Watching) {
    this.#watching = watching;
    this.#path = watching.baseline.path;
    const { parts, agent, clocks } = watching;
    this.#sleeps = new Sleeps(clocks);
    this.#leaks = new Leaks({ parts, proc: agent.proc, nowMs: () => performance.now() });
  }

  begin(): void {
    const { log, path } = this.#watching.baseline;
    if (log === undefined)
      this.#tell({ kind: 'records-lost', what: 'the log of the kernel cannot be read here' });
    for (const event of standingEvents(path)) this.#tell(event);
    void this.#look();
  }

  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#watching.baseline.close();
  }

  async #look(): Promise<void> {
    const { everyMs = AGENT_LIMITS.watchMs } = this.#watching;
    const looks = [
      ...[this.#sleep, this.#config, this.#records, this.#counters, this.#use, this.#evidence],
    ];
    for (const look of looks) {
      if (this.#isOver) return;
      try {
        await look.call(this);
      } catch (error) {
        this.#tell({ kind: 'evidence', what: `not watched: ${asIronError(error).message}` });
      }
    }
    this.#round++;
    if (!this.#isOver) this.#timer = setTimeout(() => void this.#look(), everyMs);
  }

  #sleep(): void {
    const seconds = this.#sleeps.look();
    if (seconds === undefined) return;
    const what = `the machine was suspended for ${Math.round(seconds)} s while the device was held`;
    this.#watching.onEvent({ kind: 'slept', what });
  }

  #config(): void {
    if (isAnswering(this.#watching.vfio)) return;
    this.#tell({ kind: 'lost', what: 'configuration space reads as ones: the device is gone' });
  }

  #records(): void {
    for (const event of this.#watching.baseline.log?.read() ?? []) this.#watching.onEvent(event);
  }

  async #counters(): Promise<void> {
    const { sysfs, device, onEvent } = this.#watching;
    const now = await readPath(sysfs, device);
    if (this.#isOver) return;
    for (const event of pathEvents(this.#path, now)) onEvent(event);
    for (const { bdf, unread } of now)
      for (const what of unread)
        this.#tell({ kind: 'evidence', what: `not watched: ${bdf} ${what}` });
    this.#path = now;
  }

  async #use(): Promise<void> {
    const { events, unread } = await this.#leaks.look();
    if (this.#isOver) return;
    for (const event of events) this.#watching.onEvent(event);
    for (const what of unread) this.#tell({ kind: 'evidence', what: `not watched: ${what}` });
  }

  async #evidence(): Promise<void> {
    if (this.#round % AGENT_LIMITS.evidenceRounds !== 0) return;
    const { agent, resting } = this.#watching;
    for (const event of await evidenceEvents(agent, resting)) this.#tell(event);
  }

  /** What stays so is told once. */
  #tell(event: WatchEvent): void {
    const key = `${event.kind} ${event.what}`;
    if (this.#isOver || this.#told.has(key)) return;
    this.#told.add(key);
    this.#watching.onEvent(event);
  }
}
