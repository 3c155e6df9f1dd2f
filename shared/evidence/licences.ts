/** SPDX licence expressions: `GPL-2.0-only OR (MIT AND BSD-3-Clause)`. */

import parse from 'spdx-expression-parse';

/** More is no expression that anybody wrote, and its parser calls itself. */
const LONGEST = 1024;

type Expression =
  | { readonly license: string; readonly plus?: true; readonly exception?: string }
  | { readonly conjunction: 'and' | 'or'; readonly left: Expression; readonly right: Expression };

/** One licence as it stands in an expression: `GPL-2.0-only WITH Linux-syscall-note`. */
function nameOf(leaf: Extract<Expression, { license: string }>): string {
  const name = leaf.license + (leaf.plus === true ? '+' : '');
  return leaf.exception === undefined ? name : `${name} WITH ${leaf.exception}`;
}

/** The expression as a tree; undefined when the text is none. */
function read(text: string): Expression | undefined {
  if (text.length > LONGEST) return undefined;
  try {
    return parse(text) as Expression;
  } catch {
    // What the library refuses is no licence expression of SPDX.
    return undefined;
  }
}

/** Whether a name may stand in a policy: an identifier of SPDX's list, or a `LicenseRef-`. */
export function isLicence(text: string): boolean {
  const expression = read(text);
  return expression !== undefined && 'license' in expression;
}

/** Asked of `GPL-2.0-only WITH Linux-syscall-note`, and of the `GPL-2.0-only` in it. */
type IsAllowed = (name: string, licence: string) => boolean;

/**
 * Whether the licences that somebody has to take on can all be had with `isAllowed`: of an `OR`
 * one side is enough, of an `AND` both must be. Undefined when the text is no expression.
 */
export function licenceHolds(text: string, isAllowed: IsAllowed): boolean | undefined {
  const expression = read(text);
  return expression === undefined ? undefined : holds(expression, isAllowed);
}

function holds(expression: Expression, isAllowed: IsAllowed): boolean {
  if ('license' in expression) return isAllowed(nameOf(expression), expression.license);
  const { conjunction, left, right } = expression;
  return conjunction === 'or'
    ? holds(left, isAllowed) || holds(right, isAllowed)
    : holds(left, isAllowed) && holds(right, isAllowed);
}
