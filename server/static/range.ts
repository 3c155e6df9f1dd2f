/** Byte ranges of a request (RFC 9110 section 14). One range is served; several are ignored. */

/** First and last byte, both included. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The range that a `Range` field asks for in a file of `size` bytes: undefined for the whole file
 * (absent, malformed or more than one range: RFC 9110 14.2 lets a server ignore it), and
 * `unsatisfiable` when it begins past the end.
 */
export function parseRange(
  field: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const match = /^bytes=(\d{0,16})-(\d{0,16})$/.exec(field ?? '');
  if (match === null) return undefined;
  const [first, last] = [match[1] as string, match[2] as string];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    // RFC 9110 14.1.2: so many bytes from the end; of none there is nothing to send.
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size - 1 : Math.min(Number(last), size - 1) };
}
