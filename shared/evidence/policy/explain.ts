/** A policy in words, for those who have to live with it. */

import { canonicalText } from '../../json/canonical.ts';
import { formatInstant, type Instant } from '../../time.ts';
import { PREDICATE_TYPES } from '../identifiers.ts';
import type { HostPolicy } from './host-policy.ts';
import type { ComponentRule, EvidenceRule, LicenceRule, ParameterRule } from './rule.ts';
import type { SummaryRule } from './summary-rule.ts';

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

/** `now` is when it is read: one that is past its time refuses everything. */
export function explainPolicy(policy: HostPolicy, now: Instant): ExplainedPolicy {
  const { epoch, version, expires, keys, evidence } = policy;
  return {
    head: [
      `version ${version} of epoch ${epoch}`,
      expires === undefined
        ? 'does not expire'
        : expires > now
          ? `good until ${formatInstant(expires)}`
          : `was good until ${formatInstant(expires)}: it refuses every driver`,
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
  if (minimumLevel > 0) demands.push(levelText(rule));
  if (buildTypes !== undefined) demands.push(`of the build type ${either(buildTypes)}`);
  if (sources !== undefined) demands.push(`built from ${either(sources)}, and nothing else`);
  if (parameters !== undefined) demands.push(parametersText(parameters));
  for (const { type, signers, least } of rule.predicates) {
    demands.push(`a statement ${type}${saysText(type)}, signed by ${quorumText(least, signers)}`);
  }
  if (reviews !== undefined) {
    demands.push(
      `a review that approves it, signed by ${quorumText(reviews.least, reviews.signers)}`,
    );
  }
  demands.push(...rule.summaries.map(summaryText));
  if (rule.sbom?.licences !== undefined) demands.push(...licenceTexts(rule.sbom.licences));
  if (rule.sbom?.components !== undefined) demands.push(...componentTexts(rule.sbom.components));
  for (const { name, expression } of rule.expressions) {
    demands.push(`${name}: ${expression.text}`);
  }
  return demands;
}

function saysText(type: string): string {
  if (type === PREDICATE_TYPES.testResult) return ' that says PASSED';
  return type === PREDICATE_TYPES.release ? ' of this driver and version' : '';
}

function summaryText({ verifiers, levels, least, resource, maxAgeDays }: SummaryRule): string {
  const pairs = verifiers.map(({ id, signers }) => `${id} signed by ${signers.join(' or ')}`);
  return [
    `a verification summary of ${resource} that says PASSED and ${levels.join(' and ')}`,
    `by ${either(pairs)}`,
    ...(least === 1 ? [] : [`signed by ${least} keys`]),
    ...(maxAgeDays === undefined ? [] : [`at most ${maxAgeDays} days old`]),
  ].join(', ');
}

/** A level that no accepted provenance can have refuses every driver, which nobody means. */
function levelText({ builders, minimumLevel }: EvidenceRule): string {
  const text = `SLSA build level ${minimumLevel} or more`;
  // SLSA 1.2, verifying artifacts: what is known of no builder is level 1.
  const most = builders === undefined ? 1 : Math.max(0, ...builders.map(({ level }) => level));
  if (minimumLevel <= most) return text;
  return builders === undefined
    ? `${text}: which none has, since a builder that no rule names is worth level 1`
    : `${text}: which none of these builders is worth`;
}

function quorumText(least: number, signers: readonly string[]): string {
  return signers.length === 1 && least === 1
    ? (signers[0] as string)
    : `${least} of ${signers.join(', ')}`;
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

function licenceTexts({ allow, deny, without }: LicenceRule): string[] {
  return [
    ...(allow === undefined
      ? []
      : [`each package usable under these licences alone: ${[...allow].join(', ') || 'none'}`]),
    ...(deny.size === 0 ? [] : [`no package that needs the licence ${either([...deny])}`]),
    `packages without a licence: ${TAKEN[without]}`,
  ];
}

function componentTexts({ forbid, without }: ComponentRule): string[] {
  const names = forbid.map(({ text }) => text);
  return [
    ...(names.length === 0 ? [] : [`without the component ${either(names)}`]),
    `packages without a package URL: ${TAKEN[without]}`,
  ];
}

const TAKEN = { allow: 'taken', refuse: 'refused' } as const;

function either(things: readonly string[]): string {
  return things.length === 0 ? 'nothing' : things.join(' or ');
}
