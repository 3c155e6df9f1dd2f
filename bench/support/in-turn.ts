/**
 * Several things on the same inputs, in turn: A B C, A B C, … What the machine does beside (it
 * warms up, throttles, runs something else) then befalls all of them alike.
 */

import type { Usage } from './measured.ts';

export interface Contender {
  readonly name: string;
  /** One whole run; what it prepares is not part of what it returns. */
  run(): Promise<Usage>;
}

export interface Result extends Usage {
  readonly name: string;
  readonly rounds: number;
}

/** Medians over `rounds`. A contender that fails is left out from then on, and that is said. */
export async function inTurn(
  contenders: readonly Contender[],
  rounds: number,
  say: (text: string) => void,
): Promise<Result[]> {
  const samples = new Map<Contender, Usage[]>();
  for (const contender of contenders) samples.set(contender, []);
  for (let round = 0; round < rounds; round++) {
    for (const [contender, usages] of samples) {
      try {
        usages.push(await contender.run());
      } catch (error) {
        samples.delete(contender);
        say(`${contender.name} is left out: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return [...samples].map(([{ name }, usages]) => ({
    name,
    rounds: usages.length,
    wallSeconds: median(usages.map((usage) => usage.wallSeconds)) ?? Number.NaN,
    cpuSeconds: median(usages.map((usage) => usage.cpuSeconds)),
    peakMiB: median(usages.map((usage) => usage.peakMiB)),
  }));
}

/** Of what was measured; undefined when nothing was. */
export function median(numbers: readonly (number | undefined)[]): number | undefined {
  const sorted = numbers.filter((number) => number !== undefined).sort((a, b) => a - b);
  const [low, high] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.floor(sorted.length / 2)],
  ];
  return low === undefined || high === undefined ? undefined : (low + high) / 2;
}
