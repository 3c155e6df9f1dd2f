/** What the tests of this room share. */

import fc from 'fast-check';
import type { Test } from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { type Code, IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';

/** A value as a hostile document would bring it: through the strict reader. */
export function node(value: unknown, path = 'document'): Node {
  return new Node(parseJson(utf8(JSON.stringify(value)), { length: 10_000_000 }), path);
}

/** One assertion: the property holds. Its predicate throws or returns false where it does not. */
export function holds<T>(t: Test, name: string, property: fc.IProperty<T>, numRuns = 200): void {
  try {
    fc.assert(property, { numRuns });
    t.pass(name);
  } catch (error) {
    t.fail(`${name}: ${(error as Error).message}`);
  }
}

/** One assertion: `run` refuses with `code`, and its message matches. Returns the refusal. */
export function refused(
  t: Test,
  run: () => unknown,
  code: Code,
  message: RegExp = /./,
): IronError | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof IronError) {
      t.match({ code: error.code, message: error.message }, { code, message });
      return error;
    }
    throw error;
  }
  t.fail(`accepted what should be refused with ${code}`);
  return undefined;
}
