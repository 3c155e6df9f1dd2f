/** Something that signs: a file, a token, an agent. Where the private half lives is its affair. */

import type { PublicKey } from './key.ts';

export interface Signer {
  readonly key: PublicKey;
  /** A signature in the form that `Crypto.verify` takes. */
  sign(message: Uint8Array): Promise<Uint8Array>;
}
