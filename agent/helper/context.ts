/**
 * A command as the helper runs it for somebody else: what was asked comes from the request, and everything
 * that decides about trust, the state, the tree, the keys, from how the helper was started.
 */

import type { CommandContext, CommandSpec, Ui } from '../../shared/cli/command.ts';
import { parseFlags } from '../../shared/cli/options.ts';
import { IronError } from '../../shared/errors.ts';
import type { Request } from '../wire/request.ts';

export interface OwnContext {
  /** Options that the helper gives, by their long names; undefined for those that nobody gives. */
  readonly options: Readonly<Record<string, string | undefined>>;
  readonly env: CommandContext['env'];
  readonly ui: Ui;
  readonly signal: AbortSignal;
}

/** The context of `spec` for this request, with `words` in the place of its arguments. */
export function contextFor(
  spec: CommandSpec,
  request: Request,
  words: readonly string[],
  own: OwnContext,
): CommandContext {
  const specs = new Map(
    (spec.options ?? []).map((option) => [parseFlags(option.flags).name, option]),
  );
  const value = (name: string): string | true | undefined => {
    const option = specs.get(name);
    // A misspelt name would otherwise read as an option that nobody gave.
    if (option === undefined) throw new TypeError(`the command has no option named ${name}`);
    // What the helper says comes first; the table of requests lets nobody say the same.
    return own.options[name] ?? request.options[name] ?? option.default;
  };
  const text = (name: string): string | undefined => {
    const found = value(name);
    return found === true ? undefined : found;
  };
  return {
    args: words,
    rest: [],
    address: undefined,
    has: (name) => specs.has(name),
    text,
    need(name) {
      const found = text(name);
      if (found === undefined) throw new IronError('E_USAGE', `the option --${name} is needed`);
      return found;
    },
    list: () => [],
    flag: (name) => value(name) === true,
    number(name, least) {
      const found = text(name);
      if (found === undefined) return undefined;
      const number = Number(found);
      if (Number.isSafeInteger(number) && number >= least) return number;
      throw new IronError('E_USAGE', `--${name} takes a whole number of at least ${least}`);
    },
    env: own.env,
    configured: new Map(),
    person: undefined,
    ui: own.ui,
    signal: own.signal,
  };
}
