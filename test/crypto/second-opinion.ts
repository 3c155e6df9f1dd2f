/** Both forms of `Crypto` asked the same question: they must give the same answer. */

import type { PublicKey } from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';

/** The verdict of both; a disagreement is an error that says who said what. */
export function verdict(key: PublicKey, message: Uint8Array, signature: Uint8Array): boolean {
  const [pure, platform] = [nobleCrypto, platformCrypto].map((crypto) =>
    crypto.verify(key, message, signature),
  );
  if (pure !== platform) {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    throw new Error(
      `noble says ${pure}, the platform ${platform}: ${key.scheme} key ${hex(key.bytes)} message ${hex(message)} signature ${hex(signature)}`,
    );
  }
  return pure as boolean;
}
