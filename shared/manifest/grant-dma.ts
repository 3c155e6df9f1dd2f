/**
 * The DMA of a grant: windows of I/O virtual addresses with the device's access to each. Where the
 * ceiling names windows they are cut; where it names none the agent places them. All are whole
 * pages, inside the device's mask and outside what the IOMMU keeps reserved.
 */

import {
  DIRECTION_ACCESS,
  type DmaAccess,
  type DmaClaim,
  type DmaWindow,
  intersectAccess,
} from './ceiling.ts';
import type { Cut, Note } from './cut.ts';
import { takeBytes } from './take-bytes.ts';
import {
  alignedPieces,
  pagesInside,
  showWindow,
  subtractAll,
  type Window,
  windowAt,
  windowLength,
} from './windows.ts';

export interface DmaGrant {
  readonly maskBits: number;
  /** Bytes of all windows together. */
  readonly totalBytes: bigint;
  /** Most pieces of one transfer; null: as many as there are windows. */
  readonly segmentsMax: number | null;
  /** Of the starts of windows, and of what no window crosses; null: windows may cross anything. */
  readonly alignmentBytes: bigint;
  readonly boundaryBytes: bigint | null;
  readonly windows: readonly DmaWindow[];
}

/**
 * The agent places nothing below 1 MiB: a device that adds an offset to an address that was never
 * written should meet a fault.
 */
const LOWEST_PLACED = 1n << 20n;

export function grantDma(cut: Cut, note: Note): DmaGrant {
  const { dma } = cut.ceiling;
  const none: DmaGrant = {
    maskBits: dma.maskBits,
    totalBytes: 0n,
    segmentsMax: dma.segmentsMax ?? null,
    alignmentBytes: dma.alignmentBytes,
    boundaryBytes: dma.boundaryBytes ?? null,
    windows: [],
  };
  if (dma.totalBytes === 0n) return none;

  const access = intersectAccess(
    DIRECTION_ACCESS[dma.direction],
    DIRECTION_ACCESS[cut.entry.dma.direction],
  );
  const budget = byteBudget(cut, note);
  const count = Math.min(dma.windowsMax, cut.entry.dma.windowsMax);
  if (access === undefined || budget === 0n || count === 0) {
    note('DMA: none, since the policy allows nothing of what the ceiling asks for');
    return none;
  }
  if (access !== DIRECTION_ACCESS[dma.direction])
    note(`DMA: the policy lets the device ${access} only`);

  const windows =
    dma.windows === undefined
      ? placeWindows(cut, budget, count, note).map((window) => ({ window, access }))
      : cutWindows(dma.windows, access, cut, note);
  if (windows.length > count)
    note(`DMA: ${count} of ${windows.length} windows, as many as the policy allows`);
  const kept = takeBytes(windows.slice(0, count), budget, cut.pageSize);
  const totalBytes = kept.reduce((sum, { window }) => sum + windowLength(window), 0n);
  return { ...none, totalBytes, windows: kept };
}

/** The least of what ceiling, policy and virtual function's budget allow, in whole pages. */
function byteBudget({ ceiling, entry, pageSize, vfBudget }: Cut, note: Note): bigint {
  const asked = ceiling.dma.totalBytes;
  const limits = [asked, entry.dma.totalBytes, ...(vfBudget === null ? [] : [vfBudget.dmaBytes])];
  const least = limits.reduce((a, b) => (a < b ? a : b));
  const budget = least - (least % pageSize);
  if (budget < asked) note(`DMA: ${budget} of ${asked} bytes`);
  return budget;
}

/** The ceiling's own windows without what is reserved, as whole pages. */
function cutWindows(
  claims: readonly DmaWindow[],
  allowed: DmaAccess,
  { ceiling, device, pageSize }: Cut,
  note: Note,
): DmaWindow[] {
  return claims.flatMap((claim): DmaWindow[] => {
    const access = intersectAccess(claim.access, allowed);
    const pieces =
      access === undefined
        ? []
        : freePieces([claim.window], device.reservedIova, pageSize, ceiling.dma, MOST_PIECES);
    const left = pieces.reduce((sum, piece) => sum + windowLength(piece), 0n);
    if (left < windowLength(claim.window)) {
      note(
        `DMA window ${showWindow(claim.window)}: ${left} bytes of it are allowed, free and whole pages`,
      );
    }
    return access === undefined ? [] : pieces.map((window) => ({ window, access }));
  });
}

/** Windows of `budget` bytes: one where a free range is long enough, else the lowest that are free. */
function placeWindows(
  { ceiling, device, pageSize }: Cut,
  budget: bigint,
  count: number,
  note: Note,
): Window[] {
  const { dma } = ceiling;
  const reach = 1n << BigInt(dma.maskBits);
  const all = reach > LOWEST_PLACED ? [{ start: LOWEST_PLACED, end: reach }] : [];
  const free = freePieces(all, device.reservedIova, pageSize, dma, MOST_PIECES);
  const fitting = free.find((range) => windowLength(range) >= budget);
  if (fitting !== undefined) return [windowAt(fitting.start, budget)];
  const pieces = takeBytes(
    free.slice(0, count).map((window) => ({ window })),
    budget,
    pageSize,
  );
  note(`DMA: no free range of ${budget} bytes within ${dma.maskBits} bits`);
  return pieces.map(({ window }) => window);
}

/** Of a range, so many pieces between two boundaries are looked at: all of them are alike. */
const MOST_PIECES = 1024;

/**
 * The parts of `windows` that are not reserved, as whole pages that begin aligned and cross no
 * boundary. A piece whose aligned start leaves no whole page is left out.
 */
function freePieces(
  windows: readonly Window[],
  reserved: readonly Window[],
  page: bigint,
  { alignmentBytes, boundaryBytes }: Pick<DmaClaim, 'alignmentBytes' | 'boundaryBytes'>,
  limit: number,
): Window[] {
  const alignment = alignmentBytes > page ? alignmentBytes : page;
  return subtractAll(windows, reserved)
    .flatMap((window) => pagesInside(window, page) ?? [])
    .flatMap((window) => alignedPieces(window, alignment, boundaryBytes, limit))
    .flatMap((window) => pagesInside(window, page) ?? []);
}
