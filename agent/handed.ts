/**
 * What a driver is handed: descriptors by their numbers, and one JSON object that says what they are,
 * in the variable IRONPORT_DRIVER. Pure.
 */

import type { JsonObject } from '../shared/json/value.ts';
import type { DmaWindow } from '../shared/manifest/ceiling.ts';
import { hexU64 } from '../shared/manifest/numbers.ts';
import { windowLength } from '../shared/manifest/windows.ts';
import type { BrokerTask } from './broker/program.ts';

export const DRIVER_VARIABLE = 'IRONPORT_DRIVER';
export const DRIVER_SCHEMA = 'ironport.driver/v2';

/** The first descriptor after those that every program has. */
const FIRST = 3;

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

/** Requests and replies of the broker, then memory, a window each, then events, a vector each. */
export function handedTo(
  { windows: registers }: Pick<BrokerTask, 'windows'>,
  dma: readonly DmaWindow[],
  vectors: number,
): HandedOver {
  const ofMemory = FIRST + 2;
  const ofVectors = ofMemory + dma.length;
  const indices = Array.from({ length: vectors }, (_, i) => i);
  return {
    descriptors: [
      { fd: FIRST, what: 'requests to the broker, to be written' },
      { fd: FIRST + 1, what: 'replies of the broker, to be read' },
      ...dma.map(({ window }, i) => ({
        fd: ofMemory + i,
        what: `memory that the device sees at ${hexU64(window.start)}`,
      })),
      ...indices.map((i) => ({ fd: ofVectors + i, what: `interrupts of vector ${i}` })),
    ],
    document: {
      schema: DRIVER_SCHEMA,
      requests: FIRST,
      replies: FIRST + 1,
      registers: registers.map(({ region, start, end, access }) => ({
        ...{ bar: region, offset: start, length: hexU64(BigInt(end) - BigInt(start)), access },
      })),
      dma: dma.map(({ window, access }, i) => ({
        iova: hexU64(window.start),
        length: hexU64(windowLength(window)),
        fd: ofMemory + i,
        access,
      })),
      interrupts: indices.map((vector) => ({ vector, fd: ofVectors + vector })),
    },
  };
}
