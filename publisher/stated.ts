/** What a vendor states about an artifact beside its provenance: a bill, tests, a release. */

import type { X509Certificate } from 'node:crypto';
import type { CommandContext } from '../shared/cli/command.ts';
import { IronError } from '../shared/errors.ts';
import { PREDICATE_TYPES } from '../shared/evidence/identifiers.ts';
import type { Claimed } from '../shared/evidence/make.ts';
import { parsePurl } from '../shared/evidence/purl.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { isJsonObject, jsonObject } from '../shared/json/value.ts';
import { EVIDENCE_LIMITS, PUBLISHER_LIMITS } from '../shared/limits.ts';
import { readFileCapped, readJsonFile } from '../shared/node/files.ts';
import { readCertificate } from './sbom/check-signature.ts';

export interface Stated {
  /** An SPDX document, as it is. */
  readonly sbom?: Uint8Array;
  readonly claims: readonly Claimed[];
  readonly certificates: readonly X509Certificate[];
}

export const NOTHING_STATED: Stated = { claims: [], certificates: [] };

/** Reads what the options name. What hosts would refuse of it is refused when it is signed. */
export async function loadStated(context: CommandContext): Promise<Stated> {
  const claims: Claimed[] = [];
  const { sbom, cyclonedx } = await loadBill(context.text('sbom'));
  if (cyclonedx !== undefined) claims.push(cyclonedx);
  for (const file of context.list('test-result')) {
    const predicate = new Node(
      await readJsonFile(file, PUBLISHER_LIMITS.provenance),
      file,
    ).object();
    claims.push({ predicateType: PREDICATE_TYPES.testResult, predicate });
  }
  const purl = context.text('release');
  if (purl !== undefined) claims.push(releaseOf(purl, context.need('version')));
  const certificates: X509Certificate[] = [];
  for (const file of context.list('module-certificate'))
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
  const tree = parseJson(bytes, { length: EVIDENCE_LIMITS.sbom });
  if (!isJsonObject(tree) || tree.bomFormat === undefined) return { sbom: bytes };
  return { cyclonedx: { predicateType: PREDICATE_TYPES.cyclonedx, predicate: tree } };
}

/** release/v0.1: name and version of a package are exactly these files. */
function releaseOf(purl: string, version: string): Claimed {
  const found = parsePurl(purl)?.version;
  if (found !== version)
    throw new IronError(
      'E_USAGE',
      `--release names ${found ?? 'no version'}, and this is ${version}`,
      {
        hint: `nothing was signed; a package URL ends in its version, for example pkg:generic/acme/edu@${version}`,
      },
    );
  return { predicateType: PREDICATE_TYPES.release, predicate: jsonObject([['purl', purl]]) };
}
