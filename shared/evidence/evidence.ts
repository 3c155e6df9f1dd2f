/**
 * The evidence policy: what must be true of an artifact's sidecars before anybody uses it.
 *
 * The caller has verified, by TUF, the vendor's role and the artifact's entry in it, and measured
 * the artifact's bytes. Here is decided, by structure and by signature, that the sidecars are the
 * listed ones, that the vendor vouches for how these bytes were made, that the SBOM describes
 * them and that the ceiling was made for them.
 */

import { equalBytes } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import type { PublicKey } from '../crypto/key.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { SIDECARS, sidecarPath } from '../layout.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import { keyId } from '../tuf/key.ts';
import { verifyAgreement } from './agreement.ts';
import { type BundleLine, parseBundle } from './bundle.ts';
import { verifyCeilingEnvelope } from './ceiling-envelope.ts';
import { parseTargetCustom, type TargetCustom } from './custom.ts';
import type { Envelope } from './dsse.ts';
import { type FoundProvenance, findProvenances } from './find-provenance.ts';
import { PREDICATE_TYPES } from './identifiers.ts';
import { type EvidenceKeys, evidenceKeyText } from './keys.ts';
import type { Provenance } from './provenance.ts';
import { readSbom } from './read-sbom.ts';
import { reading, refusal } from './refusal.ts';
import { type Sbom, verifySbomDescribes } from './sbom.ts';
import { type SidecarBytes, verifySidecars } from './sidecars.ts';
import { parseSigstoreBundle } from './sigstore-bundle.ts';
import { readStatedBills } from './stated-bills.ts';
import type { Digests } from './statement.ts';
import { readStatements, type SignedStatement } from './statements.ts';

export interface EvidenceInput {
  /** The artifact as measured; digests in lower-case hexadecimal. */
  readonly artifact: Digests & { readonly path: string; readonly length: number };
  /** `custom.ironport` of the artifact's verified targets entry. */
  readonly custom: Node | undefined;
  readonly sidecars: Partial<SidecarBytes>;
  /**
   * The keys that the vendor's verified role lists. Retired keys count as well, because what is
   * judged here is an entry that the current role still lists; who publishes something new passes
   * none of them.
   */
  readonly evidenceKeys: EvidenceKeys;
  /**
   * Keys of others whose statements somebody wants to know of: a laboratory's, a reviewer's. They
   * never stand in for the vendor's.
   */
  readonly otherKeys?: readonly PublicKey[];
}

/** One thing that was checked and held. */
export interface EvidenceCheck {
  readonly rule: EvidenceRule;
  readonly what: string;
  /** The keys by which it holds; null when it holds by the vendor's role alone. */
  readonly by: string | null;
  /** Ids of those keys. */
  readonly keyids: readonly string[];
  /** The digest that it was held against. */
  readonly against: string;
}

export type EvidenceRule =
  | 'sidecar-listed'
  | 'provenance'
  | 'agreement'
  | 'sbom'
  | 'ceiling'
  | 'bundle';

export interface EvidenceVerdict {
  readonly artifact: string;
  /** Never empty. */
  readonly checks: readonly EvidenceCheck[];
  readonly notChecked: readonly string[];
  readonly custom: TargetCustom;
  /** The first of `provenances`; all of them say the same of what was built, and from what. */
  readonly provenance: Provenance;
  readonly provenances: readonly FoundProvenance[];
  /** What statements say in other formats: one in the format of `sbom` is equal to it. */
  readonly moreBills: readonly Sbom[];
  /** Every statement about this artifact that a known key signed. */
  readonly statements: readonly SignedStatement[];
  readonly sbom: Sbom;
  /** The ceiling's predicate, for the reader of ceilings. */
  readonly ceiling: Node;
}

/**
 * Verifies the evidence of one artifact. Throws `E_CEILING` when it is the ceiling that does not
 * hold and `E_EVIDENCE` otherwise; `context.reason` is an `EvidenceReason`.
 */
export function verifyEvidence(crypto: Crypto, input: EvidenceInput): EvidenceVerdict {
  const { artifact, sidecars, evidenceKeys } = input;
  const keys = [...evidenceKeys.active, ...evidenceKeys.retired];
  const custom = readCustom(artifact.path, input.custom);
  if (keys.length === 0) {
    throw refusal(
      undefined,
      'unlisted',
      `the vendor's role lists no evidence key for ${artifact.path}`,
    );
  }

  const listed = verifySidecars(crypto, artifact.path, custom, sidecars);
  // verifySidecars threw unless all three are there; this is for the types.
  const { ceiling, statements, sbom, bundle } = sidecars as SidecarBytes;

  const checks: EvidenceCheck[] = listed.map(({ path, sha256 }) => ({
    rule: 'sidecar-listed',
    what: `${path} is the file that the artifact's entry lists`,
    by: null,
    keyids: [],
    against: sha256,
  }));
  const add = (rule: EvidenceRule, what: string, by: readonly PublicKey[] | null): void => {
    const names = by?.map((key) => evidenceKeyText(crypto, key, evidenceKeys)).join(', ') ?? null;
    const keyids = by?.map((key) => keyId(crypto, key)) ?? [];
    checks.push({ rule, what, by: names, keyids, against: artifact.sha256 });
  };

  const lines = reading(
    'statements',
    'unreadable',
    'the statements are not an in-toto bundle',
    () => parseBundle(statements),
  );
  const all = [...keys, ...(input.otherKeys ?? [])];
  const read = readStatements(crypto, lines, artifact, all);
  const provenances = findProvenances(read, keys);
  for (const { line, keys: signed } of provenances)
    add('provenance', `line ${line} is a SLSA provenance v1 of this artifact`, signed);

  const sbomNode = reading('sbom', 'unreadable', 'the SBOM is not JSON', () => {
    return new Node(parseJson(sbom, { length: EVIDENCE_LIMITS.sbom }), 'sbom');
  });
  const document = reading(
    'sbom',
    'unreadable',
    'the SBOM is neither an SPDX 2.3 nor an SPDX 3.0.1 document in JSON',
    () => readSbom(sbomNode),
  );
  verifySbomDescribes(document, artifact);
  const bills = readStatedBills(read.about, artifact);
  add('sbom', `the ${document.format} document describes this artifact`, null);

  const verifiedCeiling = verifyCeilingEnvelope(crypto, ceiling, artifact, keys);
  add('ceiling', 'the resource ceiling was made for this artifact', verifiedCeiling.keys);

  verifyAgreement(read.about, [
    { type: PREDICATE_TYPES.ceiling, what: 'the ceiling', value: verifiedCeiling.predicate.value },
    {
      type: document.format === 'SPDX 2.3' ? PREDICATE_TYPES.spdx2 : PREDICATE_TYPES.spdx3,
      what: 'the SBOM',
      value: sbomNode.value,
    },
  ]);
  if (read.about.length > 1)
    add('agreement', `${read.about.length} statements do not contradict each other`, null);

  if (bundle !== undefined) {
    verifySameSigning(bundle, lines);
    add('bundle', 'the Sigstore bundle holds a signature that the statements hold too', null);
  }
  return {
    artifact: artifact.path,
    checks,
    notChecked: notChecked(artifact.path, read.passed.length, read.about, bundle),
    custom,
    provenance: provenances[0].provenance,
    provenances,
    moreBills: bills.filter(({ format }) => format !== document.format),
    statements: read.about,
    sbom: document,
    ceiling: verifiedCeiling.predicate,
  };
}

function readCustom(path: string, node: Node | undefined): TargetCustom {
  // A host takes nothing without evidence, so an entry that lists none is a refusal.
  if (node === undefined)
    throw refusal(undefined, 'unlisted', `the entry of ${path} lists no evidence`);
  return reading(
    undefined,
    'unreadable',
    `the entry of ${path} lists its evidence in a form unknown here`,
    () => parseTargetCustom(node),
  );
}

/** The Sigstore bundle is a view of one line, not a second opinion. `E_EVIDENCE`. */
function verifySameSigning(bytes: Uint8Array, lines: readonly BundleLine[]): void {
  const bundled = reading(
    'bundle',
    'unreadable',
    'the Sigstore bundle is not of the form v0.3',
    () => parseSigstoreBundle(bytes),
  );
  if (lines.some((line) => 'envelope' in line && holds(line.envelope, bundled))) return;
  throw refusal(
    'bundle',
    'disagree',
    `the Sigstore bundle holds another signing than the statements`,
  );
}

function holds(envelope: Envelope, bundled: Envelope): boolean {
  const wanted = bundled.signatures[0]?.sig;
  return (
    wanted !== undefined &&
    envelope.payloadType === bundled.payloadType &&
    equalBytes(envelope.payload, bundled.payload) &&
    envelope.signatures.some(({ sig }) => equalBytes(sig, wanted))
  );
}

/** What only a host's policy can judge; it takes out what it did judge. */
export const NOT_JUDGED = {
  builder: 'who the builder is: no rule names builders for this vendor',
  sbom: 'what the SBOM lists: only that it describes this artifact',
  licences: 'under which licences the SBOM lists things: the rule says nothing of them',
  components: 'which components the SBOM lists: the rule says nothing of them',
} as const;

/** What a reader of the verdict might otherwise believe was checked. */
function notChecked(
  path: string,
  passed: number,
  about: readonly SignedStatement[],
  bundle: Uint8Array | undefined,
): string[] {
  const others = about.filter(
    ({ statement }) => statement.predicateType !== PREDICATE_TYPES.provenance,
  ).length;
  const lines = (count: number): string => `${count} other line${count === 1 ? '' : 's'}`;
  return [
    NOT_JUDGED.builder,
    NOT_JUDGED.sbom,
    ...(others === 0 ? [] : [`what ${lines(others)} of the statements mean for this host`]),
    ...(passed === 0 ? [] : [`${lines(passed)} of ${sidecarPath(path, 'statements')}`]),
    ...(bundle === undefined ? [`a file that ends in ${SIDECARS.bundle}: none was given`] : []),
  ];
}
