/**
 * Two statements about the same bytes that contradict each other: whoever reads would choose which
 * to believe, so nobody does. What is compared is said for each type; statements of a type that is
 * unknown here are about something that nobody here decides by.
 */

import { canonicalText } from '../json/canonical.ts';
import type { JsonValue } from '../json/value.ts';
import { PREDICATE_TYPES } from './identifiers.ts';
import { refusal } from './refusal.ts';
import type { SignedStatement } from './statements.ts';

type Essence = (statement: SignedStatement) => JsonValue;

const whole: Essence = ({ statement }) => statement.predicate.value;

/** What must be equal in all statements of a type. */
const ESSENCES: Readonly<Record<string, Essence>> = {
  // Several builders may have built it, at other times; what they built, and from what, is one.
  [PREDICATE_TYPES.provenance]: ({ statement }) => {
    const definition = statement.predicate.get('buildDefinition');
    const field = (name: string): JsonValue => definition.maybe(name)?.value ?? null;
    return [
      field('buildType'),
      field('externalParameters'),
      field('internalParameters'),
      field('resolvedDependencies'),
    ];
  },
  // Runs in other configurations may warn elsewhere; what came of them is one.
  [PREDICATE_TYPES.testResult]: ({ statement }) => statement.predicate.get('result').value,
  [PREDICATE_TYPES.review]: ({ statement }) => statement.predicate.get('result').value,
  [PREDICATE_TYPES.ceiling]: whole,
  [PREDICATE_TYPES.release]: whole,
  [PREDICATE_TYPES.moduleSignature]: whole,
  [PREDICATE_TYPES.spdx2]: whole,
  [PREDICATE_TYPES.spdx3]: whole,
  [PREDICATE_TYPES.cyclonedx]: whole,
};

/** A document beside the statements that a statement of the same type must not contradict. */
export interface Beside {
  readonly type: string;
  readonly what: string;
  readonly value: JsonValue;
}

/**
 * Throws `E_EVIDENCE` (disagree) on the first two that contradict each other. `statements` are
 * those about one artifact, signed by keys that count.
 */
export function verifyAgreement(
  statements: readonly SignedStatement[],
  beside: readonly Beside[],
): void {
  const first = new Map<string, { readonly what: string; readonly text: string }>();
  const compare = (type: string, what: string, value: JsonValue): void => {
    const text = canonicalText(value);
    const before = first.get(type);
    if (before === undefined) {
      first.set(type, { what, text });
    } else if (before.text !== text) {
      throw refusal('statements', 'disagree', `${before.what} and ${what} contradict each other`, {
        why: `both are of the type ${type}, about the same artifact`,
        context: { predicate_type: type },
      });
    }
  };
  const types = new Set(statements.map(({ statement }) => statement.predicateType));
  for (const { type, what, value } of beside) if (types.has(type)) compare(type, what, value);
  for (const signed of statements) {
    const type = signed.statement.predicateType;
    if (!Object.hasOwn(ESSENCES, type)) continue;
    const essence = ESSENCES[type] as Essence;
    compare(type, `line ${signed.line}`, essence(signed));
  }
}
