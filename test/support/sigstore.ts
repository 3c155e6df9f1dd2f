/** `@sigstore/verify`, as somebody uses it who has a key and nothing of ours. */

import { createRequire } from 'node:module';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { keyToSpki, type PublicKey } from '../../shared/crypto/key.ts';

/** The reader of bundles that `@sigstore/verify` itself uses. */
const { bundleFromJSON } = createRequire(
  createRequire(import.meta.url).resolve('@sigstore/verify'),
)('@sigstore/bundle');

/** Verifies a bundle by the key of this hint, without a log and without the time; throws what it throws. */
export function verifyElsewhere(bundle: unknown, keyid: string, key: PublicKey): void {
  const nobody = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    mediaType: '',
  };
  // Unspecified: the bytes say which kind of key it is.
  const keys = { [keyid]: { rawBytes: Buffer.from(keyToSpki(key)), keyDetails: 0 } };
  const verifier = new Verifier(toTrustMaterial(nobody, keys), {
    tlogThreshold: 0,
    ctlogThreshold: 0,
    timestampThreshold: 0,
  });
  verifier.verify(toSignedEntity(bundleFromJSON(bundle)));
}
