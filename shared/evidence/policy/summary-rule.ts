/**
 * What a policy demands of a verification summary of SLSA: whose word it is, about which resource, and
 * which levels it must say (SLSA 1.2, verification summary, "How to verify").
 */

import type { Node } from '../../json/decode.ts';
import { POLICY_LIMITS } from '../../limits.ts';
import { parseArtifactPath } from '../../tuf/names.ts';
import { TYPE_URI } from '../statement.ts';
import { readLevel } from '../summary-claim.ts';
import { readLeast, readSigners } from './quorum.ts';

export interface SummaryRule {
  /** "Consumers MUST accept only specific (signer, verifier) pairs." */
  readonly verifiers: readonly { readonly id: string; readonly signers: readonly string[] }[];
  /** One summary must say all of them. Never empty. */
  readonly levels: readonly string[];
  /** So many different keys must have signed one. */
  readonly least: number;
  /** `resourceUri` of an artifact, with its names in braces. */
  readonly resource: string;
  /** The oldest that is taken; undefined when any is. */
  readonly maxAgeDays: number | undefined;
}

/** As hosts of this project write it (`resourceUri` of vsa.ts). */
const OWN_RESOURCE = 'pkg:generic/{vendor}/{product}@{version}#{file}';
const NAMES = ['vendor', 'product', 'version', 'file', 'path'] as const;

/** Where the tracks end in SLSA 1.2: what none has would refuse every driver. */
const MOST: Readonly<Record<string, number>> = { BUILD: 3, SOURCE: 4 };

/** `E_SCHEMA` with the place; `names` are the keys that the policy has. */
export function readSummaryRule(node: Node, names: ReadonlySet<string>): SummaryRule {
  node.only('verifiers', 'levels', 'least', 'resource_uri', 'max_age_days');
  const verifiers = node
    .get('verifiers')
    .items(POLICY_LIMITS.entries)
    .map((item) => ({
      id: item.only('id', 'signers').get('id').matching(TYPE_URI, 'a URI'),
      signers: readSigners(item.get('signers'), names),
    }));
  if (verifiers.length === 0)
    throw node.get('verifiers').error('at least one verifier is expected');
  const levels = node.get('levels').items(POLICY_LIMITS.entries).map(readDemandedLevel);
  // "Verify that verifiedLevels contains the expected value": without one there is nothing to verify.
  if (levels.length === 0) throw node.get('levels').error('at least one level is expected');
  const resource = node.maybe('resource_uri');
  return {
    verifiers,
    levels,
    least: readLeast(node, [...new Set(verifiers.flatMap(({ signers }) => signers))]),
    resource: resource === undefined ? OWN_RESOURCE : readResource(resource),
    maxAgeDays: node.maybe('max_age_days')?.integer(1, POLICY_LIMITS.maxAgeDays),
  };
}

function readDemandedLevel(node: Node): string {
  const text = node.matching(/^[!-~]{1,128}$/, 'a level without blanks');
  if (text === 'FAILED') throw node.error('a level that a summary can pass with is expected');
  const { track, level } = readLevel(text) ?? {};
  const most = track !== undefined && Object.hasOwn(MOST, track) ? MOST[track] : undefined;
  if (level !== undefined && most !== undefined && level > most)
    throw node.error(`the track ends at ${most}`);
  return text;
}

function readResource(node: Node): string {
  const text = node.matching(TYPE_URI, 'a URI');
  const left = text.replaceAll(/\{([a-z]+)\}/g, (whole, name) => (isName(name) ? '' : whole));
  if (/[{}]/.test(left))
    throw node.error(
      `only these names stand in braces: ${NAMES.map((name) => `{${name}}`).join(', ')}`,
    );
  return text;
}

function isName(text: string): text is (typeof NAMES)[number] {
  return (NAMES as readonly string[]).includes(text);
}

/** The `resourceUri` that a summary about this target path must have. */
export function expectedResource({ resource }: SummaryRule, path: string): string {
  const parts = { ...parseArtifactPath(path), path };
  return resource.replaceAll(/\{([a-z]+)\}/g, (whole, name) =>
    isName(name) ? parts[name].split('/').map(encodeURIComponent).join('/') : whole,
  );
}
