/** How old an attestation may be: IronShim-rs `DeviceAttestationReport::validate_freshness`. */

import type { Instant } from '../time.ts';
import { coreError } from './core-errors.ts';

/**
 * Throws `E_AGENT_REFUSED` (`InvalidState`) for a report from the future, `E_EXPIRED` (`Timeout`)
 * for one that is older than `maxAgeSeconds`.
 */
export function checkFreshness(generatedAt: Instant, now: Instant, maxAgeSeconds: number): void {
  if (generatedAt > now)
    throw coreError('InvalidState', 'the attestation was generated in the future', {
      hint: 'nothing was changed; compare the clocks of this host and of who attested',
    });
  if (now - generatedAt > maxAgeSeconds)
    throw coreError('Timeout', `the attestation is ${now - generatedAt} seconds old`, {
      why: `at most ${maxAgeSeconds} are allowed`,
      hint: 'nothing was changed; attest the device again',
    });
}
