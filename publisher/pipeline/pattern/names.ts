/** Names that can be called. */

import { PIPELINE_LIMITS } from '../../../shared/limits.ts';

/** Words of the language (C23 6.4.1, GNU C) that are no names of functions. */
export const C_KEYWORDS: ReadonlySet<string> = new Set(
  `auto break case char const continue default do double else enum extern float for goto if inline
   int long register restrict return short signed sizeof static struct switch typedef typeof union
   unsigned void volatile while _Alignas _Alignof _Atomic _Bool _Generic _Static_assert asm __asm__
   __attribute__ __typeof__`.split(/\s+/),
);

/** An identifier of C as compilers for Linux take it (C23 6.4.2, and `$`). */
export function isCName(name: string): boolean {
  return (
    name.length <= PIPELINE_LIMITS.name &&
    /^[A-Za-z_$][A-Za-z0-9_$]*$/.test(name) &&
    !C_KEYWORDS.has(name)
  );
}

/** A symbol as LLVM writes it without quotes (LLVM Language Reference, "Identifiers"). */
export function isSymbol(name: string): boolean {
  return name.length <= PIPELINE_LIMITS.name && /^[-A-Za-z$._][-A-Za-z$._0-9]*$/.test(name);
}
