/**
 * The registers of a grant: memory and I/O windows. A window of the ceiling is an offset into a
 * BAR; it is cut to the policy's windows of that BAR, to the BAR as found, moved to the BAR's
 * address and, in memory, rounded inward to whole pages, since pages are what an MMU can fence.
 */

import type { BarWindow, RegisterAccess } from './ceiling.ts';
import type { Cut, Note } from './cut.ts';
import type { DeviceBar } from './device.ts';
import type { AllowedBar } from './policy.ts';
import { takeBytes } from './take-bytes.ts';
import {
  intersect,
  pagesInside,
  showWindow,
  subtractAll,
  type Window,
  windowAt,
  windowLength,
} from './windows.ts';

/** Addresses or ports that a driver may touch. */
export interface GrantedRange {
  /** The BAR that it lies in. */
  readonly bar: number;
  /** Where in the BAR it begins. */
  readonly offset: bigint;
  /** Where it is on this host. */
  readonly window: Window;
  readonly access: RegisterAccess;
}

export interface GrantedRegisters {
  readonly mmio: readonly GrantedRange[];
  readonly ports: readonly GrantedRange[];
}

export function grantRegisters(cut: Cut, note: Note): GrantedRegisters {
  const { ceiling, device, entry, vfBudget } = cut;
  const ranges = ceiling.bars.flatMap((claim) => grantBarWindow(claim, cut, note));
  const isIo = ({ bar }: GrantedRange): boolean =>
    device.bars.some(({ index, kind }) => index === bar && kind === 'io');
  const memory = ranges.filter((range) => !isIo(range));
  const claimedPorts = ranges.filter(isIo);
  const ports = [...claimedPorts, ...grantAbsolutePorts(cut, claimedPorts, note)];
  if (ports.length > 0 && !entry.ports)
    note(`I/O ports: the policy allows none for ${entry.namespace}`);
  return {
    mmio: vfBudget === null ? memory : withinBudget(memory, vfBudget.mmioBytes, cut.pageSize, note),
    ports: entry.ports ? ports : [],
  };
}

/** One BAR window of the ceiling: none, one, or a piece for each window of the policy in it. */
function grantBarWindow(
  claim: BarWindow,
  { device, entry, pageSize }: Cut,
  note: Note,
): GrantedRange[] {
  const what = `BAR ${claim.index}, ${showWindow(claim.window)}`;
  const bar = device.bars.find(({ index }) => index === claim.index);
  if (bar === undefined || bar.size === 0n || bar.base === 0n) {
    note(`${what}: ${bar === undefined ? 'the device has no such BAR' : 'the BAR has no address'}`);
    return [];
  }
  const here = intersect(claim.window, windowAt(0n, bar.size));
  if (here === undefined) {
    note(`${what}: past the end of the BAR, which has ${bar.size}`);
    return [];
  }
  if (here.end < claim.window.end)
    note(`${what}: cut at the end of the BAR, which has ${bar.size}`);
  const pieces = entry.bars.flatMap((allowed) => cutToPolicy(claim, here, allowed));
  if (pieces.length === 0) note(`${what}: the policy does not allow it`);
  else if (
    pieces.reduce((sum, { window }) => sum + windowLength(window), 0n) < windowLength(here)
  ) {
    note(
      `${what}: cut to ${pieces.map(({ window }) => showWindow(window)).join(' and ')} by the policy`,
    );
  }
  if (pieces.some(({ access }) => access !== claim.access))
    note(`${what}: the policy lets it be read only`);
  return pieces.flatMap((piece) => place(piece, bar, pageSize, note));
}

function cutToPolicy(claim: BarWindow, here: Window, allowed: AllowedBar): BarWindow[] {
  const window = allowed.index === claim.index ? intersect(here, allowed.window) : undefined;
  if (window === undefined) return [];
  const access = claim.access === 'read' || allowed.access === 'read' ? 'read' : 'read-write';
  return [{ index: claim.index, window, access }];
}

/** A piece at its address on this host; of memory, the whole pages of it. */
function place(
  { index, window, access }: BarWindow,
  bar: DeviceBar,
  page: bigint,
  note: Note,
): GrantedRange[] {
  const absolute: Window = { start: bar.base + window.start, end: bar.base + window.end };
  const fenced = bar.kind === 'io' ? absolute : pagesInside(absolute, page);
  const what = `BAR ${index}, ${showWindow(window)}`;
  if (fenced === undefined) {
    note(`${what}: holds no whole page of ${page} bytes`);
    return [];
  }
  if (windowLength(fenced) < windowLength(absolute)) {
    note(`${what}: rounded inward to whole pages, ${showWindow(fenced)} on this host`);
  }
  return [{ bar: index, offset: fenced.start - bar.base, window: fenced, access }];
}

/** Absolute ports of the ceiling, where an I/O BAR that the policy allows covers them. */
function grantAbsolutePorts(
  { ceiling, device, entry }: Cut,
  already: readonly GrantedRange[],
  note: Note,
): GrantedRange[] {
  const taken = already.map(({ window }) => window);
  const bars = device.bars.filter(
    ({ kind, base, size }) => kind === 'io' && base > 0n && size > 0n,
  );
  return ceiling.ports.flatMap((claim) => {
    const found = bars.flatMap((bar) =>
      entry.bars.flatMap((allowed): GrantedRange[] => {
        if (allowed.index !== bar.index) return [];
        const inBar = intersect(windowAt(0n, bar.size), allowed.window);
        const absolute = inBar && { start: bar.base + inBar.start, end: bar.base + inBar.end };
        const shared = absolute && intersect(claim, absolute);
        if (shared === undefined) return [];
        return subtractAll([shared], taken).map((window) => ({
          bar: bar.index,
          offset: window.start - bar.base,
          window,
          access: allowed.access,
        }));
      }),
    );
    const granted = found.reduce((sum, { window }) => sum + windowLength(window), 0n);
    if (granted < windowLength(claim)) {
      note(`ports ${showWindow(claim)}: only what an allowed I/O BAR of the device covers`);
    }
    return found;
  });
}

/** As much memory, from the first window on, as a virtual function's budget allows. */
function withinBudget(
  ranges: readonly GrantedRange[],
  budget: bigint,
  page: bigint,
  note: Note,
): GrantedRange[] {
  const kept = takeBytes(ranges, budget, page);
  const sum = (list: readonly GrantedRange[]): bigint =>
    list.reduce((total, { window }) => total + windowLength(window), 0n);
  if (sum(kept) < sum(ranges)) {
    note(
      `memory windows: cut from ${sum(ranges)} to ${sum(kept)} bytes by the budget of the virtual function`,
    );
  }
  return kept;
}
