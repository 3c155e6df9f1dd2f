/**
 * What a new ceiling asks for that an old one did not, in words: what a reviewer reads before a
 * driver may have more than it had. Registers, ports and DMA windows are compared address by
 * address and not entry by entry, so that windows written in another order are no change.
 */

import { ABI_FEATURE } from './abi.ts';
import type { BarWindow, Ceiling, InterruptClaim } from './ceiling.ts';
import { type CeilingChange, diffNumber, narrower, other, wider } from './ceiling-change.ts';
import { BOOT_REQUIREMENTS } from './ceiling-requirements.ts';
import { type DeviceMatch, showMatch } from './device.ts';
import { diffDma } from './diff-dma.ts';
import { explainInterrupts, explainVirtualFunctions } from './explain-ceiling.ts';
import { hexU64, showBytes, showCount } from './numbers.ts';
import { mergeWindows, showWindow, subtractAll, type Window, windowLength } from './windows.ts';

/** Every difference, in the order of the document; an empty list when both allow the same. */
export function diffCeilings(before: Ceiling, after: Ceiling): CeilingChange[] {
  return [
    ...diffDevices(before.devices, after.devices),
    ...diffBars(before.bars, after.bars),
    ...diffPorts(before.ports, after.ports),
    ...diffInterrupts(before.interrupts, after.interrupts),
    ...diffDma(before.dma, after.dma),
    ...diffVirtualFunctions(before, after),
    ...diffHost(before, after),
    ...diffAbi(before, after),
  ];
}

/** Whether a driver under `after` may have anything that it could not have under `before`. */
export function isWider(before: Ceiling, after: Ceiling): boolean {
  return diffCeilings(before, after).some(({ effect }) => effect === 'wider');
}

function diffDevices(before: readonly DeviceMatch[], after: readonly DeviceMatch[]) {
  const covered = (match: DeviceMatch, by: readonly DeviceMatch[]): boolean =>
    by.some((wide) =>
      (Object.keys(wide) as (keyof DeviceMatch)[]).every((key) => wide[key] === match[key]),
    );
  const within = (match: DeviceMatch, list: readonly DeviceMatch[]): string =>
    list
      .filter((narrow) => covered(narrow, [match]))
      .map(showMatch)
      .join('; or ');
  return [
    ...after
      .filter((match) => !covered(match, before))
      .map((match) => {
        const had = within(match, before);
        const shown = showMatch(match);
        return wider(
          had === ''
            ? `now also for the device ${shown}`
            : `for every device ${shown}; before only for ${had}`,
        );
      }),
    ...before
      .filter((match) => !covered(match, after))
      .map((match) => {
        const has = within(match, after);
        const shown = showMatch(match);
        return narrower(
          has === ''
            ? `no longer for the device ${shown}`
            : `no longer for every device ${shown}; only for ${has}`,
        );
      }),
  ];
}

function diffBars(before: readonly BarWindow[], after: readonly BarWindow[]): CeilingChange[] {
  return [0, 1, 2, 3, 4, 5].flatMap((index) => {
    const read = (bars: readonly BarWindow[]): Window[] =>
      mergeWindows(bars.filter((bar) => bar.index === index).map(({ window }) => window));
    const written = (bars: readonly BarWindow[]): Window[] =>
      read(bars.filter(({ access }) => access === 'read-write'));
    const newlyRead = subtractAll(read(after), read(before));
    const newlyWritten = subtractAll(written(after), written(before));
    const show = (window: Window): string =>
      `BAR ${index}, ${showWindow(window)} (${showBytes(windowLength(window))})`;
    return [
      ...subtractAll(newlyRead, newlyWritten).map((w) =>
        wider(`${show(w)}: newly asked for, to read`),
      ),
      ...subtractAll(newlyWritten, subtractAll(newlyWritten, newlyRead)).map((w) =>
        wider(`${show(w)}: newly asked for, to read and write`),
      ),
      ...subtractAll(newlyWritten, newlyRead).map((w) =>
        wider(`${show(w)}: becomes writable, it was read only`),
      ),
      ...subtractAll(read(before), read(after)).map((w) => narrower(`${show(w)}: given up`)),
      ...subtractAll(
        subtractAll(written(before), written(after)),
        subtractAll(read(before), read(after)),
      ).map((w) => narrower(`${show(w)}: only read from now on`)),
    ];
  });
}

function diffPorts(before: readonly Window[], after: readonly Window[]) {
  const show = (w: Window): string =>
    `I/O ports ${showWindow(w)} (${showCount(Number(windowLength(w)), 'port')})`;
  return [
    ...subtractAll(mergeWindows(after), before).map((w) => wider(`${show(w)}: newly asked for`)),
    ...subtractAll(mergeWindows(before), after).map((w) => narrower(`${show(w)}: given up`)),
  ];
}

function diffInterrupts(before: InterruptClaim, after: InterruptClaim): CeilingChange[] {
  const changes: CeilingChange[] = [];
  if (before.kind !== after.kind) {
    // Numbers of what is not there say nothing.
    if (after.kind === 'none')
      return [narrower(`interrupts: none any more, before ${explainInterrupts(before)}`)];
    if (before.kind === 'none')
      return [wider(`interrupts: newly asked for: ${explainInterrupts(after)}`)];
    changes.push(wider(`interrupts: ${after.kind}, before ${before.kind}`));
  }
  changes.push(
    ...diffNumber(
      before.vectors,
      after.vectors,
      (from, to) => `interrupts: ${showCount(to, 'vector')}, before ${from}`,
    ),
    ...diffNumber(
      before.perSecondBudget,
      after.perSecondBudget,
      (from, to) => `interrupts: up to ${to} a second, before ${from}`,
    ),
  );
  return changes;
}

function diffVirtualFunctions(before: Ceiling, after: Ceiling): CeilingChange[] {
  const [had, has] = [before.virtualFunctions, after.virtualFunctions];
  // A driver whose ceiling does not name them can have none made.
  if (has === undefined)
    return had === undefined
      ? []
      : [narrower(`virtual functions: none any more, before at most ${had.countMax}`)];
  if (had === undefined)
    return [wider(`virtual functions: newly asked for: ${explainVirtualFunctions(has)}`)];
  return [
    ...diffNumber(
      had.countMax,
      has.countMax,
      (from, to) => `virtual functions: at most ${to}, before ${from}`,
    ),
    ...diffNumber(
      had.each.dmaBytes,
      has.each.dmaBytes,
      (from, to) => `each virtual function: ${showBytes(to)} of DMA, before ${showBytes(from)}`,
    ),
    ...diffNumber(
      had.each.mmioBytes,
      has.each.mmioBytes,
      (from, to) =>
        `each virtual function: ${showBytes(to)} of registers, before ${showBytes(from)}`,
    ),
    ...diffNumber(
      had.each.interruptsPerSecond,
      has.each.interruptsPerSecond,
      (from, to) => `each virtual function: ${to} interrupts a second, before ${from}`,
    ),
  ];
}

/** How it reaches memory, and what it asks of device and host: asking less of them is wider. */
function diffHost(before: Ceiling, after: Ceiling): CeilingChange[] {
  const changes: CeilingChange[] = [];
  if (before.isolation.mode !== after.isolation.mode) {
    changes.push(
      after.isolation.mode === 'mapped'
        ? narrower(
            'the device no longer works in the address space of a process: it reaches only windows of DMA',
          )
        : wider(
            'the device works in the address space of a process (shared virtual addressing): it reaches all memory of that process, before only windows of DMA',
          ),
    );
  } else {
    changes.push(
      ...diffNumber(
        before.isolation.pasidBits,
        after.isolation.pasidBits,
        (from, to) =>
          `shared virtual addressing: up to ${2 ** to} address spaces (PASIDs), before ${2 ** from}`,
      ),
    );
  }
  if (before.requires.deviceAttestation !== after.requires.deviceAttestation) {
    changes.push(
      after.requires.deviceAttestation
        ? narrower('the device must attest itself, before it need not')
        : wider('the device need not attest itself any more'),
    );
  }
  const strictness = ({ requires }: Ceiling): number =>
    BOOT_REQUIREMENTS.indexOf(requires.bootState);
  if (strictness(before) !== strictness(after)) {
    const text = `the measured boot of the host: ${BOOT_WORDS[after.requires.bootState]}, before ${BOOT_WORDS[before.requires.bootState]}`;
    changes.push(strictness(after) < strictness(before) ? wider(text) : narrower(text));
  }
  return changes;
}

const BOOT_WORDS = {
  any: 'anything',
  degraded: 'degraded or trusted',
  trusted: 'trusted',
} as const;

function diffAbi(before: Ceiling, after: Ceiling): CeilingChange[] {
  const changes: CeilingChange[] = [];
  const range = ({ abi: { min, max } }: Ceiling): string =>
    min === max ? `${min}` : `${min} to ${max}`;
  if (range(before) !== range(after))
    changes.push(other(`driver ABI ${range(after)}, before ${range(before)}`));
  changes.push(...diffFeatures(before.abi.features, after.abi.features));
  const layout = ({ abi: { layout } }: Ceiling): string =>
    layout === undefined
      ? 'none'
      : `${showBytes(layout.sizeBytes)} at multiples of ${showBytes(layout.alignmentBytes)}`;
  if (layout(before) !== layout(after))
    changes.push(other(`descriptor of the driver ABI: ${layout(after)}, before ${layout(before)}`));
  if (after.generation > before.generation)
    changes.push(other(`security generation ${after.generation}, before ${before.generation}`));
  // An older generation is what revocations refuse: going back is never a detail.
  if (after.generation < before.generation)
    changes.push(
      wider(`security generation goes back from ${before.generation} to ${after.generation}`),
    );
  return changes;
}

/** Features of the ABI are asked for; that of the descriptor is asked of the host as well. */
function diffFeatures(before: bigint, after: bigint): CeilingChange[] {
  const [added, dropped] = [after & ~before, before & ~after];
  const direct = 'the descriptor of its device itself, past the broker of the agent';
  const rest = (bits: bigint): bigint => bits & ~ABI_FEATURE.direct;
  return [
    ...((added & ABI_FEATURE.direct) === 0n ? [] : [wider(`now asks for ${direct}`)]),
    ...((dropped & ABI_FEATURE.direct) === 0n ? [] : [narrower(`no longer asks for ${direct}`)]),
    ...(rest(added) === 0n ? [] : [other(`now needs the ABI features ${hexU64(rest(added))}`)]),
    ...(rest(dropped) === 0n
      ? []
      : [other(`no longer needs the ABI features ${hexU64(rest(dropped))}`)]),
  ];
}
