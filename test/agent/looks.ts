/**
 * Counts how often a path is looked at through node:fs/promises, whoever does it. To be imported before
 * the program: what took its functions from there earlier is not counted.
 */

import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const CALLS = ['open', 'readFile', 'readdir', 'readlink', 'realpath', 'stat', 'lstat', 'access'];

let looks: Map<string, number> | undefined;

for (const call of CALLS) {
  const table = files as unknown as Record<string, (path: unknown, ...more: unknown[]) => unknown>;
  const real = table[call] as (path: unknown, ...more: unknown[]) => unknown;
  table[call] = (path, ...more) => {
    // A handle has been counted when it was opened.
    if (typeof path === 'string') looks?.set(path, (looks.get(path) ?? 0) + 1);
    return real.call(files, path, ...more);
  };
}
syncBuiltinESMExports();

/** How often each path is looked at while `act` runs; one thing at a time. */
export async function looksOf(act: () => Promise<unknown>): Promise<Map<string, number>> {
  const counted = new Map<string, number>();
  looks = counted;
  try {
    await act();
  } finally {
    looks = undefined;
  }
  return counted;
}
