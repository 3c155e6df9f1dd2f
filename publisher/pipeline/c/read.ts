/**
 * Reads a C source: one walk over the syntax tree, one over the tokens, and what both agree on.
 * What is a call in one reading only is none.
 */

import type { CGrammar } from './grammar.ts';
import { scanC, spelling } from './tokens.ts';
import type { CallSite, CUnit, NamePlace, OtherUse } from './unit.ts';
import { Walk } from './walk.ts';

/** Reads `text`; names in `watched` are also noted where they are no calls. `E_TOO_LARGE`. */
export function readC(
  grammar: CGrammar,
  text: string,
  watched: ReadonlySet<string> = new Set(),
): CUnit {
  const walk = new Walk(text, watched);
  const tree = grammar.parse(text);
  const cursor = tree.walk();
  try {
    walk.run(cursor);
  } finally {
    cursor.delete();
    tree.delete();
  }
  return { ...walk.unit(), ...agree(text, walk, watched) };
}

/** The calls that are names in the tokens too, and what else the watched names are used for. */
function agree(
  text: string,
  walk: Walk,
  watched: ReadonlySet<string>,
): Pick<CUnit, 'calls' | 'others'> {
  const byStart = new Map(walk.calls.map((call) => [call.start, call]));
  const calls: CallSite[] = [];
  const others: NamePlace[] = [];
  scanC(text, (token) => {
    if (token.kind !== 'name') return;
    const call = byStart.get(token.start);
    if (call !== undefined && call.end === token.end && token.directive === undefined) {
      calls.push(call);
      return;
    }
    const name = spelling(text, token);
    if (!watched.has(name)) return;
    const isSpliced = name.length !== token.end - token.start;
    const use = otherUse(walk.uses.get(token.start), token.directive, isSpliced);
    if (use !== 'member') others.push({ name, start: token.start, use });
  });
  return { calls, others };
}

function otherUse(
  inTree: OtherUse | 'member' | undefined,
  directive: string | undefined,
  isSpliced: boolean,
): OtherUse | 'member' {
  if (isSpliced) return 'spliced';
  if (directive === 'define') return 'macro-body';
  return directive === undefined ? (inTree ?? 'value') : 'preprocessor';
}
