/**
 * What a driver is handed: descriptors by their numbers, and one JSON object that says what they are,
 * in the variable IRONPORT_DRIVER. Pure.
 */

import type { JsonObject } from '../shared/json/value.ts';
import type { DmaWindow } from '../shared/manifest/ceiling.ts';
import { hexU64 } from '../shared/manifest/numbers.ts';
import { windowLength } from '../shared/manifest/windows.ts';
import type { BrokerTask } from './broker/program.ts';
import type { DirectRegion } from './sandbox/direct-profile.ts';

export const DRIVER_VARIABLE = 'IRONPORT_DRIVER';
export const DRIVER_SCHEMA = 'ironport.driver/v2';
export const DIRECT_SCHEMA = 'ironport.driver/v1';

/** The first descriptor after those that every program has. */
const FIRST = 3;
/** Where a driver has its device, when it has. */
export const DEVICE_FD = FIRST;

/** One descriptor of the driver's. */
export interface Handed {
  readonly fd: number;
  readonly what: string;
}

export interface HandedOver {
  /** In the order of their numbers, from 3 on. */
  readonly descriptors: readonly Handed[];
  readonly document: JsonObject;
}

/** A window of the grant, in a BAR that the driver may reach by its device's descriptor. */
export interface DirectWindow extends DirectRegion {
  readonly bar: number;
}

/**
 * The device's descriptor, a pipe that says when to begin, then memory, a window each, then events, a
 * vector each. It is the form of descriptors and places in them, which drivers that are handed files
 * had before.
 */
export function handedDirect(
  regions: readonly DirectWindow[],
  dma: readonly DmaWindow[],
  vectors: number,
): HandedOver {
  const before = ['the device', 'leave to begin, to be read'];
  const { descriptors, memories, interrupts } = numbered(before, dma, vectors);
  return {
    descriptors,
    document: {
      schema: DIRECT_SCHEMA,
      device: DEVICE_FD,
      begin: FIRST + 1,
      registers: regions.map(({ bar, offset, size }) => ({
        ...{ bar, offset: hexU64(0n), length: hexU64(size), fd: DEVICE_FD, at: hexU64(offset) },
        access: 'read-write',
      })),
      dma: memories.map((memory) => ({ ...memory, at: hexU64(0n) })),
      interrupts,
    },
  };
}

/** Requests and replies of the broker, then memory, a window each, then events, a vector each. */
export function handedTo(
  { windows: registers }: Pick<BrokerTask, 'windows'>,
  dma: readonly DmaWindow[],
  vectors: number,
): HandedOver {
  const before = ['requests to the broker, to be written', 'replies of the broker, to be read'];
  const { descriptors, memories, interrupts } = numbered(before, dma, vectors);
  return {
    descriptors,
    document: {
      schema: DRIVER_SCHEMA,
      requests: FIRST,
      replies: FIRST + 1,
      registers: registers.map(({ region, start, end, access }) => ({
        ...{ bar: region, offset: start, length: hexU64(BigInt(end) - BigInt(start)), access },
      })),
      dma: memories,
      interrupts,
    },
  };
}

/** What comes first by its kind of driver, then memory and events: each with the next number. */
function numbered(before: readonly string[], dma: readonly DmaWindow[], vectors: number) {
  const first = FIRST + before.length;
  const ofVectors = first + dma.length;
  const indices = Array.from({ length: vectors }, (_, i) => i);
  const whats = [
    ...before,
    ...dma.map(({ window }) => `memory that the device sees at ${hexU64(window.start)}`),
    ...indices.map((i) => `interrupts of vector ${i}`),
  ];
  return {
    descriptors: whats.map((what, i) => ({ fd: FIRST + i, what })),
    memories: dma.map(({ window, access }, i) => ({
      iova: hexU64(window.start),
      length: hexU64(windowLength(window)),
      fd: first + i,
      access,
    })),
    interrupts: indices.map((vector) => ({ vector, fd: ofVectors + vector })),
  };
}
