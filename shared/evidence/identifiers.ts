/** The names by which the formats of evidence know each other. All of them are compared exactly. */

/**
 * The only payload type that verifiers in the field accept for a statement, although in-toto would
 * allow `application/vnd.in-toto.<predicate>+json` too.
 */
export const IN_TOTO_PAYLOAD_TYPE = 'application/vnd.in-toto+json';

/** `_type` of an in-toto Statement v1. */
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';

/** Predicate types. */
export const PREDICATE_TYPES = {
  provenance: 'https://slsa.dev/provenance/v1',
  ceiling: 'https://ironshim.dev/attestation/resource-ceiling/v1',
  revocation: 'https://ironshim.dev/attestation/revocation/v1',
  /** Somebody other than the vendor looked at the artifact, and says what came of it. */
  review: 'https://ironshim.dev/attestation/review/v1',
  /** Who signed a kernel module for the kernel, and over which bytes. */
  moduleSignature: 'https://ironshim.dev/attestation/module-signature/v1',
  testResult: 'https://in-toto.io/attestation/test-result/v0.1',
  release: 'https://in-toto.io/attestation/release/v0.1',
  spdx2: 'https://spdx.dev/Document/v2.3',
  spdx3: 'https://spdx.dev/Document/v3',
  cyclonedx: 'https://cyclonedx.org/bom',
  vsa: 'https://slsa.dev/verification_summary/v1',
} as const;

/** `mediaType` of a Sigstore bundle v0.3. */
export const SIGSTORE_BUNDLE_TYPE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

/** Build types of this project (SLSA provenance v1, `buildType`). */
export const BUILD_TYPES = {
  /** A build of which nothing is known but what the vendor states. */
  byHand: 'https://ironshim.dev/ironport/by-hand/v1',
  /** `ironport apply`: a pattern applied to a source, on the vendor's own machine. */
  apply: 'https://ironshim.dev/ironport/apply/v1',
} as const;

/** Builders of this project (SLSA provenance v1, `builder.id`). */
export const BUILDERS = {
  /** The vendor built it, by hand, on a machine about which nothing is claimed. */
  byHand: 'https://ironshim.dev/builders/vendor-by-hand/v1',
} as const;

/** What SPDX 2.3 fixes for every document (SPDX 2.3, 6.1 to 6.3). */
export const SPDX = {
  version: 'SPDX-2.3',
  dataLicense: 'CC0-1.0',
  document: 'SPDXRef-DOCUMENT',
  /** Where a document's name is made unique when nobody asks for another place. */
  namespace: 'https://ironshim.dev/spdx/',
} as const;
