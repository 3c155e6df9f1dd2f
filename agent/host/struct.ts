/**
 * Structures as the kernel lays them out: which field is where, and how wide. Little-endian, as
 * every machine is that this agent runs on. Pure.
 */

import { IronError } from '../../shared/errors.ts';

/** Width of a field in bytes; `i32` is the one that holds descriptors, and has a sign. */
const WIDTH = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8 } as const;
export type FieldType = keyof typeof WIDTH;

export interface Field {
  readonly at: number;
  readonly type: FieldType;
}

export interface Layout<Name extends string = string> {
  readonly name: string;
  /** Bytes of the structure, without what follows it. */
  readonly size: number;
  readonly fields: Readonly<Record<Name, Field>>;
}

/** A structure by its fields in order: `[name, type, offset]`. */
export function layout<const F extends readonly (readonly [string, FieldType, number])[]>(
  name: string,
  size: number,
  fields: F,
): Layout<F[number][0]> {
  const entries = fields.map(([field, type, at]): [string, Field] => [field, { type, at }]);
  return { name, size, fields: Object.fromEntries(entries) } as Layout<F[number][0]>;
}

export function widthOf({ type }: Field): number {
  return WIDTH[type];
}

/** The structure's bytes with these fields set and all others 0; `tail` bytes follow it. */
export function encode<Name extends string>(
  { name, size, fields }: Layout<Name>,
  values: Partial<Record<Name, number | bigint>>,
  tail = 0,
): Buffer {
  const bytes = Buffer.alloc(size + tail);
  for (const [key, value] of Object.entries(values) as [Name, number | bigint][]) {
    const field = fields[key];
    if (field === undefined) throw new IronError('E_INTERNAL', `${name} has no field ${key}`);
    write(bytes, field, value);
  }
  return bytes;
}

function write(bytes: Buffer, { at, type }: Field, value: number | bigint): void {
  if (type === 'u64') bytes.writeBigUInt64LE(BigInt(value), at);
  else if (type === 'i32') bytes.writeInt32LE(Number(value), at);
  else bytes.writeUIntLE(Number(value), at, WIDTH[type]);
}

/** The field of a structure that begins at `base`; `E_SCHEMA` when the bytes end before it does. */
export function decode<Name extends string>(
  { name, fields }: Layout<Name>,
  bytes: Buffer,
  field: Name,
  base = 0,
): number {
  const value = decode64({ name, fields, size: 0 }, bytes, field, base);
  const small = Number(value);
  if (!Number.isSafeInteger(small))
    throw new IronError('E_SCHEMA', `${name}.${field} is beyond what can be counted: ${value}`);
  return small;
}

/** The same for fields that may need all 64 bits. */
export function decode64<Name extends string>(
  { name, fields }: Layout<Name>,
  bytes: Buffer,
  field: Name,
  base = 0,
): bigint {
  const { at, type } = fields[field];
  const place = base + at;
  if (place + WIDTH[type] > bytes.length)
    throw new IronError('E_SCHEMA', `${name} ends before its field ${field}`);
  if (type === 'u64') return bytes.readBigUInt64LE(place);
  if (type === 'i32') return BigInt(bytes.readInt32LE(place));
  return BigInt(bytes.readUIntLE(place, WIDTH[type]));
}
