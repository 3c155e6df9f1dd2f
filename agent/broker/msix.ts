/**
 * Where a device keeps its MSI-X table and its array of pending bits (PCI 3.0, 6.8.2): registers by
 * which it could be told to write messages anywhere, and which no driver is given. Pure; the bytes
 * come from hardware: the walk is bounded, and pointers are masked and checked.
 */

import { type Window, windowAt } from '../../shared/manifest/windows.ts';

/** A part of one BAR. */
export interface Reserved {
  readonly region: number;
  readonly window: Window;
}

const STATUS = 0x06;
const STATUS_CAPABILITIES = 0x10;
const CAPABILITIES = 0x34;
const CAP_MSIX = 0x11;

export function msixRegisters(config: Uint8Array): Reserved[] {
  const view = new DataView(config.buffer, config.byteOffset, config.byteLength);
  if (config.length < 0x40 || (view.getUint8(STATUS) & STATUS_CAPABILITIES) === 0) return [];
  const found: Reserved[] = [];
  let pointer = view.getUint8(CAPABILITIES) & 0xfc;
  // 48 capabilities of four bytes fill the space after the header: a longer walk is a loop.
  for (let step = 0; step < 48 && pointer >= 0x40 && pointer + 12 <= config.length; step++) {
    if (view.getUint8(pointer) === CAP_MSIX) {
      const vectors = (view.getUint16(pointer + 2, true) & 0x7ff) + 1;
      // 16 bytes a vector; a bit a vector, in words of eight bytes.
      found.push(structure(view.getUint32(pointer + 4, true), 16 * vectors));
      found.push(structure(view.getUint32(pointer + 8, true), 8 * Math.ceil(vectors / 64)));
    }
    pointer = view.getUint8(pointer + 1) & 0xfc;
  }
  return found;
}

/** The lowest three bits say in which BAR, the others where there. */
function structure(register: number, length: number): Reserved {
  const region = register & 7;
  return { region, window: windowAt(BigInt((register & ~7) >>> 0), BigInt(length)) };
}
