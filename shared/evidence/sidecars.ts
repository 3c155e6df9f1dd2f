/** The sidecars of an artifact, held against what its targets entry lists. */

import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { SIDECARS, type Sidecar, sidecarPath } from '../layout.ts';
import type { TargetCustom } from './custom.ts';
import { refusal } from './refusal.ts';

/** The bytes of the sidecars. All but the Sigstore bundle, a view for others, must be there. */
export interface SidecarBytes {
  readonly ceiling: Uint8Array;
  readonly statements: Uint8Array;
  readonly sbom: Uint8Array;
  readonly bundle?: Uint8Array;
}

/** The sidecars without which no artifact is used. */
export const REQUIRED_SIDECARS: readonly Sidecar[] = ['ceiling', 'statements', 'sbom'];

export interface SidecarDigest {
  readonly sidecar: Sidecar;
  readonly path: string;
  readonly sha256: string;
}

/**
 * Each sidecar given has the length and SHA-256 that the entry of `artifact` lists, and each one
 * that must be there is. Throws `E_CEILING` about the ceiling, `E_EVIDENCE` about the others.
 */
export function verifySidecars(
  crypto: Crypto,
  artifact: string,
  custom: TargetCustom,
  sidecars: Partial<SidecarBytes>,
): SidecarDigest[] {
  const verified: SidecarDigest[] = [];
  for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
    const path = sidecarPath(artifact, sidecar);
    const listed = custom.sidecars[sidecar];
    const bytes = sidecars[sidecar];
    if (bytes === undefined && !REQUIRED_SIDECARS.includes(sidecar)) continue;
    // The vendor's role must vouch for each: what it does not list, anybody may have put there.
    if (listed === undefined) {
      throw refusal(sidecar, 'unlisted', `the entry of ${artifact} lists no ${path}`);
    }
    if (bytes === undefined) {
      throw refusal(sidecar, 'missing', `${path} is listed but not there`, {
        hint: 'nothing was changed; the mirror is incomplete: try another one',
      });
    }
    const sha256 = toHex(crypto.sha256(bytes));
    // By length too, as TUF 5.7.2 does it for targets.
    if (bytes.length !== listed.length || sha256 !== listed.sha256) {
      throw refusal(
        sidecar,
        'swapped',
        `${path} is not the one that the entry of ${artifact} lists`,
        {
          why: `expected ${listed.length} bytes with SHA-256 ${listed.sha256}, found ${bytes.length} with ${sha256}`,
          hint: 'nothing was changed; somebody put another file in its place: try another mirror',
          context: { expected: listed.sha256, actual: sha256 },
        },
      );
    }
    verified.push({ sidecar, path, sha256 });
  }
  return verified;
}
