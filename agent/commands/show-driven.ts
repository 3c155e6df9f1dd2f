/** What became of a driver that was run. */

import type { JsonObject } from '../../shared/json/value.ts';
import { interruptJson } from '../../shared/manifest/interrupt-budget.ts';
import type { HoldEnd } from '../hold.ts';
import { outOfMemoryText } from '../host/out-of-memory.ts';
import type { Running } from '../running.ts';

/** In `--json`; null when none was run. */
export function drivenJson(
  running: Running | undefined,
  held: HoldEnd | undefined,
): JsonObject | null {
  if (running === undefined || held === undefined) return null;
  return {
    why: held.why,
    status: held.driver?.status ?? null,
    signal: held.driver?.signal ?? null,
    out_of_memory: held.outOfMemory ?? null,
    user: running.user,
    descriptors: running.descriptors.map(({ fd, what }) => ({ fd, what })),
    accesses: Array.from(running.accesses, ([answer, count]) => ({ answer, count })),
    interrupts: running
      .interrupts()
      .map((one) => ({ passed: one.irqCalls, ...interruptJson(one) })),
    output: running.output(),
  };
}

/** Why the kernel ended what ended first, where it was the kernel: said right after that. */
export function whyText({ outOfMemory }: HoldEnd): string {
  return outOfMemory === undefined ? '' : `: ${outOfMemoryText(outOfMemory)}`;
}

export function drivenText(running: Running | undefined, held: HoldEnd | undefined): string[] {
  if (running === undefined || held === undefined) return [];
  const { status, signal } = held.driver ?? {};
  const refused = Array.from(running.accesses).filter(([answer]) => answer !== 'good');
  const count = refused.reduce((sum, [, one]) => sum + one, 0);
  return [
    `driver   ${held.why}${whyText(held)}, ${signal === null ? `status ${status}` : `ended by ${signal}`}`,
    `access   ${running.accesses.get('good') ?? 0} served, ${count} refused`,
    ...running
      .output()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => `said     ${line}`),
  ];
}
