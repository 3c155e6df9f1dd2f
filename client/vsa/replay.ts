/** A summary judged again from its recorded inputs, and compared with what the host signed. */

import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import {
  ruleWords,
  type Summary,
  summaryPredicate,
  verifySummary,
  withoutWords,
} from '../../shared/evidence/vsa.ts';
import { canonicalText } from '../../shared/json/canonical.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { SUMMARY_LIMITS } from '../../shared/limits.ts';
import type { Instant } from '../../shared/time.ts';
import { INPUT_FIELDS, inputsOf, judgeInputs, policyAgain } from './inputs.ts';
import { judgeMapInputs, MAP_SCHEMA, type RootOf } from './map-inputs.ts';
import { SCHEMA } from './write.ts';

export interface Replayed {
  readonly path: string;
  readonly sha256: string;
  readonly time: Instant;
  readonly result: string;
  readonly rules: Summary['verdict'];
  /** Rules that the summary puts in other words than this program does. */
  readonly reworded: readonly string[];
  /** Of a map: how many repositories had to say the same, and who did. */
  readonly agreement: Summary['agreement'];
}

/** Where the inputs must begin: `of` by name for those over a map, `only` for one repository. */
export interface ReplayRoots {
  readonly only?: Uint8Array | undefined;
  readonly of?: RootOf | undefined;
}

/**
 * Verifies the signature of a summary by the host's `key`, and judges its recorded inputs again.
 * Throws `E_HASH` when the inputs are not those of the summary, `E_NO_PIN` when they begin at
 * another root than the one given, `E_EVIDENCE` (disagree) when the verdict comes out differently,
 * `E_USAGE` when roots are given for the other kind of summary, and whatever the verification throws.
 */
export function replaySummary(
  crypto: Crypto,
  bytes: Uint8Array,
  inputs: Uint8Array,
  key: PublicKey,
  roots: ReplayRoots = {},
): Replayed {
  const signed = verifySummary(crypto, bytes, key);
  const digest = toHex(crypto.sha256(inputs));
  const named = signed.predicate.get('inputAttestations').items();
  const isNamed = named.some((item) => {
    return item.get('digest').maybe('sha256')?.value === digest;
  });
  if (!isNamed) {
    throw new IronError('E_HASH', 'the inputs are not those that the summary names', {
      why: `no input attestation has the SHA-256 ${digest}`,
      hint: 'give the file that was written beside the summary',
      context: { actual: digest },
    });
  }
  const again = judgeAgain(crypto, inputs, digest, roots);
  const expected = summaryPredicate(again);
  const text = (predicate: JsonValue): string => canonicalText(withoutWords(predicate));
  if (
    signed.subject.sha256 !== again.artifact.sha256 ||
    text(signed.predicate.value) !== text(expected)
  ) {
    throw new IronError('E_EVIDENCE', 'judged again, the verdict is another one', {
      why: 'the same inputs do not lead to what the summary says',
      hint: 'do not believe the summary; ask whose host it is, and compare the versions of this program',
      context: { reason: 'disagree' },
    });
  }
  const { path, sha256 } = again.artifact;
  const result = signed.predicate.get('verificationResult').string();
  const { time, verdict: rules, agreement } = again;
  const ours = ruleWords(expected);
  const reworded = ruleWords(signed.predicate.value).flatMap((words, i) =>
    words === ours[i] ? [] : [rules.rules[i]?.rule ?? String(i)],
  );
  return { path, sha256, time, result, rules, reworded, agreement };
}

function judgeAgain(
  crypto: Crypto,
  bytes: Uint8Array,
  sha256: string,
  { only, of }: ReplayRoots,
): Summary {
  const node = new Node(parseJson(bytes, { length: SUMMARY_LIMITS.inputs }), 'inputs');
  if (node.get('schema').oneOf(SCHEMA, MAP_SCHEMA) === MAP_SCHEMA) {
    if (only !== undefined) throw otherRoots('--root', 'several repositories', '--roots DIR');
    return judgeMapInputs(crypto, node, sha256, of ?? (() => undefined));
  }
  if (of !== undefined) throw otherRoots('--roots', 'one repository', '--root FILE');
  node.only('schema', ...INPUT_FIELDS, 'policy');
  const { policy, uri } = policyAgain(crypto, node.get('policy'));
  const { verdict, sidecars, time } = judgeInputs(crypto, node, policy, only);
  return {
    artifact: { path: verdict.path, sha256: verdict.sha256 },
    verdict: verdict.policy,
    time,
    policy: uri,
    inputs: inputsOf(crypto, verdict.path, sidecars, { schema: SCHEMA, sha256 }),
  };
}

function otherRoots(given: string, of: string, instead: string): IronError {
  return new IronError('E_USAGE', `${given} is not for a summary over ${of}`, {
    hint: `give ${instead}`,
  });
}
