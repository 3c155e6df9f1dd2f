/** Values of constant expressions in C, as far as the source itself or given headers tell them. */

import { scanC, spelling, type Token } from '../c/tokens.ts';

/** Object-like macros: name to the text of their body. */
export type Macros = ReadonlyMap<string, string>;

/** The object-like macros that `text` defines; a name with two bodies is left out. */
export function readMacros(text: string): Map<string, string> {
  const macros = new Map<string, string>();
  const twice = new Set<string>();
  for (const line of text.replaceAll(/\\[ \t]*\r?\n/g, ' ').split('\n')) {
    const [, name, body] = /^[ \t]*#[ \t]*define[ \t]+([A-Za-z_]\w*)[ \t]+(\S.*)$/.exec(line) ?? [];
    if (name === undefined || body === undefined) continue;
    if (macros.has(name) && macros.get(name) !== body) twice.add(name);
    macros.set(name, body);
  }
  for (const name of twice) macros.delete(name);
  return macros;
}

/** Words read for one expression, with the macros in it: they could double at every step. */
const STEPS = 10_000;
const DEPTH = 32;
const U64 = 1n << 64n;
const PRECEDENCE: Readonly<Record<string, number>> = {
  '|': 1,
  '&': 2,
  '<<': 3,
  '>>': 3,
  '+': 4,
  '-': 4,
  '*': 5,
  '/': 5,
};

/** The value of an expression, or undefined when it is not a constant that can be known here. */
export function evaluate(expression: string, macros: Macros): bigint | undefined {
  return new Evaluator(macros, { steps: STEPS }, 0).run(expression);
}

class Evaluator {
  readonly #macros: Macros;
  readonly #budget: { steps: number };
  readonly #depth: number;
  #words: string[] = [];
  #at = 0;

  constructor(macros: Macros, budget: { steps: number }, depth: number) {
    this.#macros = macros;
    this.#budget = budget;
    this.#depth = depth;
  }

  run(expression: string): bigint | undefined {
    if (this.#depth > DEPTH || expression.length > 1024) return undefined;
    this.#words = wordsOf(expression);
    this.#budget.steps -= this.#words.length;
    if (this.#budget.steps < 0) return undefined;
    const value = this.#binary(1);
    return this.#at === this.#words.length ? value : undefined;
  }

  #binary(least: number): bigint | undefined {
    let left = this.#unary();
    for (;;) {
      const operator = this.#words[this.#at] ?? '';
      const precedence = PRECEDENCE[operator] ?? 0;
      if (left === undefined || precedence < least) return left;
      this.#at++;
      const right = this.#binary(precedence + 1);
      left = right === undefined ? undefined : operate(operator, left, right);
    }
  }

  #unary(): bigint | undefined {
    const word = this.#words[this.#at++];
    if (word === undefined) return undefined;
    if (word === '(') {
      const value = this.#binary(1);
      return this.#words[this.#at++] === ')' ? value : undefined;
    }
    if (/^[0-9]/.test(word)) return integer(word);
    if (this.#words[this.#at] === '(') return this.#known(word);
    return this.#named(word);
  }

  /** `BIT(3)` and its like. */
  #known(name: string): bigint | undefined {
    this.#at++;
    const value = this.#binary(1);
    if (this.#words[this.#at++] !== ')' || value === undefined || value > 64n) return undefined;
    if (name === 'BIT' || name === 'BIT_ULL') return 1n << value;
    return name === 'DMA_BIT_MASK' ? (1n << value) - 1n : undefined;
  }

  #named(name: string): bigint | undefined {
    const [, count, unit] = /^SZ_(\d+)([KMG]?)$/.exec(name) ?? [];
    if (count !== undefined) return BigInt(count) << { '': 0n, K: 10n, M: 20n, G: 30n }[unit as ''];
    // include/asm-generic/page.h; what differs on a host is rounded there.
    if (name === 'PAGE_SIZE') return 4096n;
    const body = this.#macros.get(name);
    if (body === undefined) return undefined;
    return new Evaluator(this.#macros, this.#budget, this.#depth + 1).run(body);
  }
}

function wordsOf(expression: string): string[] {
  const words: string[] = [];
  let last: Token | undefined;
  scanC(expression, (token) => {
    if (token.kind === 'comment') return;
    const word = spelling(expression, token);
    const isDouble = (word === '<' || word === '>') && last?.end === token.start;
    if (isDouble && words.at(-1) === word) words.splice(-1, 1, word + word);
    else words.push(word);
    last = token;
  });
  return words;
}

/** C23 6.4.4.1, with the suffixes of GNU C. */
function integer(word: string): bigint | undefined {
  const [, digits] = /^(0[xX][0-9a-fA-F]{1,16}|\d{1,20})(?:[uU]|[lL])*$/.exec(word) ?? [];
  if (digits === undefined) return undefined;
  if (/^0[0-7]+$/.test(digits)) return BigInt(`0o${digits.slice(1)}`);
  return /^0\d/.test(digits) ? undefined : BigInt(digits);
}

function operate(operator: string, a: bigint, b: bigint): bigint | undefined {
  const value = compute(operator, a, b);
  return value === undefined || value > U64 ? undefined : value;
}

function compute(operator: string, a: bigint, b: bigint): bigint | undefined {
  if (operator === '|') return a | b;
  if (operator === '&') return a & b;
  if (operator === '+') return a + b;
  if (operator === '-') return a >= b ? a - b : undefined;
  if (operator === '*') return a * b;
  if (operator === '/') return b === 0n ? undefined : a / b;
  if (b > 64n) return undefined;
  return operator === '<<' ? a << b : a >> b;
}
