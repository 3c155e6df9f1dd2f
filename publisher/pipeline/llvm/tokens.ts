/** The tokens of LLVM's textual form (LLVM Language Reference, "Identifiers" and "High Level Structure"). */

export type LlvmTokenKind =
  /** `@name`, `@"name"`, `@0`. */
  | 'global'
  /** `%name`, `%"name"`, `%0`. */
  | 'local'
  /** `call`, `i32`, `!dbg`, `#4`, `42`. */
  | 'word'
  | 'string'
  | 'punctuator'
  | 'newline';

export interface LlvmToken {
  readonly kind: LlvmTokenKind;
  readonly start: number;
  readonly end: number;
}

const FORMS: readonly [LlvmTokenKind, RegExp][] = [
  ['global', /@(?:"[^"]*"|[-A-Za-z$._0-9]+)/y],
  ['local', /%(?:"[^"]*"|[-A-Za-z$._0-9]+)/y],
  ['string', /"[^"]*"/y],
  // `!dbg`, `#4`, `$comdat`: names of other kinds, so that `!call` is not the word `call`.
  ['word', /[!#^$]?[-A-Za-z$._0-9\u0080-\u00ff]+/y],
];
const SKIPPED = /(?:[ \t\r\f\v]+|;[^\n]*)+/y;

/** All tokens of `text`, in order; comments and blanks are left out. Nothing is refused. */
export function llvmTokens(text: string): LlvmToken[] {
  const tokens: LlvmToken[] = [];
  for (let at = 0; at < text.length; ) {
    SKIPPED.lastIndex = at;
    if (SKIPPED.test(text)) {
      at = SKIPPED.lastIndex;
      continue;
    }
    const token = tokenAt(text, at);
    tokens.push(token);
    at = token.end;
  }
  return tokens;
}

function tokenAt(text: string, start: number): LlvmToken {
  if (text.charAt(start) === '\n') return { kind: 'newline', start, end: start + 1 };
  for (const [kind, form] of FORMS) {
    form.lastIndex = start;
    if (form.test(text)) return { kind, start, end: form.lastIndex };
  }
  // Also a quote that is never closed: the rest is then read as if it were not there.
  return { kind: 'punctuator', start, end: start + 1 };
}

/** The name of a global token: without `@` and quotes. Escapes (`\22`) stay as they are. */
export function globalName(text: string, token: LlvmToken): string {
  const raw = text.slice(token.start + 1, token.end);
  return raw.startsWith('"') ? raw.slice(1, -1) : raw;
}
