/** Waiting for whichever comes first of all that ends the holding of a device. */

import type { Over } from './drive.ts';

export type End = (over: Over) => void;

/** Begins to listen for one thing that ends the wait; returns how to stop. */
export type Listen = (end: End, fail: (error: unknown) => void) => () => void;

/**
 * The first end that is told, once. Then all that was begun is ended, as when one of them cannot
 * begin: what goes on listening would keep the process, and with it the device.
 */
export function first(listens: readonly Listen[]): Promise<Over> {
  return new Promise((resolve, reject) => {
    let isOver = false;
    const stops: (() => void)[] = [];
    const finish = (settle: () => void): void => {
      if (isOver) return;
      isOver = true;
      for (const stop of stops) stop();
      settle();
    };
    const fail = (error: unknown): void => finish(() => reject(error));
    try {
      for (const listen of listens) {
        if (isOver) return;
        const stop = listen((told) => finish(() => resolve(told)), fail);
        // Told of while it was begun.
        if (isOver) stop();
        else stops.push(stop);
      }
    } catch (error) {
      fail(error);
    }
  });
}
