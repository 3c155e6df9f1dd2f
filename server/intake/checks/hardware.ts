/** The ceiling of a new artifact asks for hardware that the vendor was given, and no more. */

import { IronError } from '../../../shared/errors.ts';
import type { EvidenceVerdict } from '../../../shared/evidence/evidence.ts';
import { formatHardwareId } from '../../../shared/tuf/hardware-id.ts';
import { verifyHardware } from '../../../shared/tuf/vendors.ts';
import type { EvidenceOwner } from '../judge-submission.ts';
import { ceilingOf } from './ceiling.ts';

/** What holds, in words. `E_CEILING` when the ceiling is none, `E_NOT_AUTHORISED` about hardware. */
export function hardware({ record, vendor }: EvidenceOwner, evidence: EvidenceVerdict): string {
  const ceiling = ceilingOf(evidence);
  for (const match of ceiling.devices) verifyHardware(record, vendor, match);
  // Two numbers for one thing: revocation reads the entry's, the agent the ceiling's.
  if (ceiling.generation !== evidence.custom.generation) {
    throw new IronError('E_CEILING', `${evidence.artifact} has two security generations`, {
      why: `the ceiling says ${ceiling.generation}, the targets entry ${evidence.custom.generation}`,
    });
  }
  const ids = ceiling.devices.map((match) =>
    formatHardwareId({ bus: 'PCI', vendor: match.vendor, device: match.device }),
  );
  return `${ids.join(', ')} belong to ${vendor}`;
}
