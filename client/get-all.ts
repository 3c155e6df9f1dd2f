/** Several artifacts at once, from a repository or from several that must agree. */

import { resolve } from 'node:path';
import { IronError } from '../shared/errors.ts';
import type { DownloadOutcome } from './download.ts';
import { inParallel } from './parallel.ts';
import type { GetOptions, VerifyOptions, Wanted } from './repository.ts';
import type { KeepableTarget } from './verify-target.ts';

/** Whatever verifies artifacts and brings what it verified. */
interface Gets<T extends KeepableTarget> {
  verify(path: string, options: VerifyOptions): Promise<T>;
  download(
    verified: T,
    out: string,
    options: GetOptions,
  ): Promise<T & { readonly outcome: DownloadOutcome }>;
}

/**
 * All are verified first, each on its own, then their bytes come side by side, a few at a time. The
 * results are in the order of `wanted`. The first failure stops the others; what was whole by then has
 * its name, and nothing else has one. `E_USAGE` when two want one place.
 */
export async function getAllVerified<T extends KeepableTarget>(
  from: Gets<T>,
  wanted: readonly Wanted[],
  options: Omit<GetOptions, 'onStart'> = {},
): Promise<(T & { readonly outcome: DownloadOutcome })[]> {
  const places = new Set(wanted.map(({ out }) => resolve(out)));
  if (places.size < wanted.length) {
    throw new IronError('E_USAGE', 'two artifacts are wanted in one place', {
      hint: 'nothing was done; give each a file of its own',
    });
  }
  const verified = new Map<string, T>();
  for (const { path } of wanted) {
    options.signal?.throwIfAborted();
    // What a policy refuses is never brought, whoever asks.
    const { policy } = options;
    if (!verified.has(path)) verified.set(path, await from.verify(path, { policy }));
  }
  return inParallel(
    wanted,
    ({ path, out }, signal) => {
      const found = verified.get(path) as T;
      return from.download({ ...found, checks: [...found.checks] }, out, { ...options, signal });
    },
    options.signal,
  );
}
