/**
 * Whether what runs for a device leaks: the driver, its broker, and the process that holds the device,
 * which is this one. What a driver may use up is bounded without this (`host/cgroup.ts`, the limits of
 * `sandbox/launch-plan.ts`); here somebody hears of it before it ends by its bound.
 */

import { asIronError, isIronError } from '../../shared/errors.ts';
import { LEAK_LIMITS } from '../../shared/limits.ts';
import { judgeUse, newUse, type UseRule, type UseState } from '../../shared/manifest/leak.ts';
import { residentBytes } from '../host/resident.ts';
import { countDescriptors, readGroupMemory } from '../host/use.ts';
import type { RunPart } from '../running.ts';
import { DESCRIPTORS_MAX } from '../sandbox/profiles.ts';
import type { WatchEvent } from './event.ts';

export interface LeakWatch {
  readonly parts: readonly RunPart[];
  readonly proc: string;
  readonly nowMs: () => number;
}

export interface Looked {
  readonly events: readonly WatchEvent[];
  /** What could not be read, in words. */
  readonly unread: readonly string[];
}

/** One thing that is used, by one process. */
interface Use {
  readonly whose: string;
  readonly what: 'bytes of memory' | 'descriptors';
  /** What is said when it grows without end. */
  readonly leak: 'leak' | 'own-leak';
  /** Null where it cannot be told now. */
  readonly read: () => Promise<number | null>;
  /** How it was judged so far. */
  state: UseState;
}

export class Leaks {
  readonly #watch: LeakWatch;
  readonly #uses: readonly Use[];
  /** By the group: at how many meetings with its limit that was told. */
  readonly #hits = new Map<string, number>();
  #said: WatchEvent[] = [];

  constructor(watch: LeakWatch) {
    this.#watch = watch;
    const { parts, proc } = watch;
    this.#uses = [...parts.flatMap((part) => this.#usesOf(part)), ...ownUses(proc)];
  }

  /** Reads them all; what is gone is no news here. */
  async look(): Promise<Looked> {
    const unread: string[] = [];
    this.#said = [];
    for (const use of this.#uses) {
      try {
        const reading = await use.read();
        if (reading !== null) this.#judge(use, reading);
      } catch (error) {
        // A process that ended, or a group that was removed: whoever waits for it tells of that.
        if (isIronError(error, 'E_NOT_FOUND')) continue;
        unread.push(`${use.what} of the ${use.whose}: ${asIronError(error).message}`);
      }
    }
    return { events: this.#said, unread };
  }

  #judge(use: Use, reading: number): void {
    const { state, verdicts } = judgeUse(use.state, reading, this.#watch.nowMs());
    use.state = state;
    const { windowSeconds } = state.rule;
    for (const verdict of verdicts) {
      if (verdict.kind === 'leak') {
        const { from, to, windows } = verdict;
        const how = `grew from ${from} to ${to} through ${windows} windows of ${windowSeconds} s`;
        this.#said.push({ kind: use.leak, what: `${use.what} of the ${use.whose} ${how}` });
      } else {
        const { least, limit } = verdict;
        const how = `were ${least} of at most ${limit} for ${windowSeconds} s`;
        this.#said.push({ kind: 'near-limit', what: `${use.what} of the ${use.whose} ${how}` });
      }
    }
  }

  #usesOf({ of: whose, pid, group, memoryBytes, leak }: RunPart): Use[] {
    const rule = (growth: number, limit: number): UseState => newUse({ ...leak, growth, limit });
    return [
      {
        ...{ whose, what: 'bytes of memory', leak: 'leak' },
        state: rule(leak.memoryGrowthBytes, memoryBytes),
        read: async () => {
          const { bytes, hits } = await readGroupMemory(group);
          this.#tellHits(whose, group, hits);
          return bytes;
        },
      },
      {
        ...{ whose, what: 'descriptors', leak: 'leak' },
        state: rule(leak.descriptorGrowth, DESCRIPTORS_MAX),
        read: () => countDescriptors(this.#watch.proc, pid),
      },
    ];
  }

  /** Told when they are twice as many as when it was told last: a group can meet its limit all the time. */
  #tellHits(whose: string, group: string, hits: number): void {
    const told = this.#hits.get(group) ?? 0;
    if (hits === 0 || hits < 2 * told) return;
    this.#hits.set(group, hits);
    const what = `the control group of the ${whose} met its limit of memory, by now ${hits} times`;
    this.#said.push({ kind: 'near-limit', what });
  }
}

/** This process is bounded by no policy. */
function ownUses(proc: string): Use[] {
  const { pid } = process;
  const { windowSeconds, windows, ownMemoryBytes, ownDescriptors } = LEAK_LIMITS;
  const rule = (growth: number): UseRule => ({
    ...{ windowSeconds: windowSeconds.usual, windows: windows.usual, growth, limit: null },
  });
  return [
    {
      ...{ whose: 'process that holds it', what: 'bytes of memory', leak: 'own-leak' },
      state: newUse(rule(ownMemoryBytes)),
      read: () => residentBytes(proc, pid),
    },
    {
      ...{ whose: 'process that holds it', what: 'descriptors', leak: 'own-leak' },
      state: newUse(rule(ownDescriptors)),
      read: () => countDescriptors(proc, pid),
    },
  ];
}
