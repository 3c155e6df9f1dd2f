/** The 64-bit name of a driver in a resource manifest. */

import { utf8 } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';

/**
 * The first 8 bytes of SHA-256 of the target path, little-endian. Never 0, which IronShim keeps for
 * "no driver": a path that hashes to it (nobody knows one) is `E_MANIFEST`.
 */
export function driverId(targetPath: string, crypto: Crypto): bigint {
  const digest = crypto.sha256(utf8(targetPath));
  const id = new DataView(digest.buffer, digest.byteOffset, 8).getBigUint64(0, true);
  if (id === 0n) throw new IronError('E_MANIFEST', 'the target path makes the driver id 0');
  return id;
}
