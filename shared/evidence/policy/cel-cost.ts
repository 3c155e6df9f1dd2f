/**
 * What an expression can cost at most, computed from its tree and the facts before it is run. A path that
 * leads to facts has their size, also through the variables of loops; what an expression makes itself
 * has the size that it can reach. No input makes a bound too low, and equal inputs give an equal one.
 */

import { IronError } from '../../errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../json/value.ts';
import { POLICY_LIMITS } from '../../limits.ts';

/** Our copy of an expression's tree: what the evaluator does to its own is its business. */
export type Tree =
  /** Of a text its length; of anything else 0. */
  | { readonly kind: 'literal'; readonly length: number }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'member'; readonly of: Tree; readonly name: string }
  | { readonly kind: 'compare'; readonly isIn: boolean; readonly parts: readonly Tree[] }
  | Loop
  /** `+` and `? :`: at most all parts together. */
  | { readonly kind: 'sum'; readonly parts: readonly Tree[] }
  | { readonly kind: 'list'; readonly parts: readonly Tree[] }
  /** Yields one value that is neither list nor map. */
  | { readonly kind: 'scalar'; readonly parts: readonly Tree[]; readonly isSearch?: boolean }
  | { readonly kind: 'other'; readonly parts: readonly Tree[] };

interface Loop {
  readonly kind: 'loop';
  readonly macro: string;
  readonly over: Tree;
  readonly variable: string;
  readonly body: readonly Tree[];
}

/** What is known where a part of the tree stands. */
interface Scope {
  readonly facts: JsonObject;
  /** What a loop's variable can be; undefined for things that the expression made. */
  readonly variables: ReadonlyMap<string, readonly JsonValue[] | undefined>;
  /** Bounds of what nothing is known of: values in it, and entries of one list. */
  readonly values: number;
  readonly items: number;
  /** And characters of one text. */
  readonly text: number;
}

/** Characters that are compared in the time of one step. */
const CHARACTERS_IN_STEP = 4096;

/** At most so many steps. `E_POLICY` (expression-cost) for a text that is too long to be shown. */
export function stepsOf(tree: Tree, facts: JsonObject): number {
  const { values, longest } = measure(facts);
  // Each `+`, all of which stand outside of loops, can add the longest once more.
  const times = 1 + sumsIn(tree);
  const items = Math.max(longest, POLICY_LIMITS.expressionNodes) * times;
  const text = Math.max(POLICY_LIMITS.text, POLICY_LIMITS.expression) * times;
  return steps(tree, { facts, variables: new Map(), values: values * times, items, text });
}

/** What a plain path such as `sbom.packages` leads to. */
export function valueAt(tree: Tree, facts: JsonObject): JsonValue | undefined {
  if (tree.kind === 'name') return facts[tree.name];
  if (tree.kind !== 'member') return undefined;
  const of = valueAt(tree.of, facts);
  return isJsonObject(of) ? of[tree.name] : undefined;
}

function steps(tree: Tree, scope: Scope): number {
  const all = (trees: readonly Tree[], inside = scope): number =>
    trees.reduce((sum, one) => sum + steps(one, inside), 1);
  switch (tree.kind) {
    case 'literal':
    case 'name':
      return 1;
    case 'member':
      return 1 + steps(tree.of, scope);
    case 'compare': {
      const [a, b] = tree.parts as [Tree, Tree];
      // Two things are compared until the smaller one ends; what is looked for, with each entry.
      const looks = Math.min(valuesOf(a, scope), valuesOf(b, scope));
      const most = tree.isIn ? itemsOf(b, scope) * valuesOf(a, scope) : looks;
      return all(tree.parts) + most;
    }
    case 'loop':
      return (
        steps(tree.over, scope) + itemsOf(tree.over, scope) * all(tree.body, within(tree, scope))
      );
    default:
      return all(tree.parts) + searchOf(tree, scope);
  }
}

/** A text is looked for at each character of the other, and may differ at the last of its own. */
function searchOf(tree: Tree, scope: Scope): number {
  if (tree.kind !== 'scalar' || tree.isSearch !== true) return 0;
  const [text, wanted] = tree.parts as [Tree, Tree];
  return Math.ceil((textOf(text, scope) * textOf(wanted, scope)) / CHARACTERS_IN_STEP);
}

/** Characters of the text that a tree yields. */
function textOf(tree: Tree, scope: Scope): number {
  if (tree.kind === 'literal') return tree.length;
  if (tree.kind === 'sum') return tree.parts.reduce((sum, one) => sum + textOf(one, scope), 0);
  const found = factsAt(tree, scope);
  if (found === undefined) return scope.text;
  return largest(found, (value) => (typeof value === 'string' ? value.length : 1));
}

/** What holds in the body of a loop. */
function within({ over, variable }: Loop, scope: Scope): Scope {
  const entries = factsAt(over, scope)?.flatMap((value) => {
    if (typeof value !== 'object' || value === null) return [];
    // Over a map, loops go by its keys.
    return isJsonObject(value) ? Object.keys(value) : [...value];
  });
  return {
    ...scope,
    variables: new Map([...scope.variables, [variable, entries]]),
    values: Math.max(scope.values, valuesOf(over, scope)),
  };
}

/** The facts that a tree can yield; undefined when it yields, or may yield, what it made. */
function factsAt(tree: Tree, scope: Scope): readonly JsonValue[] | undefined {
  if (tree.kind === 'name') {
    if (scope.variables.has(tree.name)) return scope.variables.get(tree.name);
    const fact = scope.facts[tree.name];
    return fact === undefined ? [] : [fact];
  }
  if (tree.kind === 'loop' && tree.macro === 'filter') return factsAt(tree.over, scope);
  if (tree.kind !== 'member') return undefined;
  return factsAt(tree.of, scope)?.flatMap((of) => {
    const member = isJsonObject(of) ? of[tree.name] : undefined;
    return member === undefined ? [] : [member];
  });
}

/** Values of all kinds in what a tree yields. */
function valuesOf(tree: Tree, scope: Scope): number {
  const all = (trees: readonly Tree[]): number =>
    trees.reduce((sum, one) => sum + valuesOf(one, scope), 1);
  switch (tree.kind) {
    case 'literal':
    case 'compare':
    case 'scalar':
      return 1;
    case 'name':
    case 'member': {
      const found = factsAt(tree, scope);
      if (found !== undefined) return largest(found, (one) => measure(one).values);
      // A member of what the expression made can be all of it.
      return Math.max(scope.values, tree.kind === 'member' ? valuesOf(tree.of, scope) : 0);
    }
    case 'loop': {
      if (tree.macro === 'filter') return valuesOf(tree.over, scope);
      if (tree.macro !== 'map') return 1;
      const made = valuesOf(tree.body.at(-1) as Tree, within(tree, scope));
      return 1 + itemsOf(tree.over, scope) * made;
    }
    case 'sum':
    case 'list':
      return all(tree.parts);
    default:
      // An entry of something: of the facts, or of what stands in it.
      return Math.max(scope.values, all(tree.parts));
  }
}

/** Entries of the list or map that a tree yields. */
function itemsOf(tree: Tree, scope: Scope): number {
  switch (tree.kind) {
    case 'literal':
    case 'compare':
    case 'scalar':
      return 1;
    case 'list':
      return tree.parts.length;
    case 'sum':
      return tree.parts.reduce((sum, one) => sum + itemsOf(one, scope), 0);
    case 'loop':
      return itemsOf(tree.over, scope);
    default: {
      const found = factsAt(tree, scope);
      return found === undefined ? scope.items : largest(found, entriesOf);
    }
  }
}

function largest(found: readonly JsonValue[], sizeOf: (value: JsonValue) => number): number {
  return found.reduce<number>((most, value) => Math.max(most, sizeOf(value)), 1);
}

function entriesOf(value: JsonValue): number {
  if (typeof value !== 'object' || value === null) return 1;
  return isJsonObject(value) ? Object.keys(value).length : value.length;
}

function sumsIn(tree: Tree): number {
  if (tree.kind === 'literal' || tree.kind === 'name') return 0;
  if (tree.kind === 'member') return sumsIn(tree.of);
  const parts = tree.kind === 'loop' ? [tree.over, ...tree.body] : tree.parts;
  const own = tree.kind === 'sum' ? parts.length : 0;
  return parts.reduce((sum, one) => sum + sumsIn(one), own);
}

interface Size {
  /** Values of all kinds. */
  readonly values: number;
  /** The longest list or object. */
  readonly longest: number;
}

/** Facts are never changed, so that each is measured once. */
const measured = new WeakMap<object, Size>();

function measure(value: JsonValue): Size {
  if (typeof value === 'string' && value.length > POLICY_LIMITS.text) {
    throw new IronError('E_POLICY', 'a text is longer than expressions are shown', {
      why: `${value.length} characters, at most ${POLICY_LIMITS.text}`,
      context: { reason: 'expression-cost' },
    });
  }
  if (typeof value !== 'object' || value === null) return { values: 1, longest: 0 };
  const before = measured.get(value);
  if (before !== undefined) return before;
  const members: readonly JsonValue[] = isJsonObject(value) ? Object.values(value) : value;
  let [values, longest] = [1, members.length];
  for (const member of members) {
    const size = measure(member);
    values += size.values;
    longest = Math.max(longest, size.longest);
  }
  measured.set(value, { values, longest });
  return { values, longest };
}
