/** A policy in words, for those who have to live with it. */

import { canonicalText } from '../../json/canonical.ts';
import { formatInstant } from '../../time.ts';
import type { HostPolicy } from './host-policy.ts';
import type { EvidenceRule, ParameterRule, SbomRule } from './rule.ts';

/** What holds for every driver, whatever a policy says besides. */
export const DEFAULT_WORDS: readonly string[] = [
  'a SLSA provenance v1 must bind the exact digest of the driver',
  'it must be signed by an evidence key that the current role of the vendor lists',
  'an SBOM must describe the driver, and a resource ceiling must have been made for it',
  'statements about one driver must not contradict each other',
];

export interface ExplainedRule {
  readonly namespace: string;
  readonly demands: readonly string[];
}

export interface ExplainedPolicy {
  readonly head: readonly string[];
  readonly rules: readonly ExplainedRule[];
  /** For drivers that no rule names. */
  readonly otherwise: string;
}

export function explainPolicy(policy: HostPolicy): ExplainedPolicy {
  const { version, expires, keys, evidence } = policy;
  return {
    head: [
      `version ${version}`,
      expires === undefined ? 'does not expire' : `good until ${formatInstant(expires)}`,
      ...(keys.size === 0 ? [] : [`keys of others: ${[...keys.keys()].join(', ')}`]),
    ],
    rules: evidence.rules.map((rule) => ({ namespace: rule.namespace, demands: demandsOf(rule) })),
    otherwise:
      evidence.otherwise === 'refuse'
        ? 'drivers that no rule names are refused'
        : 'drivers that no rule names are taken by the default alone',
  };
}

function demandsOf(rule: EvidenceRule): string[] {
  const { builders, minimumLevel, buildTypes, sources, parameters, reviews } = rule;
  const demands: string[] = [];
  if (builders !== undefined) {
    const pairs = builders.map(
      ({ id, signers, level }) =>
        `${id} signed by ${signers.join(' or ')} (level ${level} at most)`,
    );
    demands.push(`built by ${either(pairs)}`);
  }
  if (minimumLevel > 0) demands.push(`SLSA build level ${minimumLevel} or more`);
  if (buildTypes !== undefined) demands.push(`of the build type ${either(buildTypes)}`);
  if (sources !== undefined) demands.push(`built from ${either(sources)}, and nothing else`);
  if (parameters !== undefined) demands.push(parametersText(parameters));
  for (const { type, signers, least } of rule.predicates) {
    demands.push(`with ${least} × ${type}, signed by ${signers.join(' or ')}`);
  }
  if (reviews !== undefined) {
    demands.push(`approved by ${reviews.least} of the reviewers ${reviews.signers.join(', ')}`);
  }
  if (rule.sbom !== undefined) demands.push(...sbomTexts(rule.sbom));
  for (const { name, expression } of rule.expressions) {
    demands.push(`${name}: ${expression.text}`);
  }
  return demands;
}

function parametersText(parameters: ReadonlyMap<string, ParameterRule>): string {
  if (parameters.size === 0) return 'without any external parameter';
  const each = [...parameters].map(([name, { values, optional }]) => {
    const wanted =
      values === undefined ? 'any value' : either(values.map((value) => canonicalText(value)));
    return `${name} = ${wanted}${optional ? ' (may be absent)' : ''}`;
  });
  return `external parameters ${each.join(', ')}; no other parameter`;
}

function sbomTexts(rule: SbomRule): string[] {
  const texts: string[] = [];
  const without = rule.withoutLicence === 'refuse' ? 'refused' : 'taken';
  if (rule.allow !== undefined) {
    texts.push(`only packages under ${either([...rule.allow])}; without a licence: ${without}`);
  }
  if (rule.deny.size > 0) texts.push(`no package under ${either([...rule.deny])}`);
  if (rule.forbid.length > 0) {
    const unknown = rule.withoutPurl === 'refuse' ? 'refused' : 'taken';
    const names = rule.forbid.map(({ text }) => text);
    texts.push(`without ${either(names)}; packages without a package URL: ${unknown}`);
  }
  return texts;
}

function either(things: readonly string[]): string {
  return things.length === 0 ? 'nothing' : things.join(' or ');
}
