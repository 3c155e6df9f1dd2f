/** The smaller predicates of in-toto that a host understands, and our own about reviews. */

import type { Node } from '../json/decode.ts';
import { ELF_LIMITS } from '../limits.ts';
import { readCycloneDx } from './cyclonedx.ts';
import { PREDICATE_TYPES } from './identifiers.ts';
import { parseProvenance } from './provenance.ts';
import { type Purl, parsePurl } from './purl.ts';
import { readSpdx } from './spdx.ts';
import { readSpdx3 } from './spdx3.ts';
import { parseSummaryClaim } from './summary-claim.ts';

/** in-toto test-result v0.1: what a run of tests came to. */
export interface TestResult {
  readonly result: 'PASSED' | 'WARNED' | 'FAILED';
  readonly configuration: number;
  readonly passed: readonly string[];
  readonly warned: readonly string[];
  readonly failed: readonly string[];
}

/** `E_SCHEMA`. */
export function parseTestResult(predicate: Node): TestResult {
  const result = predicate.get('result').oneOf('PASSED', 'WARNED', 'FAILED');
  const configuration = predicate.get('configuration').items();
  for (const item of configuration) item.object();
  const names = (field: string): string[] =>
    (predicate.maybe(field)?.items() ?? []).map((name) => name.string());
  const [passed, warned, failed] = [
    names('passedTests'),
    names('warnedTests'),
    names('failedTests'),
  ];
  // A run that names failed tests did not pass, whatever its summary says.
  if (result !== 'FAILED' && failed.length > 0) {
    throw predicate.error(`the result is ${result}, but failedTests names ${failed.length}`);
  }
  return { result, configuration: configuration.length, passed, warned, failed };
}

/** in-toto release v0.1: this name and version is exactly these files. */
export interface Release {
  readonly purl: string;
  readonly parts: Purl;
}

/** `E_SCHEMA`. */
export function parseRelease(predicate: Node): Release {
  const purl = predicate.get('purl').string();
  const parts = parsePurl(purl);
  // release/v0.1: "the purl MUST have a version".
  if (parts?.version === undefined) {
    throw predicate.get('purl').error('a package URL with a version is expected');
  }
  // The registry's own number of the package, under the name that it has and the one that it had.
  for (const name of ['packageId', 'releaseId']) predicate.maybe(name)?.string();
  return { purl, parts };
}

/** Our own: the signature for the kernel at a module's end, bound to both halves of the file. */
export interface ModuleSignatureClaim {
  /** Of the module without what was appended, and of the PKCS #7 block. */
  readonly moduleSha256: string;
  readonly signatureSha256: string;
  readonly signers: readonly { readonly signer: string; readonly digestAlgorithm: string }[];
}

const SHA256 = /^[0-9a-f]{64}$/;

/** `E_SCHEMA`. */
export function parseModuleSignature(predicate: Node): ModuleSignatureClaim {
  predicate.get('format').oneOf('pkcs7');
  const digest = (field: string): string =>
    predicate.get(field).get('sha256').matching(SHA256, 'a SHA-256 in lower-case hexadecimal');
  const signers = predicate
    .get('signers')
    .items(ELF_LIMITS.signers)
    .map((item) => ({
      signer: item.get('signer').string(),
      digestAlgorithm: item.get('digestAlgorithm').string(),
    }));
  if (signers.length === 0) throw predicate.get('signers').error('at least one is expected');
  // The certificate that the vendor saw it verify by, when there was one.
  predicate.maybe('certificate')?.get('sha256').matching(SHA256, 'a SHA-256');
  return { moduleSha256: digest('module'), signatureSha256: digest('signature'), signers };
}

/** Our own: a reviewer's word about an artifact. */
export interface Review {
  readonly result: 'approved' | 'rejected';
  readonly comment?: string;
  /** The submission to a service that it was made for. */
  readonly submission?: string;
}

/** `E_SCHEMA`. */
export function parseReview(predicate: Node): Review {
  const result = predicate.get('result').oneOf('approved', 'rejected');
  const comment = predicate.maybe('comment')?.string();
  const submission = predicate.maybe('submission')?.string();
  return {
    result,
    ...(comment !== undefined && { comment }),
    ...(submission !== undefined && { submission }),
  };
}

/** Readers by type. A predicate of another type has no meaning here, and none is given to it. */
const READERS: Readonly<Record<string, (predicate: Node) => unknown>> = {
  [PREDICATE_TYPES.provenance]: parseProvenance,
  [PREDICATE_TYPES.testResult]: parseTestResult,
  [PREDICATE_TYPES.release]: parseRelease,
  [PREDICATE_TYPES.review]: parseReview,
  [PREDICATE_TYPES.moduleSignature]: parseModuleSignature,
  [PREDICATE_TYPES.spdx2]: readSpdx,
  [PREDICATE_TYPES.spdx3]: readSpdx3,
  [PREDICATE_TYPES.cyclonedx]: readCycloneDx,
  [PREDICATE_TYPES.vsa]: parseSummaryClaim,
};

/** Refuses (`E_SCHEMA`) a predicate of a known type that has not its form. */
export function verifyPredicateForm(type: string, predicate: Node): void {
  if (Object.hasOwn(READERS, type)) READERS[type]?.(predicate);
}
