/** A new artifact is not revoked before anybody has it: judged as hosts judge it. */

import type { EvidenceVerdict } from '../../../shared/evidence/evidence.ts';
import { NO_REVOCATION_FLOORS } from '../../../shared/revocation/floors.ts';
import { requireNotRevoked } from '../../../shared/revocation/judge.ts';
import { parseArtifactPath } from '../../../shared/tuf/names.ts';
import type { TargetEntry } from '../../../shared/tuf/targets.ts';
import { evidenceSubject } from '../../../shared/verify/revoked.ts';
import type { EvidenceOwner } from '../judge-submission.ts';
import type { Floors } from './vendor-floors.ts';

const HINT =
  'nothing was changed; publish a build that was mended, of a higher security generation and with evidence by a key that counts, or ask the security team of the repository';

/** `E_REVOKED`. `vendors` are the floors in the vendor's role as it will stand. Who signed the role files is judged with them, by `deniedKeys`. */
export function notRevoked(
  { revocations: list }: EvidenceOwner,
  vendors: Floors,
  entry: TargetEntry,
  evidence: EvidenceVerdict,
): string {
  const subject = evidenceSubject(entry, parseArtifactPath(entry.path), evidence, []);
  requireNotRevoked({ list, floors: { ...NO_REVOCATION_FLOORS, vendors } }, subject, HINT);
  const said =
    list === undefined
      ? 'the targets name no security team'
      : `list ${list.version} of epoch ${list.epoch} revokes nothing of it`;
  return `generation ${subject.generation} of ${subject.component}: ${said}`;
}
