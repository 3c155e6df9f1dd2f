/** Watching a device that is held: looks again and again, and tells of what it sees, once each. */

import { asIronError } from '../../shared/errors.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import type { Sysfs } from '../host/sysfs.ts';
import type { VfioDevice } from '../host/vfio-device.ts';
import type { WatchEvent } from './event.ts';
import { evidenceEvents, type Resting } from './evidence.ts';
import { KernelLog } from './kernel-log.ts';
import { type PathState, pathEvents, readPath } from './path.ts';

export interface Watching {
  readonly agent: Agent;
  readonly sysfs: Sysfs;
  readonly device: string;
  readonly vfio: Pick<VfioDevice, 'readConfig'>;
  readonly resting: Resting;
  readonly onEvent: (event: WatchEvent) => void;
  /** The kernel's log; another file in a test. */
  readonly kernelLog?: string;
  readonly everyMs?: number;
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
  readonly #log: KernelLog | undefined;
  #path: PathState | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #round = 0;

  constructor(watching: Watching) {
    this.#watching = watching;
    this.#log = KernelLog.open(watching.device, watching.kernelLog);
  }

  begin(): void {
    if (this.#log === undefined)
      this.#tell({ kind: 'records-lost', what: 'the log of the kernel cannot be read here' });
    void this.#look();
  }

  stop(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#log?.close();
  }

  async #look(): Promise<void> {
    const { everyMs = AGENT_LIMITS.watchMs } = this.#watching;
    for (const look of [this.#config, this.#records, this.#counters, this.#evidence]) {
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

  /** PCI 3.0, 6.2.1: no device has the vendor 0xffff; reads that nobody answers are all ones. */
  #config(): void {
    const bytes = this.#watching.vfio.readConfig(0, 4);
    if (bytes.every((byte) => byte === 0xff))
      this.#tell({ kind: 'lost', what: 'configuration space reads as ones: the device is gone' });
  }

  #records(): void {
    for (const event of this.#log?.read() ?? []) this.#watching.onEvent(event);
  }

  async #counters(): Promise<void> {
    const { sysfs, device, onEvent } = this.#watching;
    const now = await readPath(sysfs, device);
    if (this.#isOver) return;
    if (this.#path !== undefined) for (const event of pathEvents(this.#path, now)) onEvent(event);
    for (const { bdf, unread } of now)
      for (const what of unread)
        this.#tell({ kind: 'evidence', what: `not watched: ${bdf} ${what}` });
    this.#path = now;
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
