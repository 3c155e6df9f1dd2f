/** New keys in the vendor's folder, under names that nothing has. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublicKey } from '../shared/crypto/key.ts';
import { vendorFolder } from '../shared/layout.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { writeNewKey } from '../shared/node/signers/write-key.ts';
import { keyId } from '../shared/tuf/key.ts';

export interface NewKey {
  readonly list: string;
  /** Relative to the folder. */
  readonly file: string;
  readonly keyid: string;
  readonly key: PublicKey;
}

/** Makes `count` keys called after `list`. */
export async function makeKeys(
  dir: string,
  list: string,
  count: number,
  passphrase: string | undefined,
): Promise<NewKey[]> {
  const keys: NewKey[] = [];
  for (let number = 1; keys.length < count; number++) {
    const file = vendorFolder.key(list, number);
    const isTaken = await stat(join(dir, file)).then(
      () => true,
      () => false,
    );
    if (isTaken) continue;
    const created = systemClock();
    const { key } = await writeNewKey(join(dir, file), 'ed25519', {
      created,
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    keys.push({ list, file, keyid: keyId(crypto, key), key });
  }
  return keys;
}
