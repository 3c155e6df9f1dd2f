/** Texts between commas, as C's tokens separate them. */

import { scanC } from '../c/tokens.ts';
import type { CallSite } from '../c/unit.ts';

/** Longer lists are code inside a macro's arguments; what is looked for is not in them. */
const LONGEST = 65_536;

/** The arguments of a call. */
export function argumentsOf(text: string, call: CallSite): string[] {
  const { argumentsStart: start, argumentsEnd: end } = call;
  if (end - start > LONGEST) return [];
  return splitList(text.slice(start + 1, end - 1));
}

/** The parts of a list in C: split at commas outside of brackets, without comments. */
export function splitList(list: string): string[] {
  const parts: string[] = [''];
  let depth = 0;
  let end = 0;
  scanC(list, (token) => {
    const word = list.slice(token.start, token.end);
    if (word === '(' || word === '{' || word === '[') depth++;
    if (word === ')' || word === '}' || word === ']') depth--;
    const isSeparator = word === ',' && depth === 0;
    if (isSeparator) parts.push('');
    else if (token.kind !== 'comment') {
      const gap = token.start === end ? '' : ' ';
      parts.push(`${parts.pop() ?? ''}${gap}${word}`);
    }
    end = token.end;
  });
  return parts.map((part) => part.trim());
}
