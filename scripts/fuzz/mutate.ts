/** Hostile variations of good files, the same for the same numbers. */

/** A small generator (mulberry32), so that a run can be told again by its seed. */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const WORDS = [
  ...['"', '{', '}', '[', ']', ',', ':', '\\', '\\u0000', '\\ud800', 'null', 'true', '-', '0'],
  ...['9007199254740993', '-1', '1e9', '"__proto__":', '"constructor":', '""', '\n', '\0', '='],
  ...['[[', '{"a":', '"schema":"x",', '../', '%2f', 'pkg:', '\u00e9', '\uffff', 'ISM2'],
].map((word) => Buffer.from(word));

/** The largest input that is tried. */
export const MOST = 1024 * 1024;

export function mutate(
  seed: Uint8Array,
  other: Uint8Array,
  next: (below: number) => number,
): Uint8Array {
  let bytes = Buffer.from(seed);
  const rounds = 1 + next(4);
  for (let round = 0; round < rounds; round++) {
    const at = next(bytes.length + 1);
    const until = at + next(Math.min(64, bytes.length - at) + 1);
    const [head, middle, tail] = [
      bytes.subarray(0, at),
      bytes.subarray(at, until),
      bytes.subarray(until),
    ];
    switch (next(7)) {
      case 0:
        bytes = Buffer.concat([head, Buffer.of(next(256)), bytes.subarray(at + 1)]);
        break;
      case 1:
        bytes = Buffer.from(head);
        break;
      case 2:
        bytes = Buffer.concat([head, tail]);
        break;
      case 3:
        bytes = Buffer.concat([head, WORDS[next(WORDS.length)] as Buffer, bytes.subarray(at)]);
        break;
      case 4: {
        const from = next(other.length + 1);
        bytes = Buffer.concat([head, other.subarray(from, from + next(256)), tail]);
        break;
      }
      case 5:
        bytes = Buffer.concat([head, middle, middle, tail]);
        break;
      default: {
        // Seldom, because it costs the most: one thing over and over, up to the largest size.
        if (next(50) !== 0) break;
        const unit = middle.length > 0 ? middle : (WORDS[next(WORDS.length)] as Buffer);
        const most = Math.max(1, Math.floor((MOST - bytes.length) / unit.length));
        bytes = Buffer.concat([head, Buffer.alloc(unit.length * next(most), unit), tail]);
      }
    }
    if (bytes.length > MOST) bytes = bytes.subarray(0, MOST);
  }
  return new Uint8Array(bytes);
}
