/** What judging by a policy yields: every rule with its verdict and what it rests on. */

import { IronError } from '../../errors.ts';

/** `context.reason` of every `E_POLICY` that a host's policy refuses with; one a kind of rule. */
export type PolicyReason =
  /** No rule names the driver, and the policy takes no others. */
  | 'namespace'
  | 'expired'
  | 'builder'
  | 'level'
  | 'build-type'
  | 'source'
  | 'parameter'
  | 'predicate'
  /** The release that was demanded is that of another driver, or of another version of it. */
  | 'release'
  | 'review'
  | 'summary'
  | 'licence'
  | 'component'
  | 'expression'
  /** An expression that could take too long over this evidence. */
  | 'expression-cost';

export interface RuleVerdict {
  /** The field of the policy that demanded it. */
  readonly rule: string;
  readonly holds: boolean;
  /** What was found, in words. */
  readonly what: string;
  /** Where: lines of the statements, keys, packages. */
  readonly evidence: string;
  readonly reason: PolicyReason;
}

export interface PolicyVerdict {
  /** Epoch of the policy; null is the default of a host without one. */
  readonly epoch: number | null;
  /** Its version within that. */
  readonly policy: number | null;
  /** The namespace of the rule that decided; null when none names the driver. */
  readonly namespace: string | null;
  /** SLSA build level that the accepted provenance is worth here. */
  readonly level: number;
  readonly rules: readonly RuleVerdict[];
  /** What no rule judged, of what a reader might believe was. */
  readonly notJudged: readonly string[];
}

export function passes({ rules }: PolicyVerdict): boolean {
  return rules.every(({ holds }) => holds);
}

/** Throws `E_POLICY` about the first rule that does not hold; `why` names the others. */
export function requirePolicy(path: string, verdict: PolicyVerdict): void {
  const [first, ...others] = verdict.rules.filter(({ holds }) => !holds);
  if (first === undefined) return;
  const also = others.map(({ rule }) => rule).join(', ');
  throw new IronError('E_POLICY', `the policy of this host refuses ${path}: ${first.what}`, {
    why: [
      `rule ${first.rule}`,
      ...(first.evidence === '' ? [] : [first.evidence]),
      ...(also === '' ? [] : [`not held either: ${also}`]),
    ].join('; '),
    hint: 'nothing was changed; `ironport-client policy explain` shows the rule in words',
    context: { reason: first.reason, rule: first.rule, namespace: verdict.namespace },
  });
}
