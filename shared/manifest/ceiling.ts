/**
 * The resource ceiling: the most that a vendor's driver may ever be granted, signed by the vendor
 * as the predicate of an in-toto statement about the artifact. A vendor cannot know a host's
 * addresses, so all windows are offsets into BARs. The format is closed: a field that this reader
 * does not know could be a limit that it would not keep.
 */

import type { Node } from '../json/decode.ts';
import { MANIFEST_LIMITS } from '../limits.ts';
import { type AbiClaim, parseAbiClaim } from './abi.ts';
import { type IsolationClaim, MAPPED, parseIsolation } from './ceiling-isolation.ts';
import { NO_REQUIREMENTS, parseRequirements, type Requirements } from './ceiling-requirements.ts';
import { parseVirtualFunctions, type VirtualFunctionClaim } from './ceiling-vf.ts';
import { contradiction } from './contradiction.ts';
import { type DeviceMatch, parseDeviceMatch } from './device.ts';
import { readPowerOfTwo, readU64 } from './numbers.ts';
import {
  ADDRESS_SPACE,
  crosses,
  endsWithin,
  firstOverlap,
  PORT_SPACE,
  type Window,
  windowAt,
  windowLength,
} from './windows.ts';

/** What a driver may do with the registers in a window. */
export const REGISTER_ACCESS = ['read', 'read-write'] as const;
export type RegisterAccess = (typeof REGISTER_ACCESS)[number];

/** What the device may do with memory, seen from the device: `read` is memory to device. */
export const DMA_ACCESS = ['read', 'write', 'read-write'] as const;
export type DmaAccess = (typeof DMA_ACCESS)[number];

export const DIRECTIONS = ['to-device', 'from-device', 'bidirectional'] as const;
export type Direction = (typeof DIRECTIONS)[number];

export const INTERRUPT_KINDS = ['none', 'intx', 'msi', 'msix'] as const;
export type InterruptKind = (typeof INTERRUPT_KINDS)[number];

/** Part of a BAR: bytes of a memory BAR, ports of an I/O BAR. Offsets, not addresses. */
export interface BarWindow {
  readonly index: number;
  readonly window: Window;
  readonly access: RegisterAccess;
}

export interface InterruptClaim {
  readonly kind: InterruptKind;
  readonly vectors: number;
  /** Interrupts a second, over all vectors. */
  readonly perSecondBudget: number;
}

export interface DmaWindow {
  /** I/O virtual addresses, as the device sees them. */
  readonly window: Window;
  readonly access: DmaAccess;
}

export interface DmaClaim {
  /** How many address bits the device drives. */
  readonly maskBits: number;
  /** Most bytes mapped at once, over all windows; 0 for a device without DMA. */
  readonly totalBytes: bigint;
  readonly windowsMax: number;
  readonly direction: Direction;
  /** Most pieces of one transfer (scatter and gather). Absent: as many as there are windows. */
  readonly segmentsMax?: number;
  /** Every window begins at a multiple of this, a power of two. 1 when nothing is asked for. */
  readonly alignmentBytes: bigint;
  /** No window crosses a multiple of this, a power of two. Absent: any may. */
  readonly boundaryBytes?: bigint;
  /** Where the windows must lie. Absent: the agent chooses. */
  readonly windows?: readonly DmaWindow[];
}

export interface Ceiling {
  /** The driver is for a device that matches any of these. */
  readonly devices: readonly DeviceMatch[];
  readonly bars: readonly BarWindow[];
  /** Absolute I/O ports; granted only where an I/O BAR of the device covers them. */
  readonly ports: readonly Window[];
  readonly interrupts: InterruptClaim;
  readonly dma: DmaClaim;
  /** What the driver gives to virtual functions; absent: it is for no virtual function's budget. */
  readonly virtualFunctions?: VirtualFunctionClaim;
  /** How the device reaches memory: by mapped windows, or in a process's own address space. */
  readonly isolation: IsolationClaim;
  /** What the vendor asks of device and host before the driver may run. */
  readonly requires: Requirements;
  /** The driver ABI that the driver speaks. */
  readonly abi: AbiClaim;
  /** Security generation: rises when an older version must not come back. */
  readonly generation: number;
}

/** Access of a device to memory that goes in `direction`. */
export const DIRECTION_ACCESS: Readonly<Record<Direction, DmaAccess>> = {
  'to-device': 'read',
  'from-device': 'write',
  bidirectional: 'read-write',
};

/**
 * Reads the predicate of a ceiling statement. Throws `E_SCHEMA` on a wrong shape and `E_CEILING` on
 * one that contradicts itself: windows that overlap or end past their space, counts that do not fit.
 */
export function parseCeiling(node: Node): Ceiling {
  node.only(
    ...['devices', 'bars', 'ports', 'interrupts', 'dma', 'abi', 'generation'],
    ...['virtual_functions', 'isolation', 'requires'],
  );
  const virtualFunctions = node.maybe('virtual_functions');
  const isolation = node.maybe('isolation');
  const requires = node.maybe('requires');
  const devices = node.get('devices').items(MANIFEST_LIMITS.entries).map(parseDeviceMatch);
  if (devices.length === 0) throw contradiction(node.get('devices'), 'a driver is for some device');
  return {
    devices,
    bars: parseBarWindows(node.get('bars')),
    ports: parsePortWindows(node.get('ports')),
    interrupts: parseInterrupts(node.get('interrupts')),
    dma: parseDma(node.get('dma')),
    ...(virtualFunctions === undefined
      ? {}
      : { virtualFunctions: parseVirtualFunctions(virtualFunctions) }),
    isolation: isolation === undefined ? MAPPED : parseIsolation(isolation),
    requires: requires === undefined ? NO_REQUIREMENTS : parseRequirements(requires),
    abi: parseAbiClaim(node.get('abi')),
    generation: node.get('generation').integer(1),
  };
}

function parseBarWindows(list: Node): BarWindow[] {
  const bars = list.items(MANIFEST_LIMITS.entries).map((node): BarWindow => {
    node.only('index', 'offset_bytes', 'length_bytes', 'access');
    const window = windowAt(
      readU64(node.get('offset_bytes')),
      readU64(node.get('length_bytes'), 1n),
    );
    if (!endsWithin(window, ADDRESS_SPACE))
      throw contradiction(node, 'it ends past the last address');
    return {
      index: node.get('index').integer(0, 5),
      window,
      access: node.get('access').oneOf(...REGISTER_ACCESS),
    };
  });
  for (let index = 0; index <= 5; index++) {
    // Two windows over one register would let the wider access win by order.
    const clash = firstOverlap(bars.filter((bar) => bar.index === index).map((bar) => bar.window));
    if (clash !== undefined) throw contradiction(list, `windows of BAR ${index} overlap`);
  }
  return bars;
}

function parsePortWindows(list: Node): Window[] {
  const ports = list.items(MANIFEST_LIMITS.entries).map((node) => {
    node.only('port', 'count');
    const port = node.get('port').integer(0, 0xffff);
    const window = windowAt(BigInt(port), BigInt(node.get('count').integer(1, 0xffff)));
    if (!endsWithin(window, PORT_SPACE)) throw contradiction(node, 'it ends past port 65535');
    return window;
  });
  if (firstOverlap(ports) !== undefined) throw contradiction(list, 'windows overlap');
  return ports;
}

/** Most vectors of a kind: one pin, PCI 3.0 6.8.1.3 (MSI), 6.8.2.3 (MSI-X). */
const MOST_VECTORS: Readonly<Record<InterruptKind, number>> = {
  none: 0,
  intx: 1,
  msi: 32,
  msix: 2048,
};

function parseInterrupts(node: Node): InterruptClaim {
  node.only('kind', 'vectors', 'per_second_budget');
  const kind = node.get('kind').oneOf(...INTERRUPT_KINDS);
  const vectors = node.get('vectors').integer(0);
  const perSecondBudget = node.get('per_second_budget').integer(0);
  if (vectors > MOST_VECTORS[kind] || (vectors === 0) !== (kind === 'none')) {
    const range = kind === 'none' ? 'no vectors' : `1 to ${MOST_VECTORS[kind]} vectors`;
    throw contradiction(node, `interrupts of kind ${kind} have ${range}, not ${vectors}`);
  }
  if (kind === 'none' && perSecondBudget !== 0)
    throw contradiction(node, 'a budget without interrupts');
  return { kind, vectors, perSecondBudget };
}

function parseDma(node: Node): DmaClaim {
  node.only(
    ...['mask_bits', 'total_bytes', 'windows_max', 'direction', 'windows'],
    ...['segments_max', 'alignment_bytes', 'boundary_bytes'],
  );
  const maskBits = node.get('mask_bits').integer(1, 64);
  const totalBytes = readU64(node.get('total_bytes'));
  const windowsMax = node.get('windows_max').integer(0, MANIFEST_LIMITS.entries);
  const direction = node.get('direction').oneOf(...DIRECTIONS);
  if ((totalBytes === 0n) !== (windowsMax === 0)) {
    throw contradiction(node, 'no bytes and no windows go together');
  }
  if (totalBytes > 1n << BigInt(maskBits))
    throw contradiction(node, 'more bytes than the mask reaches');
  const segmentsMax = node.maybe('segments_max')?.integer(1);
  const boundary = node.maybe('boundary_bytes');
  const claim = {
    maskBits,
    totalBytes,
    windowsMax,
    direction,
    alignmentBytes: readPowerOfTwo(node.maybe('alignment_bytes')) ?? 1n,
    ...(segmentsMax === undefined ? {} : { segmentsMax }),
    ...(boundary === undefined ? {} : { boundaryBytes: readPowerOfTwo(boundary) }),
  };
  const list = node.maybe('windows');
  return list === undefined ? claim : { ...claim, windows: parseDmaWindows(list, claim) };
}

function parseDmaWindows(list: Node, claim: Omit<DmaClaim, 'windows'>): DmaWindow[] {
  const allowed = DIRECTION_ACCESS[claim.direction];
  const windows = list.items(MANIFEST_LIMITS.entries).map((node): DmaWindow => {
    node.only('iova', 'length_bytes', 'access');
    // A device whose DMA address register was never written reads and writes at 0.
    const window = windowAt(readU64(node.get('iova'), 1n), readU64(node.get('length_bytes'), 1n));
    if (!endsWithin(window, 1n << BigInt(claim.maskBits))) {
      throw contradiction(node, `it ends past the ${claim.maskBits} bits of the mask`);
    }
    if (window.start % claim.alignmentBytes !== 0n) {
      throw contradiction(node, `it begins at no multiple of ${claim.alignmentBytes}`);
    }
    if (claim.boundaryBytes !== undefined && crosses(window, claim.boundaryBytes)) {
      throw contradiction(node, `it crosses a multiple of ${claim.boundaryBytes}`);
    }
    const access = node.get('access').oneOf(...DMA_ACCESS);
    if (intersectAccess(access, allowed) !== access) {
      throw contradiction(
        node,
        `access ${access} and direction ${claim.direction} contradict each other`,
      );
    }
    return { window, access };
  });
  if (windows.length > claim.windowsMax)
    throw contradiction(list, `more than ${claim.windowsMax} windows`);
  if (firstOverlap(windows.map(({ window }) => window)) !== undefined) {
    throw contradiction(list, 'windows overlap');
  }
  if (windows.reduce((sum, { window }) => sum + windowLength(window), 0n) > claim.totalBytes) {
    throw contradiction(list, 'more bytes than total_bytes');
  }
  return windows;
}

/** What both allow, or undefined when one only reads and the other only writes. */
export function intersectAccess(a: DmaAccess, b: DmaAccess): DmaAccess | undefined {
  if (a === 'read-write') return b;
  return b === 'read-write' || b === a ? a : undefined;
}
