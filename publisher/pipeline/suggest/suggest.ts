/** `suggest`: a pattern file with proposals for what it does not know. */

import { fromUtf8 } from '../../../shared/bytes.ts';
import type { CGrammar } from '../c/grammar.ts';
import { parsePattern } from '../pattern/pattern.ts';
import type { Entry } from '../pattern/render.ts';
import { insertProposals } from './edit.ts';
import { propose } from './propose.ts';

export interface Suggested {
  /** The new pattern file; the old one byte for byte when there is nothing to propose. */
  readonly text: string;
  readonly proposals: readonly Entry[];
}

/**
 * Proposes entries for the calls in `source` that `patternBytes` does not decide. An entry that
 * says anything but UNKNOWN is never touched. With proposals, the pattern wants review again.
 */
export function suggest(
  grammar: CGrammar,
  patternBytes: Uint8Array,
  source: string,
  what: string,
): Suggested {
  const pattern = parsePattern(patternBytes, what);
  const text = fromUtf8(patternBytes);
  const proposals = propose(grammar, source, pattern.mapping);
  if (proposals.length === 0) return { text, proposals };
  return { text: insertProposals(text, pattern, proposals), proposals };
}
