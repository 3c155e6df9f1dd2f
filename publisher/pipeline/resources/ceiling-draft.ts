/**
 * A first draft of a resource ceiling from what the source shows. A draft claims what was found,
 * guesses small where a number is needed, and says which numbers are guesses: a ceiling is signed
 * by a person who knows the device.
 */

import { type JsonObject, jsonObject } from '../../../shared/json/value.ts';
import { hexId, hexU64 } from '../../../shared/manifest/numbers.ts';
import type { Resources } from './find.ts';

export interface CeilingDraft {
  /** In the form of a ceiling; a draft without devices is not valid yet. */
  readonly ceiling: JsonObject;
  /** What a person has to decide, in sentences. */
  readonly todo: readonly string[];
}

const PAGE = 4096n;
/** Guesses, all of them small: a driver that needs more says so by failing in the lab. */
const GUESS = {
  perVector: 10_000,
  perSecond: 100_000,
  dmaBytes: 1n << 20n,
  dmaWindows: 4,
  maskBits: 32,
} as const;

export function draftCeiling(resources: Resources): CeilingDraft {
  const todo: string[] = [];
  const ceiling = jsonObject([
    ['devices', draftDevices(resources, todo)],
    ['bars', draftBars(resources, todo)],
    ['ports', []],
    ['interrupts', draftInterrupts(resources, todo)],
    ['dma', draftDma(resources, todo)],
    ['abi', { min: 1, max: 1 }],
    ['generation', 1],
  ]);
  todo.push(...resources.unknown, 'abi and generation are 1: set them to what the driver has');
  return { ceiling, todo };
}

function draftDevices({ devices }: Resources, todo: string[]): JsonObject[] {
  if (devices.length === 0)
    todo.push('devices is empty: no id was found as a constant; a ceiling needs at least one');
  return devices.map(({ vendor, device, subsystemVendor, subsystemDevice }) =>
    jsonObject([
      ['vendor', hexId(vendor, 4)],
      ['device', hexId(device, 4)],
      ...(subsystemVendor === undefined
        ? []
        : [['subsystem_vendor', hexId(subsystemVendor, 4)] as const]),
      ...(subsystemDevice === undefined
        ? []
        : [['subsystem_device', hexId(subsystemDevice, 4)] as const]),
    ]),
  );
}

function draftBars({ bars, writes }: Resources, todo: string[]): JsonObject[] {
  if (bars.length === 0) todo.push('bars is empty: no BAR was found');
  return bars.map(({ index, length, line }) => {
    if (length === undefined)
      todo.push(
        `BAR ${index} (line ${line}): its length is not in the source; one page is a guess`,
      );
    return jsonObject([
      ['index', index],
      ['offset_bytes', hexU64(0n)],
      ['length_bytes', hexU64(wholePages(length ?? PAGE))],
      ['access', writes ? 'read-write' : 'read'],
    ]);
  });
}

function draftInterrupts({ interrupts }: Resources, todo: string[]): JsonObject {
  if (interrupts === undefined)
    return jsonObject([
      ['kind', 'none'],
      ['vectors', 0],
      ['per_second_budget', 0],
    ]);
  const { kind, vectors, line } = interrupts;
  if (vectors === undefined)
    todo.push(`interrupts (line ${line}): the number of vectors is a guess`);
  todo.push('interrupts: the budget per second is a guess; measure it');
  return jsonObject([
    ['kind', kind],
    ['vectors', vectors ?? 1],
    ['per_second_budget', Math.min((vectors ?? 1) * GUESS.perVector, GUESS.perSecond)],
  ]);
}

function draftDma({ dma }: Resources, todo: string[]): JsonObject {
  if (dma === undefined)
    return jsonObject([
      ['mask_bits', GUESS.maskBits],
      ['total_bytes', hexU64(0n)],
      ['windows_max', 0],
      ['direction', 'bidirectional'],
    ]);
  if (dma.maskBits === undefined) todo.push('dma: the mask was not found; 32 bits are a guess');
  todo.push(`dma (line ${dma.line}): bytes and windows are guesses; measure them`);
  const total = wholePages(dma.coherentBytes) + GUESS.dmaBytes;
  const maskBits = dma.maskBits ?? GUESS.maskBits;
  const most = 1n << BigInt(maskBits);
  return jsonObject([
    ['mask_bits', maskBits],
    ['total_bytes', hexU64(total > most ? most : total)],
    ['windows_max', GUESS.dmaWindows],
    ['direction', dma.direction],
  ]);
}

function wholePages(bytes: bigint): bigint {
  return ((bytes + PAGE - 1n) / PAGE) * PAGE;
}
