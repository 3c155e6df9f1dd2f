/**
 * The tokens of C, one linear pass without a grammar (C23 5.1.1.2 phases 2 and 3, 6.4). The grammar
 * says what a name is for; this says independently that it is a name at all, and what stands in
 * macro bodies, which the grammar does not look into.
 */

export type TokenKind = 'name' | 'number' | 'string' | 'comment' | 'punctuator';

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** The directive that the token is in: `define`, `if`; empty for the `#` itself. */
  readonly directive?: string;
}

const SPLICE = /\\[ \t\f\v]*\r?\n/y;
/** Bytes above ASCII belong to names: never is a name cut out of a longer one. */
const NAME_START = /[A-Za-z_$\u0080-\u00ff]/;
const NAME_PART = /[A-Za-z0-9_$\u0080-\u00ff]/;

/** Calls `onToken` for each token and comment of `text`, in order. Nothing is refused. */
export function scanC(text: string, onToken: (token: Token) => void): void {
  let at = text.startsWith('\u00ef\u00bb\u00bf') ? 3 : 0;
  let directive: string | undefined;
  let isLineStart = true;

  const emit = (kind: TokenKind, end: number): void => {
    onToken({ kind, start: at, end, ...(directive !== undefined && { directive }) });
    if (directive === '' && kind === 'name') directive = text.slice(at, end);
    at = end;
    if (kind !== 'comment') isLineStart = false;
  };

  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '\n') {
      directive = undefined;
      isLineStart = true;
      at++;
    } else if (isBlank(char)) {
      at++;
    } else if (spliceAt(text, at) > at) {
      at = spliceAt(text, at);
    } else if (text.startsWith('//', at)) {
      emit('comment', endOfLine(text, at));
    } else if (text.startsWith('/*', at)) {
      const close = text.indexOf('*/', at + 2);
      emit('comment', close === -1 ? text.length : close + 2);
    } else if (char === '#' && isLineStart) {
      directive = '';
      emit('punctuator', at + 1);
    } else if (char === '"' || char === "'") {
      emit('string', endOfString(text, at, char));
    } else if (char === '<' && (directive === 'include' || directive === 'include_next')) {
      const close = /[>\n]|$/g;
      close.lastIndex = at;
      const end = close.exec(text)?.index ?? text.length;
      emit('string', text.charAt(end) === '>' ? end + 1 : end);
    } else if (NAME_START.test(char)) {
      emit('name', endOfWord(text, at, false));
    } else if (/[0-9]/.test(char) || (char === '.' && /[0-9]/.test(text.charAt(at + 1)))) {
      emit('number', endOfWord(text, at, true));
    } else {
      emit('punctuator', at + 1);
    }
  }
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\r' || char === '\f' || char === '\v';
}

/** The offset after a backslash and line end at `at`, or `at`. */
function spliceAt(text: string, at: number): number {
  if (text.charCodeAt(at) !== 92) return at;
  SPLICE.lastIndex = at;
  return SPLICE.test(text) ? SPLICE.lastIndex : at;
}

/** The end of a line comment: a line end that is not spliced away. */
function endOfLine(text: string, from: number): number {
  for (let at = from; at < text.length; ) {
    const next = spliceAt(text, at);
    if (next > at) at = next;
    else if (text.charAt(at) === '\n') return at;
    else at++;
  }
  return text.length;
}

/** After the closing quote; a string that is not closed ends with its line, as compilers see it. */
function endOfString(text: string, from: number, quote: string): number {
  for (let at = from + 1; at < text.length; ) {
    const char = text.charAt(at);
    const next = spliceAt(text, at);
    if (next > at) at = next;
    else if (char === quote) return at + 1;
    else if (char === '\n') return at;
    else at += char === '\\' && text.charAt(at + 1) !== '\n' ? 2 : 1;
  }
  return text.length;
}

/** After a name or a preprocessing number, with the splices inside it. */
function endOfWord(text: string, from: number, isNumber: boolean): number {
  for (let at = from; at < text.length; ) {
    const char = text.charAt(at);
    const next = spliceAt(text, at);
    // A splice at the end of a word does no harm: the next word would begin on the next line.
    if (next > at && NAME_PART.test(text.charAt(next))) at = next;
    else if (NAME_PART.test(char) || (isNumber && char === '.')) at++;
    else if (isNumber && /[+-]/.test(char) && /[eEpP]/.test(text.charAt(at - 1))) at++;
    else if (isNumber && char === "'" && NAME_PART.test(text.charAt(at + 1))) at++;
    else return at;
  }
  return text.length;
}

/** A token as it counts: without splices. */
export function spelling(text: string, token: Pick<Token, 'start' | 'end'>): string {
  const raw = text.slice(token.start, token.end);
  return raw.includes('\\') ? raw.replaceAll(/\\[ \t\f\v]*\r?\n/g, '') : raw;
}
