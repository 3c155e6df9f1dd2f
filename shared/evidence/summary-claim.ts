/**
 * What a verification summary claims, whoever wrote it (SLSA 1.2, verification summary). Whether a
 * host takes such a word is judged by its policy.
 */

import type { Node } from '../json/decode.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';
import { TYPE_URI } from './statement.ts';

export interface SummaryClaim {
  /** `verifier.id`. */
  readonly verifier: string;
  /** When it was verified; undefined when the summary does not say. */
  readonly time: Instant | undefined;
  readonly resourceUri: string;
  readonly result: 'PASSED' | 'FAILED';
  readonly levels: readonly string[];
}

/** `E_SCHEMA`. */
export function parseSummaryClaim(predicate: Node): SummaryClaim {
  const verifier = predicate.get('verifier').get('id').matching(TYPE_URI, 'a URI');
  // A summary names the policy by which it was judged; which one is the verifier's business.
  predicate.get('policy').get('uri').string();
  const result = predicate.get('verificationResult').oneOf('PASSED', 'FAILED');
  const listed = predicate.get('verifiedLevels');
  const levels = listed.items(EVIDENCE_LIMITS.verifiedLevels).map((item) => item.string());
  // Two readers of a summary that says both would come to two answers.
  if (result === 'PASSED' && levels.includes('FAILED'))
    throw listed.error('the result is PASSED, and the levels say FAILED');
  const tracks = levels.flatMap((level) => readLevel(level)?.track ?? []);
  // "Users MUST NOT include more than one level per SLSA track."
  if (new Set(tracks).size < tracks.length) throw listed.error('two levels of one track');
  return {
    verifier,
    time: predicate.maybe('timeVerified')?.instant(),
    resourceUri: predicate.get('resourceUri').string(),
    result,
    levels,
  };
}

const LEVEL = /^SLSA_([A-Z0-9_]{1,64})_LEVEL_(\d|UNEVALUATED)$/;

/** A level of a track; undefined for verified properties and for words of other people's. */
export function readLevel(
  text: string,
): { readonly track: string; readonly level: number | undefined } | undefined {
  const [, track, level] = LEVEL.exec(text) ?? [];
  if (track === undefined || level === undefined) return undefined;
  return { track, level: level === 'UNEVALUATED' ? undefined : Number(level) };
}

/** Whether a summary that says `found` says `wanted`: a level implies those below it on its track. */
export function saysLevel(found: readonly string[], wanted: string): boolean {
  if (found.includes(wanted)) return true;
  const least = readLevel(wanted);
  if (least?.level === undefined) return false;
  return found.some((text) => {
    const level = readLevel(text);
    return level?.track === least.track && (level.level ?? -1) >= (least.level as number);
  });
}
