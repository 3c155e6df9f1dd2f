/** Spending a budget of bytes on windows. */

import { pagesInside, type Window, windowLength } from './windows.ts';

/**
 * `items` from the first on, while their windows fit into `budget` bytes together. The first that
 * does not fit is cut to the whole pages that do; what follows is left out.
 */
export function takeBytes<T extends { readonly window: Window }>(
  items: readonly T[],
  budget: bigint,
  page: bigint,
): T[] {
  const kept: T[] = [];
  let left = budget;
  for (const item of items) {
    const { start, end } = item.window;
    if (windowLength(item.window) > left) {
      const part = pagesInside({ start, end: start + left }, page);
      if (part !== undefined) kept.push({ ...item, window: part });
      return kept;
    }
    kept.push(item);
    left -= end - start;
  }
  return kept;
}
