/**
 * What a new ceiling asks of memory that an old one did not. What the device can reach in the end is
 * compared, and not field by field: a mask says nothing where there is no DMA, and a direction nothing
 * where fixed windows say it of each address.
 */

import { DIRECTION_ACCESS, type DmaAccess, type DmaClaim, intersectAccess } from './ceiling.ts';
import { type CeilingChange, diffNumber, narrower, other, wider } from './ceiling-change.ts';
import { explainDma } from './explain-ceiling.ts';
import { showBytes, showCount } from './numbers.ts';
import { mergeWindows, showWindow, subtractAll, type Window } from './windows.ts';

export function diffDma(before: DmaClaim, after: DmaClaim): CeilingChange[] {
  const [had, has] = [accessOf(before), accessOf(after)];
  if (had === undefined && has === undefined) return [];
  if (has === undefined)
    return [narrower(`DMA: none any more, before up to ${showBytes(before.totalBytes)} at once`)];
  if (had === undefined) return newlyAsked(after);
  return [
    ...diffAmounts(before, after),
    // Between fixed windows their lines say it, address by address.
    ...(before.windows === undefined || after.windows === undefined ? diffAccess(had, has) : []),
    ...diffPlacing(before, after),
    ...diffWindows(before, after),
  ];
}

/** What the device may do with memory at all; undefined when it has none. */
function accessOf({ totalBytes, direction, windows }: DmaClaim): DmaAccess | undefined {
  if (totalBytes === 0n) return undefined;
  if (windows === undefined) return DIRECTION_ACCESS[direction];
  const may = (access: DmaAccess): boolean =>
    windows.some((window) => intersectAccess(window.access, access) === access);
  const [reads, writes] = [may('read'), may('write')];
  if (reads && writes) return 'read-write';
  return reads ? 'read' : writes ? 'write' : undefined;
}

function newlyAsked(after: DmaClaim): CeilingChange[] {
  return explainDma(after).map(([about, says], i) =>
    wider(i === 0 ? `DMA: newly asked for: ${says}` : `${about}: ${says}`),
  );
}

function diffAmounts(before: DmaClaim, after: DmaClaim): CeilingChange[] {
  const pieces = ({ segmentsMax }: DmaClaim): number => segmentsMax ?? Number.POSITIVE_INFINITY;
  return [
    ...diffNumber(
      before.totalBytes,
      after.totalBytes,
      (from, to) =>
        `DMA: memory at once ${to > from ? 'grows' : 'shrinks'} from ${showBytes(from)} to ${showBytes(to)}`,
    ),
    ...diffNumber(
      before.windowsMax,
      after.windowsMax,
      (from, to) => `DMA: up to ${showCount(to, 'window')} at once, before ${from}`,
    ),
    ...diffNumber(
      before.maskBits,
      after.maskBits,
      (from, to) => `DMA: addresses of up to ${to} bits, before ${from}`,
    ),
    ...diffNumber(
      pieces(before),
      pieces(after),
      (from, to) =>
        `DMA: ${Number.isFinite(to) ? `up to ${showCount(to, 'piece')}` : 'any number of pieces'} in one transfer, before ${Number.isFinite(from) ? `up to ${from}` : 'any number'}`,
    ),
  ];
}

const ACCESS_WORDS = {
  read: 'read',
  write: 'write',
  'read-write': 'read and write',
} as const;

function diffAccess(had: DmaAccess, has: DmaAccess): CeilingChange[] {
  if (had === has) return [];
  // Less only when everything that the device may do now was allowed before.
  const [now, before] = [ACCESS_WORDS[has], ACCESS_WORDS[had]];
  return [
    intersectAccess(had, has) === has
      ? narrower(`DMA: the device may only ${now} memory, before ${before} it`)
      : wider(`DMA: the device may ${now} memory, before only ${before} it`),
  ];
}

/** Where windows may begin and end: neither gives the device more memory. */
function diffPlacing(before: DmaClaim, after: DmaClaim): CeilingChange[] {
  const aligned = ({ alignmentBytes: bytes }: DmaClaim): string =>
    bytes === 1n ? 'anywhere' : `at multiples of ${showBytes(bytes)}`;
  const crossing = ({ boundaryBytes: bytes }: DmaClaim): string =>
    bytes === undefined ? 'may cross any address' : `cross no multiple of ${showBytes(bytes)}`;
  return [
    ...(before.alignmentBytes === after.alignmentBytes
      ? []
      : [other(`DMA: windows begin ${aligned(after)}, before ${aligned(before)}`)]),
    ...(before.boundaryBytes === after.boundaryBytes
      ? []
      : [other(`DMA: windows ${crossing(after)}, before they ${crossing(before)}`)]),
  ];
}

function diffWindows(before: DmaClaim, after: DmaClaim): CeilingChange[] {
  const where = ({ windows = [] }: DmaClaim): string =>
    mergeWindows(windows.map(({ window }) => window))
      .map(showWindow)
      .join(', ');
  if (before.windows === undefined && after.windows === undefined) return [];
  if (after.windows === undefined)
    return [
      wider(`DMA: windows lie wherever the agent puts them, before only in ${where(before)}`),
    ];
  if (before.windows === undefined)
    return [
      narrower(`DMA: windows lie only in ${where(after)}, before wherever the agent put them`),
    ];
  return [
    ...more(before, after, (words, window) => wider(`DMA: the device may now ${words} ${window}`)),
    ...more(after, before, (words, window) =>
      narrower(`DMA: the device may no longer ${words} ${window}`),
    ),
  ];
}

/** The addresses that `b` lets the device read or write, and `a` does not; both in one line where both are. */
function more(
  a: DmaClaim,
  b: DmaClaim,
  say: (words: string, window: string) => CeilingChange,
): CeilingChange[] {
  const reach = ({ windows = [] }: DmaClaim, access: 'read' | 'write'): Window[] =>
    mergeWindows(
      windows
        .filter((it) => intersectAccess(it.access, access) !== undefined)
        .map(({ window }) => window),
    );
  const read = subtractAll(reach(b, 'read'), reach(a, 'read'));
  const written = subtractAll(reach(b, 'write'), reach(a, 'write'));
  const both = subtractAll(read, subtractAll(read, written));
  const each = (windows: readonly Window[], words: string): CeilingChange[] =>
    windows.map((window) => say(words, showWindow(window)));
  return [
    ...each(both, 'read and write'),
    ...each(subtractAll(read, both), 'read'),
    ...each(subtractAll(written, both), 'write'),
  ];
}
