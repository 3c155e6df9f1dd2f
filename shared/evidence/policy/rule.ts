/** One rule of a host's policy: what must be true of the evidence of one namespace's drivers. */

import type { Node } from '../../json/decode.ts';
import type { JsonValue } from '../../json/value.ts';
import { POLICY_LIMITS } from '../../limits.ts';
import { PREDICATE_TYPES } from '../identifiers.ts';
import { isLicence } from '../licences.ts';
import { type Purl, parsePurl } from '../purl.ts';
import { TYPE_URI } from '../statement.ts';
import { compileExpression, type Expression } from './cel.ts';
import { withoutRef } from './facts.ts';
import { readQuorum, readSigners } from './quorum.ts';
import { readSummaryRule, type SummaryRule } from './summary-rule.ts';

export interface BuilderRule {
  readonly id: string;
  /** `vendor`, or names of the policy's keys. */
  readonly signers: readonly string[];
  /** The most that this pair is worth (SLSA 1.2, verifying artifacts: roots of trust). */
  readonly level: number;
}

export interface ParameterRule {
  /** The values that are taken; undefined when any is. */
  readonly values: readonly JsonValue[] | undefined;
  readonly optional: boolean;
}

export interface PredicateRule {
  readonly type: string;
  readonly signers: readonly string[];
  /** So many different keys must have signed one. */
  readonly least: number;
}

export interface SbomRule {
  /** Undefined when the rule has no word about licences. */
  readonly licences: LicenceRule | undefined;
  /** Undefined when the rule has no word about package URLs. */
  readonly components: ComponentRule | undefined;
}

export interface LicenceRule {
  readonly allow: ReadonlySet<string> | undefined;
  readonly deny: ReadonlySet<string>;
  readonly without: 'allow' | 'refuse';
}

export interface ComponentRule {
  readonly forbid: readonly { readonly text: string; readonly purl: Purl }[];
  readonly without: 'allow' | 'refuse';
}

export interface ExpressionRule {
  readonly name: string;
  readonly expression: Expression;
}

export interface EvidenceRule {
  /** `acme`, `acme/edu`, or `*` for every vendor. */
  readonly namespace: string;
  readonly builders: readonly BuilderRule[] | undefined;
  readonly minimumLevel: number;
  readonly buildTypes: readonly string[] | undefined;
  readonly sources: readonly string[] | undefined;
  readonly parameters: ReadonlyMap<string, ParameterRule> | undefined;
  readonly predicates: readonly PredicateRule[];
  readonly reviews: PredicateRule | undefined;
  readonly summaries: readonly SummaryRule[];
  readonly sbom: SbomRule | undefined;
  readonly expressions: readonly ExpressionRule[];
}

const NAMESPACE = /^(\*|[a-z0-9][a-z0-9-]{0,31}(\/[A-Za-z0-9][A-Za-z0-9._+~-]*){0,2})$/;
const FIELDS = [
  ...['namespace', 'builders', 'minimum_level', 'build_types', 'sources', 'external_parameters'],
  ...['predicates', 'reviews', 'summaries', 'sbom', 'expressions'],
];

/** Reads a rule; `names` are the keys that the policy has. `E_SCHEMA` with the place. */
export function parseRule(node: Node, names: ReadonlySet<string>): EvidenceRule {
  node.only(...FIELDS);
  const list = (field: string): Node[] | undefined =>
    node.maybe(field)?.items(POLICY_LIMITS.entries);
  const uris = (field: string): string[] | undefined =>
    list(field)?.map((item) => item.matching(TYPE_URI, 'a URI'));
  const parameters = node.maybe('external_parameters')?.entries(POLICY_LIMITS.entries);
  const reviews = node.maybe('reviews')?.only('signers', 'least');
  const sbom = node.maybe('sbom');
  return {
    namespace: node
      .get('namespace')
      .matching(NAMESPACE, 'a namespace like "acme" or "acme/edu", or "*",'),
    builders: list('builders')?.map((item) => ({
      id: item.only('id', 'signers', 'level').get('id').matching(TYPE_URI, 'a URI'),
      signers: readSigners(item.get('signers'), names),
      // SLSA 1.2: the build track ends at 3.
      level: item.get('level').integer(0, 3),
    })),
    minimumLevel: node.maybe('minimum_level')?.integer(0, 3) ?? 0,
    buildTypes: uris('build_types'),
    sources: list('sources')?.map(readSource),
    parameters: parameters && new Map(parameters.map(([name, item]) => [name, readValues(item)])),
    predicates: (list('predicates') ?? []).map((item) => {
      item.only('type', 'signers', 'least');
      return { type: readType(item.get('type')), ...readQuorum(item, names) };
    }),
    reviews: reviews && { type: PREDICATE_TYPES.review, ...readQuorum(reviews, names) },
    summaries: (list('summaries') ?? []).map((item) => readSummaryRule(item, names)),
    sbom: sbom && readSbomRule(sbom),
    expressions: (list('expressions') ?? []).map((item) => {
      item.only('name', 'cel');
      const cel = item.get('cel');
      try {
        return { name: item.get('name').string(), expression: compileExpression(cel.string()) };
      } catch (error) {
        throw cel.error(error instanceof Error ? error.message : String(error));
      }
    }),
  };
}

function readSource(node: Node): string {
  const source = node.matching(TYPE_URI, 'a URI');
  // One with a ref would be none of those that are found, which are compared without.
  if (withoutRef(source) !== source) throw node.error('a repository without @ref is expected');
  return source;
}

/** Short names for predicates that have a form here; anything else is named by its URI. */
const ALIASES: Readonly<Record<string, string>> = {
  'test-result': PREDICATE_TYPES.testResult,
  release: PREDICATE_TYPES.release,
  review: PREDICATE_TYPES.review,
  cyclonedx: PREDICATE_TYPES.cyclonedx,
};

function readType(node: Node): string {
  const text = node.string();
  if (Object.hasOwn(ALIASES, text)) return ALIASES[text] as string;
  // By its type alone nobody knows whose verdict it is, about what, and how good.
  if (text === PREDICATE_TYPES.vsa)
    throw node.error('verification summaries are demanded under "summaries", with their verifiers');
  return node.matching(TYPE_URI, `a URI, or one of ${Object.keys(ALIASES).join(', ')},`);
}

function readValues(node: Node): ParameterRule {
  node.only('any', 'equals', 'one_of', 'optional');
  const optional = node.maybe('optional')?.boolean() ?? false;
  const given = ['any', 'equals', 'one_of'].filter((name) => node.maybe(name) !== undefined);
  if (given.length !== 1) throw node.error('one of any, equals, one_of is expected');
  const any = node.maybe('any');
  if (any !== undefined) {
    if (!any.boolean()) throw any.error('true is expected');
    return { values: undefined, optional };
  }
  const equals = node.maybe('equals');
  const values = equals === undefined ? node.get('one_of').items(POLICY_LIMITS.entries) : [equals];
  return { values: values.map(({ value }) => value), optional };
}

const LICENCE_FIELDS = ['allow_licences', 'deny_licences', 'without_licence'];
const COMPONENT_FIELDS = ['forbid', 'without_purl'];

function readSbomRule(node: Node): SbomRule {
  node.only(...LICENCE_FIELDS, ...COMPONENT_FIELDS);
  const has = (fields: readonly string[]): boolean =>
    fields.some((field) => node.maybe(field) !== undefined);
  if (!has([...LICENCE_FIELDS, ...COMPONENT_FIELDS]))
    throw node.error(`one of ${[...LICENCE_FIELDS, ...COMPONENT_FIELDS].join(', ')} is expected`);
  return {
    licences: has(LICENCE_FIELDS) ? readLicenceRule(node) : undefined,
    components: has(COMPONENT_FIELDS) ? readComponentRule(node) : undefined,
  };
}

/** What is to happen with a package that says nothing; refused when the rule does not say. */
function readChoice(node: Node, field: string): 'allow' | 'refuse' {
  return node.maybe(field)?.oneOf('allow', 'refuse') ?? 'refuse';
}

function readLicenceRule(node: Node): LicenceRule {
  const licences = (field: string): ReadonlySet<string> | undefined => {
    const items = node.maybe(field)?.items(POLICY_LIMITS.entries);
    return items && new Set(items.map(readLicence));
  };
  return {
    allow: licences('allow_licences'),
    deny: licences('deny_licences') ?? new Set(),
    without: readChoice(node, 'without_licence'),
  };
}

function readComponentRule(node: Node): ComponentRule {
  const forbid = (node.maybe('forbid')?.items(POLICY_LIMITS.entries) ?? []).map((item) => {
    const text = item.string();
    const purl = parsePurl(text);
    if (purl === undefined) throw item.error('a package URL is expected');
    return { text, purl };
  });
  return { forbid, without: readChoice(node, 'without_purl') };
}

function readLicence(node: Node): string {
  const text = node.string();
  if (!isLicence(text)) throw node.error("one licence of SPDX's list is expected");
  return text;
}
