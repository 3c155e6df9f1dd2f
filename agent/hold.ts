/** Holding a confined device in the foreground, until somebody wants it back. */

import type { Confined } from './confine.ts';
import { libc } from './host/libc.ts';

/** Why it ended: the kernel asks for the device, or this process was told to stop. */
export interface HoldEnd {
  readonly why: 'asked' | 'stopped';
  /** What was given back, in words. */
  readonly undone: readonly string[];
}

/**
 * Waits, then brakes and gives everything back. The kernel asks when somebody unbinds or removes the
 * device, and waits until we let go: `ironport-agent release` in another process works by this.
 */
export async function hold(confined: Confined, signal: AbortSignal): Promise<HoldEnd> {
  const why = await untilAsked(confined.events.request, signal);
  return { why, undone: confined.end() };
}

function untilAsked(request: number, signal: AbortSignal): Promise<HoldEnd['why']> {
  return new Promise((resolve) => {
    const end = (why: HoldEnd['why']): void => {
      unwatch();
      resolve(why);
    };
    const unwatch = libc().watch(request, () => end('asked'));
    if (signal.aborted) end('stopped');
    else signal.addEventListener('abort', () => end('stopped'), { once: true });
  });
}
