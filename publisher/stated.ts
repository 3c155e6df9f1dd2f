/** What a vendor states about an artifact beside its provenance: a bill, tests, a release. */

import type { X509Certificate } from 'node:crypto';
import type { CommandContext } from '../shared/cli/command.ts';
import { IronError } from '../shared/errors.ts';
import { readCycloneDx } from '../shared/evidence/cyclonedx.ts';
import { PREDICATE_TYPES } from '../shared/evidence/identifiers.ts';
import type { Claimed } from '../shared/evidence/make.ts';
import { parseTestResult } from '../shared/evidence/predicates.ts';
import { parsePurl } from '../shared/evidence/purl.ts';
import { readSbom } from '../shared/evidence/read-sbom.ts';
import { releaseContradicts } from '../shared/evidence/release-names.ts';
import { Node } from '../shared/json/decode.ts';
import { isJsonObject, jsonObject } from '../shared/json/value.ts';
import { EVIDENCE_LIMITS, PUBLISHER_LIMITS } from '../shared/limits.ts';
import { parseJsonOf, readFileCapped, readJsonFile } from '../shared/node/files.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import { readCertificate } from './sbom/check-signature.ts';

export interface Stated {
  /** An SPDX document, as it is. */
  readonly sbom?: Uint8Array;
  readonly claims: readonly Claimed[];
  readonly certificates: readonly X509Certificate[];
}

/** What is stated, by the files that say it; in options, or in a line of a list. */
export interface StatedFiles {
  readonly sbom: string | undefined;
  readonly testResults: readonly string[];
  /** A package URL. */
  readonly release: string | undefined;
  readonly moduleCertificates: readonly string[];
}

/** As the options name them. */
export function statedFiles(context: CommandContext): StatedFiles {
  return {
    sbom: context.text('sbom'),
    testResults: context.list('test-result'),
    release: context.text('release'),
    moduleCertificates: context.list('module-certificate'),
  };
}

/**
 * Reads what is named, about the artifact of this target path. What hosts would refuse of it is refused
 * when it is signed.
 */
export async function loadStated(files: StatedFiles, path: string): Promise<Stated> {
  const claims: Claimed[] = [];
  const { sbom, cyclonedx } = await loadBill(files.sbom);
  if (cyclonedx !== undefined) claims.push(cyclonedx);
  for (const file of files.testResults) {
    const node = new Node(await readJsonFile(file, PUBLISHER_LIMITS.provenance), file);
    parseTestResult(node);
    claims.push({ predicateType: PREDICATE_TYPES.testResult, predicate: node.object() });
  }
  if (files.release !== undefined) claims.push(releaseOf(files.release, path));
  const certificates: X509Certificate[] = [];
  for (const file of files.moduleCertificates)
    certificates.push(
      readCertificate(await readFileCapped(file, PUBLISHER_LIMITS.certificate), file),
    );
  return { ...(sbom !== undefined && { sbom }), claims, certificates };
}

/** CycloneDX has no place among the sidecars: it is stated in a line of its own. */
async function loadBill(
  file: string | undefined,
): Promise<{ readonly sbom?: Uint8Array; readonly cyclonedx?: Claimed }> {
  if (file === undefined) return {};
  const bytes = await readFileCapped(file, EVIDENCE_LIMITS.sbom);
  const tree = parseJsonOf(file, bytes, EVIDENCE_LIMITS.sbom);
  // Of what form it must be is said here too, where the file has a name.
  const node = new Node(tree, file);
  if (!isJsonObject(tree) || tree.bomFormat === undefined) {
    readSbom(node);
    return { sbom: bytes };
  }
  readCycloneDx(node);
  return { cyclonedx: { predicateType: PREDICATE_TYPES.cyclonedx, predicate: tree } };
}

/** release/v0.1: name and version of a package are exactly these files. */
function releaseOf(purl: string, path: string): Claimed {
  const { vendor, product, version } = parseArtifactPath(path);
  const hint = `nothing was signed; for example pkg:generic/${vendor}/${product}@${version}`;
  const parts = parsePurl(purl);
  // release/v0.1: "the purl MUST have a version". Which one, a host compares where it is the authors' own.
  if (parts?.version === undefined)
    throw new IronError('E_USAGE', 'the release is no package URL with a version', { hint });
  const other = releaseContradicts(parts, path);
  if (other !== undefined)
    throw new IronError('E_USAGE', `the release is not that of ${path}: ${other}`, {
      hint: `${hint}; other types of package URLs have names of their registries`,
    });
  return { predicateType: PREDICATE_TYPES.release, predicate: jsonObject([['purl', purl]]) };
}
