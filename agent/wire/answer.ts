/** What the helper answers: the document of the command, as `--json` prints it, and the text for people. Pure. */

import { utf8 } from '../../shared/bytes.ts';
import { CODES, type Code, type ErrorContext, IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonValue } from '../../shared/json/value.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';

export interface Answer {
  /** The exit status that the command would have. */
  readonly exit: number;
  readonly schema: string;
  /** The result, or what refused it. */
  readonly outcome:
    | { readonly data: JsonValue; readonly text: string }
    | { readonly error: IronError };
}

const SCHEMA = 'ironport-agent.answer/v1';

export function formatAnswer({ exit, schema, outcome }: Answer): Uint8Array {
  const isGood = 'data' in outcome;
  const document = isGood
    ? { schema, ok: true, data: outcome.data }
    : { schema, ok: false, error: errorJson(outcome.error) };
  const text = isGood ? outcome.text : '';
  return utf8(JSON.stringify({ schema: SCHEMA, exit, document, text }));
}

function errorJson({ code, message, why, hint, context }: IronError) {
  return { code, message, why: why ?? null, hint: hint ?? null, context };
}

/** Reads an answer. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`. */
export function parseAnswer(bytes: Uint8Array): Answer {
  const node = new Node(parseJson(bytes, { length: WIRE_LIMITS.answer }), 'answer');
  node.only('schema', 'exit', 'document', 'text').get('schema').oneOf(SCHEMA);
  const document = node.get('document').only('schema', 'ok', 'data', 'error');
  const text = node.get('text').string();
  return {
    exit: node.get('exit').integer(0, 255),
    schema: document.get('schema').string(),
    outcome: document.get('ok').boolean()
      ? { data: document.get('data').value, text }
      : { error: readError(document.get('error')) },
  };
}

/** Reads the `error` member of a document. */
export function readError(node: Node): IronError {
  node.only('code', 'message', 'why', 'hint', 'context');
  const maybe = (name: string): string | undefined => {
    const member = node.get(name);
    return member.value === null ? undefined : member.string();
  };
  const [why, hint] = [maybe('why'), maybe('hint')];
  const context = node
    .get('context')
    .entries()
    .map(([name, { value }]) => [name, value]);
  return new IronError(
    node.get('code').oneOf(...(Object.keys(CODES) as Code[])),
    node.get('message').string(),
    {
      ...(why === undefined ? {} : { why }),
      ...(hint === undefined ? {} : { hint }),
      context: Object.fromEntries(context) as ErrorContext,
    },
  );
}
