/**
 * What is wrong with a resource manifest, as a list: the strict reader throws the first, the
 * encoder and the lenient reader show all.
 */

import { type Code, IronError } from '../errors.ts';
import { hexU64 } from './numbers.ts';
import type { MmioRegion, PortRange, ResourceManifest } from './resource-manifest.ts';
import { ADDRESS_SPACE, endsWithin, overlaps, PORT_SPACE, type Window } from './windows.ts';

export interface Objection {
  readonly code: Code;
  /** The window it is about, `mmio[3]`, or null. */
  readonly window: string | null;
  readonly message: string;
}

/**
 * Windows that end past their space or share an address with an earlier one, in the order of the
 * manifest. Revoked windows count: a blob has no revocation flags, and who loads it gets them all.
 */
export function windowObjections(manifest: ResourceManifest): Objection[] {
  return [
    ...objectionsIn('mmio', manifest.mmio.map(mmioWindow), ADDRESS_SPACE),
    ...objectionsIn('ports', manifest.ports.map(portWindow), PORT_SPACE),
  ];
}

/** The error that an objection becomes when it is refused. */
export function objectionError(objection: Objection): IronError {
  return new IronError(objection.code, objection.message, {
    hint: 'have the manifest written again by its author; `decode --lenient` shows what it holds',
    ...(objection.window === null ? {} : { context: { window: objection.window } }),
  });
}

function mmioWindow({ base, size }: MmioRegion): Window {
  return { start: base, end: base + size };
}

function portWindow({ port, count }: PortRange): Window {
  return { start: BigInt(port), end: BigInt(port) + BigInt(count) };
}

function objectionsIn(kind: string, windows: readonly Window[], space: bigint): Objection[] {
  const show = (i: number): string => {
    const { start, end } = windows[i] as Window;
    return `${kind}[${i}] (${hexU64(start)} + ${hexU64(end - start)})`;
  };
  return windows.flatMap((window, i) => {
    const found: Objection[] = [];
    const at = `${kind}[${i}]`;
    if (!endsWithin(window, space)) {
      const message = `${show(i)} ends past ${hexU64(space - 1n)}, the last ${kind === 'mmio' ? 'address' : 'port'}`;
      found.push({ code: 'E_MANIFEST_OVERFLOW', window: at, message });
    }
    const earlier = windows.findIndex((other, j) => j < i && overlaps(other, window));
    if (earlier !== -1) {
      const message = `${show(i)} overlaps ${show(earlier)}`;
      found.push({ code: 'E_MANIFEST_OVERLAP', window: at, message });
    }
    return found;
  });
}
