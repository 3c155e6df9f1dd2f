/**
 * The calls in LLVM text: after `call`, `invoke` or `callbr` stand types and attributes, then the
 * callee, which is the global name directly before the arguments (LLVM Language Reference, "call").
 */

import { globalName, type LlvmToken, llvmTokens } from './tokens.ts';

export interface LlvmCall {
  readonly name: string;
  /** The name with its `@`. */
  readonly start: number;
  readonly end: number;
}

/** A `declare` or `define` with its name; offsets of its first and behind its last character. */
export interface LlvmFunction extends LlvmCall {
  readonly kind: 'declare' | 'define';
  readonly lineStart: number;
  readonly lineEnd: number;
}

export interface LlvmUnit {
  readonly calls: readonly LlvmCall[];
  readonly functions: readonly LlvmFunction[];
  /** Names given to something else: variables, aliases. */
  readonly others: ReadonlySet<string>;
  /** Uses of names that are neither call, declaration nor definition. */
  readonly values: readonly LlvmCall[];
  /** Calls through a pointer, of an expression: offsets. */
  readonly indirect: readonly number[];
  /** Inline assembly that is called: offsets. */
  readonly assembly: readonly number[];
}

const CALLS = new Set(['call', 'invoke', 'callbr']);

export function readLlvm(text: string): LlvmUnit {
  const tokens = llvmTokens(text);
  const closing = closingOf(text, tokens);
  const calls: LlvmCall[] = [];
  const functions: LlvmFunction[] = [];
  const others = new Set<string>();
  const values: LlvmCall[] = [];
  const indirect: number[] = [];
  const assembly: number[] = [];
  const taken = new Set<number>();

  const named = (token: LlvmToken): LlvmCall => ({
    name: globalName(text, token),
    start: token.start,
    end: token.end,
  });
  tokens.forEach((token, i) => {
    const word = token.kind === 'word' ? text.slice(token.start, token.end) : '';
    const isFirst = i === 0 || tokens[i - 1]?.kind === 'newline';
    if (isFirst && (word === 'declare' || word === 'define')) {
      const name = functionName(text, tokens, closing, i);
      if (name === undefined) return;
      taken.add(name.start);
      const newline = text.indexOf('\n', token.start);
      const lineEnd = newline === -1 ? text.length : newline;
      functions.push({ ...named(name), kind: word, lineStart: token.start, lineEnd });
    } else if (isFirst && token.kind === 'global' && isPunctuator(text, tokens[i + 1], '=')) {
      taken.add(token.start);
      others.add(globalName(text, token));
    } else if (CALLS.has(word) && !isPunctuator(text, tokens[i + 1], ':')) {
      const callee = calleeOf(text, tokens, closing, i + 1);
      if (callee === 'assembly') assembly.push(token.start);
      else if (callee === undefined) indirect.push(token.start);
      else {
        taken.add(callee.start);
        calls.push(named(callee));
      }
    }
  });
  for (const token of tokens)
    if (token.kind === 'global' && !taken.has(token.start)) values.push(named(token));
  return { calls, functions, others, values, indirect, assembly };
}

/**
 * The callee of an instruction whose operands begin at `from`: undefined when it is a local value
 * or an expression. A group in parentheses may also be the parameters of the function's type,
 * `call i32 (ptr, ...) @printf(…)`: then a name follows it.
 */
function calleeOf(
  text: string,
  tokens: readonly LlvmToken[],
  closing: ReadonlyMap<number, number>,
  from: number,
): LlvmToken | 'assembly' | undefined {
  for (let i = from; i < tokens.length; i++) {
    const token = tokens[i] as LlvmToken;
    if (token.kind === 'newline') return undefined;
    if (token.kind === 'word') {
      const word = text.slice(token.start, token.end);
      if (word === 'asm') return 'assembly';
      if (CALLS.has(word)) return undefined;
    }
    if (token.kind === 'global')
      // `@f` in any other place, as in `bitcast (… @f to …)`, is not what is called by its name.
      return isPunctuator(text, tokens[i + 1], '(') ? token : undefined;
    if (isPunctuator(text, token, '(')) {
      const close = closing.get(i);
      if (close === undefined) return undefined;
      i = close;
    }
  }
  return undefined;
}

/** The name of a `declare` or `define`: the first global on its line outside of parentheses. */
function functionName(
  text: string,
  tokens: readonly LlvmToken[],
  closing: ReadonlyMap<number, number>,
  from: number,
): LlvmToken | undefined {
  const name = calleeOf(text, tokens, closing, from + 1);
  return name === 'assembly' ? undefined : name;
}

/** For each opening parenthesis the index of the one that closes it, on the same line. */
function closingOf(text: string, tokens: readonly LlvmToken[]): Map<number, number> {
  const pairs = new Map<number, number>();
  let open: number[] = [];
  tokens.forEach((token, i) => {
    if (token.kind === 'newline') open = [];
    else if (isPunctuator(text, token, '(')) open.push(i);
    else if (isPunctuator(text, token, ')')) {
      const start = open.pop();
      if (start !== undefined) pairs.set(start, i);
    }
  });
  return pairs;
}

function isPunctuator(text: string, token: LlvmToken | undefined, char: string): boolean {
  return token?.kind === 'punctuator' && text.charAt(token.start) === char;
}
