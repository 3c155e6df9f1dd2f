/** What the header fields of a file promise to caches and to browsers. */

import type { Got } from './http.ts';

/** What stands longest in caches may not be what moves; so many seconds are no harm. */
const MOVING = 300;
/** What never changes is worth keeping for at least so many seconds. */
const FIXED = 3600;

/** Whether an auditor's browser, on a page of another origin, may read it; undefined when it may. */
export function corsFinding({ header }: Got): string | undefined {
  const allowed = header('access-control-allow-origin');
  if (allowed === '*' || allowed === 'https://auditor.example') return undefined;
  return allowed === undefined
    ? 'no access-control-allow-origin: no browser on another page can verify it'
    : `access-control-allow-origin is ${JSON.stringify(allowed.slice(0, 80))}`;
}

/**
 * Whether caches keep it as long as its name allows (RFC 9111 5.2.2): one that moves for minutes at
 * most, one that never changes for an hour at least. Undefined when they do.
 */
export function cacheFinding({ header }: Got, moves: boolean): string | undefined {
  const field = header('cache-control')?.toLowerCase() ?? '';
  const words = field.split(',').map((word) => word.trim());
  const never = words.includes('no-store') || words.includes('no-cache');
  const ages = words.flatMap(
    (word) => /^(?:s-maxage|max-age)="?(\d{1,10})"?$/.exec(word)?.[1] ?? [],
  );
  const longest = never ? 0 : ages.length === 0 ? undefined : Math.max(...ages.map(Number));
  if (moves) {
    if (longest === undefined)
      return 'it moves, and no cache-control says so: caches guess how long they keep it';
    return longest > MOVING ? `it moves, and caches may keep it for ${longest} seconds` : undefined;
  }
  if (longest !== undefined && longest < FIXED)
    return `its name never means other bytes, and caches may keep it for ${longest} seconds`;
  return undefined;
}
