/**
 * SLSA verification summaries: "this host judged this artifact by this policy, and it passed".
 * Whoever trusts the host's key need not judge again; whoever does not can replay the verdict
 * from the inputs that the summary names by digest.
 */

import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { canonicalText } from '../json/canonical.ts';
import type { Node } from '../json/decode.ts';
import { isJsonObject, type JsonObject, type JsonValue, jsonObject } from '../json/value.ts';
import { formatInstant, type Instant } from '../time.ts';
import { parseArtifactPath } from '../tuf/names.ts';
import { type EnvelopeSigner, parseEnvelope, signEnvelope, verifyEnvelope } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from './identifiers.ts';
import type { PolicyVerdict } from './policy/verdict.ts';
import { passes } from './policy/verdict.ts';
import { buildStatement, type Digests, parseStatement, type Subject } from './statement.ts';

/** Who says so: this program, whichever host it runs on. The key tells the hosts apart. */
export const VERIFIER_ID = 'https://ironshim.dev/ironport/verifier/v1';

/** The policy of a host that has none of its own. */
export const DEFAULT_POLICY_URI = 'https://ironshim.dev/ironport/policy/default/v1';

export interface Summary {
  readonly artifact: Digests & { readonly path: string };
  readonly verdict: PolicyVerdict;
  readonly time: Instant;
  readonly policy: { readonly uri: string; readonly sha256: string | undefined };
  /** What was judged, by target path, and the file of recorded inputs. */
  readonly inputs: readonly { readonly uri: string; readonly sha256: string }[];
  /** Over a map file: how many repositories had to say the same, and which did (TAP 4). */
  readonly agreement?:
    | { readonly threshold: number; readonly agreed: readonly string[] }
    | undefined;
}

/** A package URL for an artifact: `pkg:generic/acme/edu@1.0.0#edu.js`. */
export function resourceUri(path: string): string {
  const { vendor, product, version, file } = parseArtifactPath(path);
  const text = encodeURIComponent;
  return `pkg:generic/${text(vendor)}/${text(product)}@${text(version)}#${text(file)}`;
}

/** The predicate. Equal inputs give an equal one, which is what a replay compares. */
export function summaryPredicate(summary: Summary): JsonObject {
  const { artifact, verdict, time, policy, inputs, agreement } = summary;
  const digest = (sha256: string): JsonObject => jsonObject([['sha256', sha256]]);
  const didPass = passes(verdict);
  return jsonObject([
    ['verifier', jsonObject([['id', VERIFIER_ID]])],
    ['timeVerified', formatInstant(time)],
    ['resourceUri', resourceUri(artifact.path)],
    [
      'policy',
      jsonObject([
        ['uri', policy.uri],
        ...(policy.sha256 === undefined ? [] : [['digest', digest(policy.sha256)] as const]),
      ]),
    ],
    [
      'inputAttestations',
      inputs.map(({ uri, sha256 }) =>
        jsonObject([
          ['uri', uri],
          ['digest', digest(sha256)],
        ]),
      ),
    ],
    ['verificationResult', didPass ? 'PASSED' : 'FAILED'],
    ['verifiedLevels', didPass ? [`SLSA_BUILD_LEVEL_${verdict.level}`] : ['FAILED']],
    ['slsaVersion', '1.2'],
    // SLSA: extension fields are named after who defines them.
    [
      'ironshim_rules',
      verdict.rules.map(({ rule, holds, what, evidence }) =>
        jsonObject([
          ['rule', rule],
          ['holds', holds],
          ['what', what],
          ['evidence', evidence],
        ]),
      ),
    ],
    ...(agreement === undefined
      ? []
      : [
          [
            'ironshim_agreement',
            jsonObject([
              ['threshold', agreement.threshold],
              ['agreed', agreement.agreed],
            ]),
          ] as const,
        ]),
  ]);
}

/** Each rule of a predicate's verdict in the words of whoever wrote it, one text a rule. */
export function ruleWords(predicate: JsonValue): string[] {
  const rules = isJsonObject(predicate) ? predicate.ironshim_rules : undefined;
  return Array.isArray(rules) ? rules.map((rule) => canonicalText(rule)) : [];
}

/**
 * A predicate without the words in which its rules were put. They are this program's, and another version
 * of it has others for the same verdict.
 */
export function withoutWords(predicate: JsonValue): JsonValue {
  if (!isJsonObject(predicate) || !Array.isArray(predicate.ironshim_rules)) return predicate;
  const bare = predicate.ironshim_rules.map((rule: JsonValue) => {
    if (!isJsonObject(rule)) return rule;
    return jsonObject(
      Object.entries(rule).filter(([name]) => name !== 'what' && name !== 'evidence'),
    );
  });
  return jsonObject(Object.entries({ ...predicate, ironshim_rules: bare }));
}

/** The summary as a DSSE envelope. */
export function signSummary(summary: Summary, signer: EnvelopeSigner): Promise<Uint8Array> {
  const { path, sha256 } = summary.artifact;
  const statement = buildStatement({
    subjects: [{ name: parseArtifactPath(path).file, sha256 }],
    predicateType: PREDICATE_TYPES.vsa,
    predicate: summaryPredicate(summary),
  });
  return signEnvelope(IN_TOTO_PAYLOAD_TYPE, statement, [signer]);
}

export interface SignedSummary {
  readonly subject: Subject;
  readonly predicate: Node;
}

/** A summary signed by `key`. `E_SIGNATURE`, `E_SCHEMA`, `E_JSON`. */
export function verifySummary(crypto: Crypto, bytes: Uint8Array, key: PublicKey): SignedSummary {
  const envelope = parseEnvelope(bytes, 'summary');
  verifyEnvelope(crypto, envelope, [key], 1);
  const { subjects, predicateType, predicate } = parseStatement(envelope, 'summary');
  const [subject, ...more] = subjects;
  // SLSA, verification summary: the predicate type and the subject are part of the verdict.
  if (predicateType !== PREDICATE_TYPES.vsa) throw predicate.error('a summary is expected');
  if (subject === undefined || more.length > 0) throw predicate.error('one subject is expected');
  return { subject, predicate };
}
