/**
 * Expressions of a policy, in the part of CEL that cannot run long. The evaluator has no bound of
 * its own, so what an expression can cost is computed before it runs: from its tree and from how
 * long the lists are that it goes over. The same inputs give the same answer on every machine.
 */

import { Environment } from '@marcbachmann/cel-js';
import { IronError } from '../../errors.ts';
import { canonicalText } from '../../json/canonical.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../json/value.ts';
import { POLICY_LIMITS } from '../../limits.ts';
import { stepsOf, type Tree, valueAt } from './cel-cost.ts';

/** What an expression may name. Each is an object. */
export const VARIABLES = ['artifact', 'provenance', 'sbom', 'ceiling'] as const;

/** The one list among the names. */
export const LISTS = ['statements'] as const;

const FUNCTIONS = new Set(['size', 'has', 'int', 'string']);
const METHODS = new Set(['size', 'startsWith', 'endsWith', 'contains', 'lowerAscii']);
const MACROS = new Set(['all', 'exists', 'exists_one', 'filter', 'map']);
const COMPARISONS = new Set(['==', '!=', 'in']);
const SCALARS = new Set(['||', '&&', '!_', '-_', '-', '*', '/', '%', '<', '<=', '>', '>=']);
const OPERATORS = new Set([...COMPARISONS, ...SCALARS, '.', '[]', 'list', 'map', '?:', '+']);

export interface Expression {
  readonly text: string;
  /** Whether it holds for these facts. `E_POLICY` with a reason when it cannot be told. */
  holds(facts: JsonObject): boolean;
  /** What its paths lead to, in words, for who wants to know why it does not hold. */
  values(facts: JsonObject): string[];
}

const environment = new Environment({
  unlistedVariablesAreDyn: false,
  homogeneousAggregateLiterals: false,
  limits: {
    maxAstNodes: POLICY_LIMITS.expressionNodes,
    maxDepth: POLICY_LIMITS.expressionDepth,
    maxListElements: 128,
    maxMapEntries: 32,
    maxCallArguments: 4,
  },
});
for (const name of VARIABLES) environment.registerVariable(name, 'map');
for (const name of LISTS) environment.registerVariable(name, 'list');

/** Reads an expression that says yes or no. `E_SCHEMA` on any other, and on what is not available. */
export function compileExpression(text: string): Expression {
  if (text.length > POLICY_LIMITS.expression) {
    throw unusable(`longer than ${POLICY_LIMITS.expression} characters`);
  }
  const parsed = guarded(() => environment.parse(text), unusable);
  const tree = copy(parsed.ast as unknown as AstNode, false);
  const { valid, type, error } = guarded(() => parsed.check(), unusable);
  if (!valid) {
    const why = firstLine(error);
    const names = [...VARIABLES, ...LISTS].join(', ');
    throw unusable(why.startsWith('Unknown variable') ? `${why}; there are ${names}` : why);
  }
  if (type !== 'bool' && type !== 'dyn') throw unusable(`it is of type ${type}, not a yes or no`);
  return {
    text,
    holds: (facts) => evaluate(text, tree, facts),
    values: (facts) => [...new Set(valuesIn(tree, facts))].slice(0, SHOWN_VALUES),
  };
}

interface AstNode {
  readonly op: string;
  readonly args: unknown;
}

const isNode = (value: unknown): value is AstNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value;

/** Nodes among the arguments, however the parser nests them. */
function nodesIn(args: unknown): AstNode[] {
  if (isNode(args)) return [args];
  return Array.isArray(args) ? args.flatMap(nodesIn) : [];
}

function copy(node: AstNode, inLoop: boolean): Tree {
  const { op, args } = node;
  if (op === 'value')
    return { kind: 'literal', length: typeof args === 'string' ? args.length : 0 };
  if (op === 'id') return { kind: 'name', name: String(args) };
  const all = (nodes: readonly AstNode[], loop = inLoop): Tree[] =>
    nodes.map((one) => copy(one, loop));
  if (op === 'call' || op === 'rcall') {
    const name = String((args as unknown[])[0]);
    const nodes = nodesIn(args);
    const known = op === 'call' ? FUNCTIONS : METHODS;
    if (op === 'rcall' && MACROS.has(name)) {
      const [over, variable, ...body] = nodes as [AstNode, AstNode, ...AstNode[]];
      return {
        kind: 'loop',
        macro: name,
        over: copy(over, inLoop),
        variable: String(variable.args),
        body: all(body, true),
      };
    }
    if (!known.has(name)) throw unusable(`the function ${name} is not available`);
    return { kind: 'scalar', parts: all(nodes), isSearch: name === 'contains' };
  }
  if (!OPERATORS.has(op)) throw unusable(`the operator ${op} is not available`);
  // One after another, loops that double what they are given would make any amount of it.
  if (op === '+' && inLoop) throw unusable('+ is not available inside of all, exists, filter, map');
  const parts = all(nodesIn(args));
  if (op === 'list') return { kind: 'list', parts };
  if (op === '.') {
    const [of] = parts;
    return { kind: 'member', of: of as Tree, name: String((args as unknown[])[1]) };
  }
  if (COMPARISONS.has(op)) return { kind: 'compare', isIn: op === 'in', parts };
  if (op === '+' || op === '?:') return { kind: 'sum', parts };
  return { kind: SCALARS.has(op) ? 'scalar' : 'other', parts };
}

function evaluate(text: string, tree: Tree, facts: JsonObject): boolean {
  const steps = stepsOf(tree, facts);
  if (steps > POLICY_LIMITS.expressionSteps) {
    throw new IronError('E_POLICY', `the expression ${text} could take too long`, {
      why: `up to ${steps} steps over these facts, at most ${POLICY_LIMITS.expressionSteps} are run`,
      context: { reason: 'expression-cost' },
    });
  }
  const failed = (why: string): IronError =>
    new IronError('E_POLICY', `the expression ${text} cannot be told`, {
      why,
      context: { reason: 'expression' },
    });
  const answer: unknown = guarded(
    () => environment.evaluate(text, toCel(facts) as Map<string, unknown>),
    failed,
  );
  if (typeof answer !== 'boolean') throw failed('its answer is neither yes nor no');
  return answer;
}

const SHOWN_VALUES = 4;
const SHOWN_LENGTH = 80;

/** `artifact.generation is 1`, of each path in the expression that leads to one value. */
function valuesIn(tree: Tree, facts: JsonObject): string[] {
  switch (tree.kind) {
    case 'literal':
    case 'name':
      return [];
    case 'member': {
      const [path, value] = [pathOf(tree), valueAt(tree, facts)];
      if (path === undefined || value === undefined) return valuesIn(tree.of, facts);
      if (typeof value === 'object' && value !== null) return [];
      return [`${path} is ${canonicalText(value).slice(0, SHOWN_LENGTH)}`];
    }
    case 'loop':
      return [tree.over, ...tree.body].flatMap((part) => valuesIn(part, facts));
    default:
      return tree.parts.flatMap((part) => valuesIn(part, facts));
  }
}

function pathOf(tree: Tree): string | undefined {
  if (tree.kind === 'name') return tree.name;
  if (tree.kind !== 'member') return undefined;
  const of = pathOf(tree.of);
  return of === undefined ? undefined : `${of}.${tree.name}`;
}

/** Objects as maps, so that no key is anything but data; integers as CEL's. */
function toCel(value: JsonValue): unknown {
  if (typeof value === 'number') return BigInt(value);
  if (typeof value !== 'object' || value === null) return value;
  if (!isJsonObject(value)) return value.map(toCel);
  return new Map(Object.entries(value).map(([key, member]) => [key, toCel(member)]));
}

function guarded<T>(run: () => T, failed: (why: string) => IronError): T {
  try {
    return run();
  } catch (error) {
    // Whatever the evaluator throws is about the expression; it does nothing else.
    throw failed(firstLine(error));
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.split('\n', 1)[0] as string).slice(0, 200);
}

function unusable(why: string): IronError {
  return new IronError('E_SCHEMA', `no expression that a policy may have: ${why}`);
}
