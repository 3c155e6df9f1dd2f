/**
 * Numbers in documents about devices. JSON's numbers end at 2^53, so addresses and lengths are
 * texts, `"0x…"` in lower case; the names of such fields carry the unit.
 */

import type { Node } from '../json/decode.ts';

/** A number of up to 64 bits written `"0x1f000"`. `E_SCHEMA` otherwise. */
export function readU64(node: Node, least = 0n): bigint {
  const value = BigInt(
    node.matching(/^0x[0-9a-f]{1,16}$/, 'a text like "0x1f000" of up to 16 digits'),
  );
  if (value < least) throw node.error(`at least 0x${least.toString(16)} is expected`);
  return value;
}

/** A power of two of up to 64 bits, `"0x1000"`; undefined for no node. `E_SCHEMA`. */
export function readPowerOfTwo(node: Node): bigint;
export function readPowerOfTwo(node: Node | undefined): bigint | undefined;
export function readPowerOfTwo(node: Node | undefined): bigint | undefined {
  if (node === undefined) return undefined;
  const value = readU64(node, 1n);
  if ((value & (value - 1n)) !== 0n) throw node.error('a power of two is expected');
  return value;
}

/** `"0x1f000"`. */
export function hexU64(value: bigint): string {
  return `0x${value.toString(16)}`;
}

/** An identifier of exactly `digits` digits, `"0x11e8"`, as PCI and sysfs write them. */
export function readId(node: Node, digits: 2 | 4 | 6): number {
  return Number(node.matching(ID_FORMS[digits], `a text like "0x${'0'.repeat(digits)}"`));
}

const ID_FORMS = { 2: /^0x[0-9a-f]{2}$/, 4: /^0x[0-9a-f]{4}$/, 6: /^0x[0-9a-f]{6}$/ } as const;

/** `"0x11e8"`. */
export function hexId(value: number, digits: 2 | 4 | 6): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** `64 KiB`, exactly: a length that is no whole number of a unit is given in a smaller one. */
export function showBytes(bytes: bigint): string {
  let [value, unit] = [bytes, 0];
  while (value !== 0n && value % 1024n === 0n && unit < UNITS.length - 1) {
    value /= 1024n;
    unit += 1;
  }
  return bytes === 1n ? '1 byte' : `${value} ${UNITS[unit]}`;
}

/** `1 vector`, `4 vectors`. */
export function showCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
