/** The machine's randomness, for shells to pass in. */

import { randomBytes } from 'node:crypto';

/** `length` bytes that nobody can guess. */
export type Random = (length: number) => Uint8Array;

export const systemRandom: Random = (length) => new Uint8Array(randomBytes(length));
