/** A ceiling in sentences: what a driver under it may at most be given. */

import { type Ceiling, DIRECTION_ACCESS, type DmaClaim, type InterruptClaim } from './ceiling.ts';
import type { VirtualFunctionClaim } from './ceiling-vf.ts';
import { showMatch } from './device.ts';
import { hexU64, showBytes, showCount } from './numbers.ts';
import { showWindow, windowLength } from './windows.ts';

/** One line a fact, in the order of the document: what it is about, and what it says. */
export function explainCeiling(ceiling: Ceiling): [about: string, says: string][] {
  const { interrupts, virtualFunctions: vf, isolation, requires, abi } = ceiling;
  return [
    ...ceiling.devices.map((match): [string, string] => ['for', showMatch(match)]),
    ...ceiling.bars.map(({ index, window, access }): [string, string] => [
      `BAR ${index}`,
      `${access === 'read' ? 'read' : 'read and write'} ${showWindow(window)}, ${showBytes(windowLength(window))}`,
    ]),
    ...ceiling.ports.map((window): [string, string] => [
      'I/O ports',
      `${showWindow(window)}, ${showCount(Number(windowLength(window)), 'port')}`,
    ]),
    ['interrupts', explainInterrupts(interrupts)],
    ...explainDma(ceiling.dma),
    ['virtual functions', vf === undefined ? 'none' : explainVirtualFunctions(vf)],
    [
      'isolation',
      isolation.mode === 'mapped'
        ? 'memory is reached through mapped windows'
        : `memory is reached in the address space of a process, PASIDs of ${isolation.pasidBits} bits`,
    ],
    [
      'requires',
      [
        requires.deviceAttestation
          ? 'a device that attests itself'
          : 'no attestation of the device',
        requires.bootState === 'any'
          ? 'any boot'
          : requires.bootState === 'trusted'
            ? 'a trusted boot'
            : 'a boot that is degraded or trusted',
      ].join(', '),
    ],
    [
      'driver ABI',
      `${abi.min === abi.max ? abi.min : `${abi.min} to ${abi.max}`}${abi.features === 0n ? '' : `, features ${hexU64(abi.features)}`}${abi.layout === undefined ? '' : `, a descriptor of ${abi.layout.sizeBytes} bytes`}`,
    ],
    ['generation', String(ceiling.generation)],
  ];
}

/** `msi, 4 vectors, at most 1000 a second`. */
export function explainInterrupts({ kind, vectors, perSecondBudget }: InterruptClaim): string {
  if (kind === 'none') return 'none';
  return `${kind}, ${showCount(vectors, 'vector')}, at most ${perSecondBudget} a second`;
}

/** How many a driver may have made of its device, and the most that each may have. */
export function explainVirtualFunctions({ countMax, each }: VirtualFunctionClaim): string {
  return `at most ${countMax}, each with ${showBytes(each.dmaBytes)} of DMA, ${showBytes(each.mmioBytes)} of registers and ${each.interruptsPerSecond} interrupts a second`;
}

/** The DMA of a ceiling, and a line for each window whose place it fixes. */
export function explainDma(dma: DmaClaim): [string, string][] {
  if (dma.totalBytes === 0n) return [['DMA', 'none']];
  const words = { read: 'reads', write: 'writes', 'read-write': 'reads and writes' } as const;
  const pieces = [
    `at most ${showBytes(dma.totalBytes)} in ${showCount(dma.windowsMax, 'window')}`,
    `the device ${words[DIRECTION_ACCESS[dma.direction]]}`,
    `addresses of ${dma.maskBits} bits`,
    ...(dma.segmentsMax === undefined ? [] : [`${dma.segmentsMax} pieces a transfer`]),
    ...(dma.alignmentBytes === 1n
      ? []
      : [`windows at multiples of ${showBytes(dma.alignmentBytes)}`]),
    ...(dma.boundaryBytes === undefined
      ? []
      : [`no window across a multiple of ${showBytes(dma.boundaryBytes)}`]),
  ];
  return [
    ['DMA', pieces.join(', ')],
    ...(dma.windows ?? []).map(({ window, access }): [string, string] => [
      'DMA window',
      `${showWindow(window)}, ${showBytes(windowLength(window))}, the device ${words[access]}`,
    ]),
    ...(dma.windows === undefined
      ? [['DMA window', 'where the agent puts it'] as [string, string]]
      : []),
  ];
}
