/** How evidence is refused: one of two codes, and a reason that scripts can tell apart. */

import { asIronError, type ErrorDetails, IronError } from '../errors.ts';
import type { Sidecar } from '../layout.ts';

/** Ceiling or anything else: the code that a sidecar's faults are reported under. */
export type EvidenceCode = 'E_EVIDENCE' | 'E_CEILING';

/** `context.reason` of every error that `verifyEvidence` throws. */
export type EvidenceReason =
  /** The targets entry lists no evidence, or the vendor's role no key for it. */
  | 'unlisted'
  /** A sidecar that is listed was not given, or a statement that must be there is not. */
  | 'missing'
  /** A sidecar is not the one that the targets entry lists. */
  | 'swapped'
  /** More than the limits allow. */
  | 'too-large'
  /** The bytes are not a document of their format. */
  | 'unreadable'
  /** Signed by no evidence key of the vendor. */
  | 'signer'
  /** Validly signed, about another artifact. */
  | 'subject'
  /** Validly signed, about something else than what is asked. */
  | 'predicate-type'
  /** An envelope of something that is no in-toto statement. */
  | 'payload-type'
  /** Two forms of the same signing that differ. */
  | 'disagree';

export function codeOf(sidecar: Sidecar): EvidenceCode {
  return sidecar === 'ceiling' ? 'E_CEILING' : 'E_EVIDENCE';
}

export function refusal(
  sidecar: Sidecar | undefined,
  reason: EvidenceReason,
  message: string,
  details: ErrorDetails = {},
): IronError {
  return new IronError(sidecar === undefined ? 'E_EVIDENCE' : codeOf(sidecar), message, {
    hint: 'nothing was changed; the vendor must publish evidence that holds for this artifact',
    ...details,
    context: { reason, ...(sidecar !== undefined && { sidecar }), ...details.context },
  });
}

/** Runs a reader; what it refuses becomes a refusal of this sidecar for `reason`. */
export function reading<T>(
  sidecar: Sidecar | undefined,
  reason: EvidenceReason,
  message: string,
  read: () => T,
): T {
  try {
    return read();
  } catch (cause) {
    const error = asIronError(cause);
    // A defect of ours is no fault of the vendor's, and a refusal already says which it is.
    if (error.code === 'E_INTERNAL' || error.context.reason !== undefined) throw cause;
    // Too much is its own reason, whatever was being looked for in it.
    const why = error.why === undefined ? error.message : `${error.message}: ${error.why}`;
    if (error.code === 'E_TOO_LARGE') {
      throw refusal(sidecar, 'too-large', 'the evidence is more than this program reads', {
        why,
        cause,
      });
    }
    throw refusal(sidecar, reason, message, { why, cause });
  }
}
