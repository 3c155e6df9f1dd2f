/**
 * What a driver and its broker say to each other: requests of 24 bytes and replies of 16, in order,
 * little-endian, over two pipes. A frame has one length, so that whatever is in it, the next one
 * begins where it must. Pure.
 *
 * Functions here use nothing but what they are given: the broker's program is made of their text
 * (`program.ts`).
 */

export const WIRE = {
  version: 1,
  /** version u8 · op u8 · width u8 · region u8 · sequence u32 · offset u64 · value u64 */
  request: 24,
  /** version u8 · status u8 · zero u16 · sequence u32 · value u64 */
  reply: 16,
  op: { read: 1, write: 2 },
} as const;

export const STATUS = {
  good: 0,
  /** A version, an operation or a field that this protocol has not. */
  malformed: 1,
  /** A width other than 1, 2 and 4. */
  width: 2,
  /** An offset that is no multiple of the width. */
  unaligned: 3,
  /** A region of which nothing was granted: configuration space, the ROM, another BAR. */
  region: 4,
  /** Not wholly inside one granted window of the region. */
  outside: 5,
  /** A write where only reading was granted. */
  readOnly: 6,
  /** The device, or the kernel in its place, did not answer. */
  device: 7,
} as const;
export type StatusName = keyof typeof STATUS;
export type Status = (typeof STATUS)[StatusName];

/** The fields of a request, whatever they hold. */
export interface Request {
  readonly version: number;
  readonly op: number;
  readonly width: number;
  /** Index of the region, as VFIO counts: 0 to 5 are the BARs. */
  readonly region: number;
  /** The driver's own number for it; the reply has it again. */
  readonly sequence: number;
  /** In the region. */
  readonly offset: bigint;
  /** What to write; 0 in a request to read. */
  readonly value: bigint;
}

export interface Codec {
  /** The request in the 24 bytes at `at`. */
  request(bytes: Uint8Array, at: number): Request;
  reply(status: Status, sequence: number, value: bigint): Uint8Array;
}

export function codecOf(wire: typeof WIRE): Codec {
  return {
    request(bytes, at) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at, wire.request);
      return {
        version: view.getUint8(0),
        op: view.getUint8(1),
        width: view.getUint8(2),
        region: view.getUint8(3),
        sequence: view.getUint32(4, true),
        offset: view.getBigUint64(8, true),
        value: view.getBigUint64(16, true),
      };
    },
    reply(status, sequence, value) {
      const bytes = new Uint8Array(wire.reply);
      const view = new DataView(bytes.buffer);
      view.setUint8(0, wire.version);
      view.setUint8(1, status);
      view.setUint32(4, sequence, true);
      view.setBigUint64(8, value, true);
      return bytes;
    },
  };
}
