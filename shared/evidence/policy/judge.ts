/**
 * A host's policy over verified evidence: pure, so that client, agent, preflight and a replay come
 * to the same verdict. Every rule is judged, also after one that does not hold, so that the
 * verdict says everything there is to mend. Rules only narrow: evidence was verified before.
 */

import type { Crypto } from '../../crypto/crypto.ts';
import { keyIdentity } from '../../crypto/key.ts';
import { isIronError } from '../../errors.ts';
import { canonicalText } from '../../json/canonical.ts';
import { formatInstant, type Instant } from '../../time.ts';
import { type EvidenceVerdict, NOT_JUDGED } from '../evidence.ts';
import type { FoundProvenance } from '../find-provenance.ts';
import { PREDICATE_TYPES } from '../identifiers.ts';
import type { EvidenceKeys } from '../keys.ts';
import { parseRelease, parseReview, parseTestResult } from '../predicates.ts';
import { releaseContradicts } from '../release-names.ts';
import type { SignedStatement } from '../statements.ts';
import { factsOf, sourcesOf } from './facts.ts';
import { type HostPolicy, ruleFor } from './host-policy.ts';
import type { EvidenceRule, ExpressionRule, ParameterRule, PredicateRule } from './rule.ts';
import { judgeSbom } from './sbom-rules.ts';
import { Signers } from './signers.ts';
import { judgeSummary } from './summary-rules.ts';
import type { PolicyReason, PolicyVerdict, RuleVerdict } from './verdict.ts';

export interface PolicyInput {
  readonly crypto: Crypto;
  readonly evidence: EvidenceVerdict;
  readonly sha256: string;
  readonly length: number;
  /** The evidence keys of the vendor's verified role. */
  readonly vendorKeys: EvidenceKeys;
  readonly now: Instant;
}

/** Judges by `policy`; without one, by the default: what `verifyEvidence` demanded already. */
export function judgePolicy(policy: HostPolicy | undefined, input: PolicyInput): PolicyVerdict {
  const base = baseVerdict(input);
  if (policy === undefined) return base;
  const { artifact } = input.evidence;
  const version = { epoch: policy.epoch, policy: policy.version };
  // A policy that is past its time was perhaps replaced by one that was kept from this host.
  if (policy.expires !== undefined && policy.expires <= input.now) {
    const what = `the policy was good until ${formatInstant(policy.expires)}`;
    return { ...base, ...version, rules: [no('expires', 'expired', what)] };
  }
  const rule = ruleFor(policy.evidence, artifact);
  if (rule === undefined) {
    if (policy.evidence.otherwise === 'default') return { ...base, ...version };
    const what = 'no rule of the policy names it, and it takes no others';
    return { ...base, ...version, rules: [...base.rules, no('otherwise', 'namespace', what)] };
  }
  const judge = new Judge(policy, rule, input);
  const rules = judge.rules();
  const { namespace } = rule;
  return {
    ...version,
    namespace,
    level: judge.level,
    rules: [...base.rules, ...rules],
    notJudged: [
      ...(rule.builders === undefined ? [NOT_JUDGED.builder] : []),
      ...sbomNotJudged(rule),
    ],
  };
}

function sbomNotJudged({ sbom }: EvidenceRule): string[] {
  if (sbom === undefined) return [NOT_JUDGED.sbom];
  return [
    ...(sbom.licences === undefined ? [NOT_JUDGED.licences] : []),
    ...(sbom.components === undefined ? [NOT_JUDGED.components] : []),
  ];
}

/** Nothing without a provenance that binds this digest, by a key that the vendor's role lists. */
function baseVerdict({ evidence, sha256 }: PolicyInput): PolicyVerdict {
  const { line } = evidence.provenances[0] as FoundProvenance;
  const check = evidence.checks.find(({ rule }) => rule === 'provenance');
  const rule: RuleVerdict = {
    rule: 'default',
    holds: true,
    what: 'a provenance binds this digest, by a key that the role of the vendor lists',
    evidence: `line ${line}, by ${check?.by ?? ''}, about ${sha256}`,
    reason: 'builder',
  };
  return {
    epoch: null,
    policy: null,
    namespace: null,
    // SLSA 1.2, verifying artifacts: what is known of no builder is level 1.
    level: 1,
    rules: [rule],
    notJudged: [NOT_JUDGED.builder, NOT_JUDGED.sbom],
  };
}

const verdict = (holds: boolean) => {
  return (rule: string, reason: PolicyReason, what: string, evidence = ''): RuleVerdict => ({
    rule,
    holds,
    what,
    evidence,
    reason,
  });
};
const yes = verdict(true);
const no = verdict(false);

class Judge {
  readonly #signers: Signers;
  readonly #rule: EvidenceRule;
  readonly #input: PolicyInput;
  /** The provenance that the rule accepts, and what it is worth. */
  readonly #best: { readonly found: FoundProvenance; readonly level: number } | undefined;

  constructor(policy: HostPolicy, rule: EvidenceRule, input: PolicyInput) {
    this.#signers = new Signers(input.crypto, input.vendorKeys, policy.keys);
    this.#rule = rule;
    this.#input = input;
    this.#best = this.#accepted();
  }

  get level(): number {
    return this.#best?.level ?? 0;
  }

  rules(): RuleVerdict[] {
    const { predicates, reviews, summaries, sbom, expressions } = this.#rule;
    const { evidence, now } = this.#input;
    const asked = { evidence, signers: this.#signers, now };
    return [
      ...this.#builder(),
      ...this.#provenance(),
      ...predicates.map((demand, i) => this.#predicate(`predicates[${i}]`, 'predicate', demand)),
      ...(reviews === undefined ? [] : [this.#predicate('reviews', 'review', reviews)]),
      ...summaries.map((demand, i) => judgeSummary(`summaries[${i}]`, demand, asked)),
      ...(sbom === undefined ? [] : judgeSbom(sbom, evidence)),
      ...expressions.map((one, i) => this.#expression(`expressions[${i}]`, one)),
    ];
  }

  /** "Consumers MUST accept only specific signer-builder pairs" (SLSA 1.2, build provenance). */
  #accepted(): { readonly found: FoundProvenance; readonly level: number } | undefined {
    const { builders } = this.#rule;
    let best: { readonly found: FoundProvenance; readonly level: number } | undefined;
    for (const found of this.#input.evidence.provenances) {
      if (builders === undefined) {
        best ??= { found, level: 1 };
        continue;
      }
      for (const { id, signers, level } of builders) {
        if (id !== found.provenance.builderId) continue;
        if (this.#signers.among(found.keys, signers).length === 0) continue;
        if (best === undefined || level > best.level) best = { found, level };
      }
    }
    return best;
  }

  #builder(): RuleVerdict[] {
    const { builders, minimumLevel } = this.#rule;
    const { provenances } = this.#input.evidence;
    const rules: RuleVerdict[] = [];
    if (builders !== undefined) {
      const best = this.#best;
      const found = provenances.map(
        ({ line, keys, provenance }) =>
          `line ${line}: ${provenance.builderId}, signed by ${this.#signers.names(keys)}`,
      );
      const taken = builders.map(({ id, signers }) => `${id} signed by ${signers.join(' or ')}`);
      const pairs = `${found.join('; ')}; taken: ${taken.join(', ')}`;
      rules.push(
        best === undefined
          ? no('builders', 'builder', 'no accepted pair of signer and builder made it', pairs)
          : yes(
              'builders',
              'builder',
              `built by ${best.found.provenance.builderId}`,
              `line ${best.found.line}, by ${this.#signers.names(best.found.keys)}`,
            ),
      );
    }
    if (minimumLevel > 0) {
      const what = `SLSA build level ${this.level}, at least ${minimumLevel} is demanded`;
      rules.push((this.level >= minimumLevel ? yes : no)('minimum_level', 'level', what));
    }
    return rules;
  }

  /** All provenances say the same of these (`verifyAgreement`), so that the first one is asked. */
  #provenance(): RuleVerdict[] {
    const { buildTypes, sources, parameters } = this.#rule;
    const { provenance } = this.#input.evidence;
    const rules: RuleVerdict[] = [];
    if (buildTypes !== undefined) {
      const holds = buildTypes.includes(provenance.buildType);
      const what = `the build type is ${provenance.buildType}`;
      const taken = holds ? '' : `taken: ${buildTypes.join(', ')}`;
      rules.push((holds ? yes : no)('build_types', 'build-type', what, taken));
    }
    if (sources !== undefined) {
      const found = sourcesOf(provenance);
      const foreign = found.filter((source) => !sources.includes(source));
      const holds = found.length > 0 && foreign.length === 0;
      const what =
        found.length === 0
          ? 'the provenance names no source repository'
          : `built from ${(holds ? found : foreign).join(', ')}`;
      const taken = holds ? '' : `taken: ${sources.join(', ')}`;
      rules.push((holds ? yes : no)('sources', 'source', what, taken));
    }
    if (parameters !== undefined) rules.push(this.#parameters());
    return rules;
  }

  /** SLSA 1.2, verifying artifacts, step 2: what is not recognised is refused. */
  #parameters(): RuleVerdict {
    const [rule, reason] = ['external_parameters', 'parameter'] as const;
    const parameters: ReadonlyMap<string, ParameterRule> = this.#rule.parameters ?? new Map();
    const found = this.#input.evidence.provenance.externalParameters;
    for (const [name, value] of Object.entries(found)) {
      const expected = parameters.get(name);
      if (expected === undefined) {
        return no(rule, reason, `the external parameter ${JSON.stringify(name)} is unknown`);
      }
      const text = canonicalText(value);
      const isTaken = expected.values?.some((one) => canonicalText(one) === text) ?? true;
      if (isTaken) continue;
      const what = `the external parameter ${JSON.stringify(name)} has another value`;
      const taken = expected.values?.map((one) => canonicalText(one)).join(', ') ?? '';
      return no(rule, reason, what, `${text.slice(0, 200)}; taken: ${taken.slice(0, 200)}`);
    }
    for (const [name, { optional }] of parameters) {
      if (optional || Object.hasOwn(found, name)) continue;
      return no(rule, reason, `the external parameter ${JSON.stringify(name)} is missing`);
    }
    const count = Object.keys(found).length;
    const what = count === 1 ? '1 external parameter' : `${count} external parameters`;
    return yes(rule, reason, `${what}, each with a value that is taken`);
  }

  #predicate(rule: string, reason: PolicyReason, demand: PredicateRule): RuleVerdict {
    const { type, signers, least } = demand;
    const { artifact, statements } = this.#input.evidence;
    const ofType = statements.filter(({ statement }) => statement.predicateType === type);
    const judged = ofType.map((signed) => ({
      line: `line ${signed.line}`,
      fault: faultOf(signed, artifact),
      by: this.#signers.among(signed.keys, signers),
    }));
    const good = judged.filter(({ fault }) => fault === undefined);
    const keys = new Map(good.flatMap(({ by }) => by.map((key) => [keyIdentity(key), key])));
    const lines = good.map(({ line }) => line).join(', ');
    const what = `${keys.size} of the ${least} signatures that are demanded under ${type}`;
    if (keys.size >= least) {
      return yes(rule, reason, what, `${lines}, by ${this.#signers.names(keys.values())}`);
    }
    const [bad] = judged.filter(({ fault }) => fault !== undefined);
    if (ofType.length === 0) return no(rule, reason, what, 'there is none of this type');
    if (good.length > 0 || bad === undefined)
      return no(rule, reason, what, `${lines}: signed by others`);
    const isOther = type === PREDICATE_TYPES.release && bad.by.length > 0;
    return no(rule, isOther ? 'release' : reason, what, `${bad.line} ${bad.fault}`);
  }

  #expression(rule: string, { name, expression }: ExpressionRule): RuleVerdict {
    const { evidence, sha256, length } = this.#input;
    const found = this.#best?.found ?? (evidence.provenances[0] as FoundProvenance);
    try {
      const facts = factsOf(evidence, { sha256, length, found, level: this.level });
      const holds = expression.holds(facts);
      if (holds) return yes(rule, 'expression', name, expression.text);
      return no(
        rule,
        'expression',
        name,
        [expression.text, ...expression.values(facts)].join('; '),
      );
    } catch (error) {
      if (!isIronError(error, 'E_POLICY')) throw error;
      const reason = error.context.reason as PolicyReason;
      return no(rule, reason, `${name}: ${error.message}`, error.why);
    }
  }
}

/** Why a statement is not one that was asked for, whoever signed it; undefined when it is. */
function faultOf({ statement }: SignedStatement, path: string): string | undefined {
  const { predicateType, predicate } = statement;
  const no = 'says no';
  switch (predicateType) {
    case PREDICATE_TYPES.testResult:
      return parseTestResult(predicate).result === 'PASSED' ? undefined : no;
    case PREDICATE_TYPES.review:
      return parseReview(predicate).result === 'approved' ? undefined : no;
    case PREDICATE_TYPES.release: {
      const { purl, parts } = parseRelease(predicate);
      const other = releaseContradicts(parts, path);
      return other && `is the release of ${purl.slice(0, 200)}: ${other}`;
    }
    default:
      return undefined;
  }
}
