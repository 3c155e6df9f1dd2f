/** The vendor's side: everything that stands beside an artifact, from one signing of each claim. */

import { toHex } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import type { Signer } from '../crypto/signer.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import type { JsonObject } from '../json/value.ts';
import type { Sidecar } from '../layout.ts';
import { EVIDENCE_LIMITS } from '../limits.ts';
import type { Instant } from '../time.ts';
import { keyId } from '../tuf/key.ts';
import { parseArtifactPath } from '../tuf/names.ts';
import { buildBundle } from './bundle.ts';
import { signCeiling } from './ceiling-envelope.ts';
import { buildTargetCustom, type Measured } from './custom.ts';
import { parseEnvelope, signEnvelope } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES, SPDX } from './identifiers.ts';
import { verifyPredicateForm } from './predicates.ts';
import { parseProvenance } from './provenance.ts';
import { readSbom } from './read-sbom.ts';
import { verifySbomDescribes } from './sbom.ts';
import type { SidecarBytes } from './sidecars.ts';
import { buildSigstoreBundle } from './sigstore-bundle.ts';
import { buildSpdx } from './spdx.ts';
import { buildStatement, type Digests } from './statement.ts';

export interface EvidenceRequest {
  /** The artifact as measured; its path says vendor, product and version. */
  readonly artifact: Digests & { readonly path: string; readonly length: number };
  readonly generation: number;
  /** The ceiling as the manifest room writes it. */
  readonly ceilingPredicate: JsonObject;
  /** SLSA provenance v1: a builder's, or `handBuiltProvenance`. */
  readonly provenancePredicate: JsonObject;
  /** What else the vendor states about the artifact, a line each behind the provenance. */
  readonly also?: readonly Claimed[];
  /** An SPDX document of the artifact, in place of the least that is true. */
  readonly sbom?: Uint8Array;
  /** An evidence key that the vendor's role lists as active. */
  readonly signer: Signer;
  readonly now: Instant;
}

const SBOM = { length: EVIDENCE_LIMITS.sbom } as const;

/** A predicate and its type. */
export interface Claimed {
  readonly predicateType: string;
  readonly predicate: JsonObject;
}

export interface MadeEvidence extends Required<SidecarBytes> {
  /** The value of `custom.ironport` in the artifact's targets entry. */
  readonly custom: JsonObject;
}

/**
 * Builds and signs. Equal inputs give equal bytes as far as the signer's signatures are
 * reproducible (Ed25519's are). `E_NAME` on a path that is not of our form, `E_SCHEMA` and
 * `E_EVIDENCE` on what a host would refuse.
 */
export async function makeEvidence(
  crypto: Crypto,
  request: EvidenceRequest,
): Promise<MadeEvidence> {
  const { artifact, signer, now } = request;
  const { vendor, product, version, file } = parseArtifactPath(artifact.path);
  // What a host would refuse is refused here, before anything is signed.
  parseProvenance(new Node(request.provenancePredicate, 'provenance'));
  const also = request.also ?? [];
  for (const { predicateType, predicate } of also)
    verifyPredicateForm(predicateType, new Node(predicate, predicateType));

  const keyid = keyId(crypto, signer.key);
  const { sha256, sha512 } = artifact;
  const digests: Digests = sha512 === undefined ? { sha256 } : { sha256, sha512 };
  const subject = { name: file, ...digests };
  const ceiling = await signCeiling(subject, request.ceilingPredicate, { signer, keyid });
  const claims: Claimed[] = [
    { predicateType: PREDICATE_TYPES.provenance, predicate: request.provenancePredicate },
    ...also,
  ];
  const envelopes: Uint8Array[] = [];
  for (const claim of claims) {
    const statement = buildStatement({ subjects: [subject], ...claim });
    envelopes.push(await signEnvelope(IN_TOTO_PAYLOAD_TYPE, statement, [{ signer, keyid }]));
  }
  if (request.sbom !== undefined)
    verifySbomDescribes(readSbom(new Node(parseJson(request.sbom, SBOM), 'sbom')), digests);
  const sbom =
    request.sbom ??
    buildSpdx({
      name: product,
      version,
      fileName: file,
      digests,
      supplier: vendor,
      created: now,
      documentNamespace: `${SPDX.namespace}${artifact.path}/${sha256}/${now}`,
    });
  const sidecars = {
    ceiling,
    statements: buildBundle(envelopes),
    sbom,
    bundle: buildSigstoreBundle(parseEnvelope(envelopes[0] as Uint8Array)),
  };
  return { ...sidecars, custom: customOf(crypto, request.generation, sidecars) };
}

function customOf(
  crypto: Crypto,
  generation: number,
  sidecars: Readonly<Record<Sidecar, Uint8Array>>,
): JsonObject {
  const measured = (bytes: Uint8Array): Measured => ({
    length: bytes.length,
    sha256: toHex(crypto.sha256(bytes)),
  });
  return buildTargetCustom({
    kind: 'artifact',
    generation,
    sidecars: {
      ceiling: measured(sidecars.ceiling),
      statements: measured(sidecars.statements),
      sbom: measured(sidecars.sbom),
      bundle: measured(sidecars.bundle),
    },
  });
}
