/** A ceiling in sentences: what a driver under it may at most be given. */

import { type Ceiling, DIRECTION_ACCESS, type DmaClaim } from './ceiling.ts';
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
    [
      'interrupts',
      interrupts.kind === 'none'
        ? 'none'
        : `${interrupts.kind}, ${showCount(interrupts.vectors, 'vector')}, at most ${interrupts.perSecondBudget} a second`,
    ],
    ...explainDma(ceiling.dma),
    ...(vf === undefined
      ? []
      : [
          [
            'virtual functions',
            `at most ${vf.countMax}, each with ${showBytes(vf.each.dmaBytes)} of DMA, ${showBytes(vf.each.mmioBytes)} of registers and ${vf.each.interruptsPerSecond} interrupts a second`,
          ] as [string, string],
        ]),
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
        requires.bootState === 'any' ? 'any boot' : `a ${requires.bootState} boot`,
      ].join(', '),
    ],
    [
      'driver ABI',
      `${abi.min} to ${abi.max}${abi.features === 0n ? '' : `, features ${hexU64(abi.features)}`}${abi.layout === undefined ? '' : `, a descriptor of ${abi.layout.sizeBytes} bytes`}`,
    ],
    ['generation', String(ceiling.generation)],
  ];
}

function explainDma(dma: DmaClaim): [string, string][] {
  if (dma.totalBytes === 0n) return [['DMA', 'none']];
  const words = { read: 'reads', write: 'writes', 'read-write': 'reads and writes' } as const;
  const pieces = [
    `at most ${showBytes(dma.totalBytes)} in ${showCount(dma.windowsMax, 'window')}`,
    `the device ${words[DIRECTION_ACCESS[dma.direction]]}`,
    `addresses of ${dma.maskBits} bits`,
    ...(dma.segmentsMax === undefined ? [] : [`${dma.segmentsMax} pieces a transfer`]),
    ...(dma.alignmentBytes === 1n ? [] : [`windows at multiples of ${dma.alignmentBytes}`]),
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
