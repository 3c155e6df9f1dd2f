/**
 * Window algebra: half-open ranges of addresses, `start` to just before `end`, over bigint, so that
 * nothing wraps. An empty window does not exist: functions that could make one return undefined
 * or leave it out.
 *
 * Rounding goes inward only. What cannot be fenced by whole pages is not granted; there is on
 * purpose no function that rounds outward.
 */

import { IronError } from '../errors.ts';

export interface Window {
  readonly start: bigint;
  readonly end: bigint;
}

/** End of the space of 64-bit addresses. */
export const ADDRESS_SPACE = 1n << 64n;
/** End of the space of I/O ports. */
export const PORT_SPACE = 1n << 16n;

/** `length` addresses from `start`; `E_INTERNAL` when there are none, since no window is empty. */
export function windowAt(start: bigint, length: bigint): Window {
  if (start < 0n || length <= 0n) {
    throw new IronError('E_INTERNAL', `not a window: ${length} addresses from ${start}`);
  }
  return { start, end: start + length };
}

export function windowLength(window: Window): bigint {
  return window.end - window.start;
}

/** Whether all of `inner` lies in `outer`. */
export function contains(outer: Window, inner: Window): boolean {
  return outer.start <= inner.start && inner.end <= outer.end;
}

/** Whether the two share an address. Windows that touch do not. */
export function overlaps(a: Window, b: Window): boolean {
  return a.start < b.end && b.start < a.end;
}

/** What the two share, or undefined. */
export function intersect(a: Window, b: Window): Window | undefined {
  const start = a.start > b.start ? a.start : b.start;
  const end = a.end < b.end ? a.end : b.end;
  return start < end ? { start, end } : undefined;
}

/** What is left of `a` without `b`: none, one or two windows, in ascending order. */
export function subtract(a: Window, b: Window): Window[] {
  if (!overlaps(a, b)) return [a];
  const rest: Window[] = [];
  if (a.start < b.start) rest.push({ start: a.start, end: b.start });
  if (b.end < a.end) rest.push({ start: b.end, end: a.end });
  return rest;
}

/** What is left of all `windows` without any of `holes`. */
export function subtractAll(windows: readonly Window[], holes: readonly Window[]): Window[] {
  return holes.reduce<Window[]>(
    (rest, hole) => rest.flatMap((w) => subtract(w, hole)),
    [...windows],
  );
}

/** The same addresses in ascending windows that neither overlap nor touch. */
export function mergeWindows(windows: readonly Window[]): Window[] {
  const merged: Window[] = [];
  for (const window of [...windows].sort((a, b) => (a.start < b.start ? -1 : 1))) {
    const last = merged.at(-1);
    if (last === undefined || last.end < window.start) merged.push(window);
    else if (last.end < window.end) merged[merged.length - 1] = { ...last, end: window.end };
  }
  return merged;
}

/** Whether `window` ends in a space of `space` addresses; ending exactly at its end is inside. */
export function endsWithin(window: Window, space: bigint): boolean {
  return window.end <= space;
}

/** The whole pages inside `window`, or undefined when it holds none. `page` is a power of two. */
export function pagesInside(window: Window, page: bigint): Window | undefined {
  checkPage(page);
  const start = (window.start + page - 1n) & ~(page - 1n);
  const end = window.end & ~(page - 1n);
  return start < end ? { start, end } : undefined;
}

/** Whether `window` has addresses on both sides of a multiple of `boundary`, a power of two. */
export function crosses(window: Window, boundary: bigint): boolean {
  checkPage(boundary);
  return window.start / boundary !== (window.end - 1n) / boundary;
}

/**
 * The first `limit` pieces of `window` that begin at a multiple of `alignment` and cross no
 * multiple of `boundary`, both powers of two. What lies before an aligned start is left out.
 */
export function alignedPieces(
  window: Window,
  alignment: bigint,
  boundary: bigint | undefined,
  limit: number,
): Window[] {
  checkPage(alignment);
  if (boundary !== undefined) checkPage(boundary);
  const up = (address: bigint): bigint => (address + alignment - 1n) & ~(alignment - 1n);
  const pieces: Window[] = [];
  let start = up(window.start);
  while (start < window.end && pieces.length < limit) {
    const next = boundary === undefined ? window.end : (start / boundary + 1n) * boundary;
    const end = next < window.end ? next : window.end;
    pieces.push({ start, end });
    start = up(end);
  }
  return pieces;
}

/** Whether `window` is made of whole pages. */
export function isWholePages(window: Window, page: bigint): boolean {
  checkPage(page);
  return ((window.start | window.end) & (page - 1n)) === 0n;
}

/** The first two windows, by index, that share an address: the later one, and what it meets. */
export function firstOverlap(
  windows: readonly Window[],
): { readonly index: number; readonly earlier: number } | undefined {
  for (let index = 1; index < windows.length; index++) {
    const earlier = windows.findIndex(
      (other, i) => i < index && overlaps(other, windows[index] as Window),
    );
    if (earlier !== -1) return { index, earlier };
  }
  return undefined;
}

/** `0x1000..0x2fff`: with the last address, as people read ranges of addresses. */
export function showWindow(window: Window): string {
  return `0x${window.start.toString(16)}..0x${(window.end - 1n).toString(16)}`;
}

function checkPage(page: bigint): void {
  if (page <= 0n || (page & (page - 1n)) !== 0n) {
    throw new IronError('E_INTERNAL', `a page size that is not a power of two: ${page}`);
  }
}
