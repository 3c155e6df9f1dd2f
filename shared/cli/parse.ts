/**
 * From a command line to the command that is meant and its values. Which command it is, is found
 * here, because its name may have two words and an address before it; the rest is commander's.
 */

import type { Command as Commander, Option } from 'commander';
import { IronError } from '../errors.ts';
import type { CommandContext, CommandSpec, OptionSpec, ProgramSpec } from './command.ts';
import { allOptions, globalsFor, parseFlags, type Scan, scan } from './options.ts';
import type { Env } from './ui.ts';

/** The part of a `CommandContext` that the command line decides. */
export type Values = Pick<
  CommandContext,
  'args' | 'rest' | 'address' | 'has' | 'text' | 'need' | 'list' | 'flag' | 'number'
>;

/** What the command line asks for. */
export type Intent =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly command: CommandSpec | undefined }
  | { readonly kind: 'run'; readonly command: CommandSpec; readonly values: Values };

/** Takes the command line apart; throws `E_USAGE`, with a suggestion where one is near. */
export async function parseCommandLine(
  program: ProgramSpec,
  argv: readonly string[],
  env: Env,
): Promise<Intent> {
  const found = locate(program, argv);
  if (found.command === undefined) {
    // What is no command has no help: who asks for it by a script is to see that.
    if (!found.namesSomething) throw await noCommand(program, found);
    if (found.flags.has('--version')) return { kind: 'version' };
    if (found.flags.has('--help') || found.askedForHelp)
      return { kind: 'help', command: undefined };
    throw await noCommand(program, found);
  }
  const { command } = found;
  const globals = globalsFor(command);
  const asked = scan(found.remaining, [...(command.options ?? []), ...globals]).flags;
  const isGlobal = (long: string): boolean =>
    globals.some((option) => parseFlags(option.flags).long === long);
  if ((asked.has('--help') && isGlobal('--help')) || found.askedForHelp)
    return { kind: 'help', command };
  if (asked.has('--version') && isGlobal('--version')) return { kind: 'version' };
  return { kind: 'run', command, values: await parseValues(program, command, globals, found, env) };
}

interface Located {
  readonly command: CommandSpec | undefined;
  readonly address: string | undefined;
  /** The command line without the address and the words of the command's name. */
  readonly remaining: readonly string[];
  /** The operands after the address: where the name should have been. */
  readonly words: readonly string[];
  readonly flags: Scan['flags'];
  /** No words at all, a noun of commands, or what the command of an address takes. */
  readonly namesSomething: boolean;
  /** `ironport help publish`. */
  readonly askedForHelp: boolean;
}

function locate(program: ProgramSpec, argv: readonly string[]): Located {
  const { operands, flags } = scan(argv, allOptions(program));
  let used = 0;
  const askedForHelp = operands[0]?.word === 'help';
  if (askedForHelp) used++;
  const first = operands[used]?.word;
  // The first operand alone can be an address: a later one with a colon is an argument.
  const address =
    program.takesAddress === true && first?.includes(':') === true ? first : undefined;
  if (address !== undefined) used++;
  const words = operands.slice(used).map((operand) => operand.word);
  const named = longestMatch(program, words);
  used += named?.name.split(' ').length ?? 0;
  const byDefault = commandNamed(program, program.addressDefault);
  // A word that it does not take was meant for the name of a command.
  const takesWords = words.length === 0 || (byDefault?.arguments ?? []).length > 0;
  const isDefault =
    named === undefined &&
    address !== undefined &&
    takesWords &&
    !flags.has('--help') &&
    !flags.has('--version');
  const command = named ?? (isDefault ? byDefault : undefined);
  const taken = new Set(operands.slice(0, used).map((operand) => operand.index));
  return {
    command,
    address,
    remaining: argv.filter((_, i) => !taken.has(i)),
    words,
    flags,
    namesSomething:
      words.length === 0 || isNoun(program, words) || (address !== undefined && takesWords),
    askedForHelp,
  };
}

/** `vendor`, of `vendor add` and `vendor list`. */
function isNoun({ commands }: ProgramSpec, [noun, verb]: readonly string[]): boolean {
  return verb === undefined && commands.some(({ name }) => name.startsWith(`${noun} `));
}

/** `vendor add` before `vendor`. */
function longestMatch(program: ProgramSpec, words: readonly string[]): CommandSpec | undefined {
  let best: CommandSpec | undefined;
  for (const command of program.commands) {
    const name = command.name.split(' ');
    const isLonger = best === undefined || command.name.length > best.name.length;
    if (isLonger && name.every((word, i) => word === words[i])) best = command;
  }
  return best;
}

function commandNamed(program: ProgramSpec, name: string | undefined): CommandSpec | undefined {
  return program.commands.find((command) => command.name === name);
}

/** Lets commander read the values, and wraps them. */
async function parseValues(
  program: ProgramSpec,
  command: CommandSpec,
  globals: readonly OptionSpec[],
  found: Located,
  env: Env,
): Promise<Values> {
  const commander = await import('commander');
  const parser = quietCommander(new commander.Command(command.name));
  const options = new Map<string, { readonly spec: OptionSpec; readonly option: Option }>();
  for (const spec of [...(command.options ?? []), ...globals]) {
    const option = new commander.Option(spec.flags, spec.description);
    if (spec.repeatable === true) {
      option.argParser((value: string, earlier: readonly string[] | undefined) => [
        ...(earlier ?? []),
        value,
      ]);
    }
    parser.addOption(option);
    options.set(parseFlags(spec.flags).name, { spec, option });
  }
  for (const argument of command.arguments ?? []) {
    const name = argument.variadic === true ? `${argument.name}...` : argument.name;
    parser.argument(argument.optional === true ? `[${name}]` : `<${name}>`, argument.description);
  }
  runCommander(parser, found.remaining, `${program.name} ${command.name}`);

  const values = new Map<string, unknown>();
  for (const [name, { spec, option }] of options) {
    const isGiven = parser.getOptionValueSource(option.attributeName()) === 'cli';
    const value = isGiven ? parser.getOptionValue(option.attributeName()) : standIn(spec, env);
    if (value === undefined && spec.required === true)
      throw missing(spec, `${program.name} ${command.name}`);
    // `--no-x` is stored by commander as x being false.
    values.set(name, option.negate ? value === false || value === 'true' : value);
  }
  return { ...positions(command, parser.args), address: found.address, ...readers(values) };
}

/** What an option is worth when the command line does not give it. */
function standIn(spec: OptionSpec, env: Env): unknown {
  const fromEnv = spec.env === undefined ? undefined : env[spec.env];
  const value = fromEnv !== undefined && fromEnv !== '' ? fromEnv : spec.default;
  if (value === undefined) return undefined;
  if (!parseFlags(spec.flags).takesValue)
    return ['1', 'true', 'yes'].includes(value) ? 'true' : undefined;
  return spec.repeatable === true ? [value] : value;
}

function missing(spec: OptionSpec, command: string): IronError {
  const instead = spec.env === undefined ? '' : `, or set ${spec.env}`;
  return new IronError('E_USAGE', `the option ${parseFlags(spec.flags).long} is needed`, {
    hint: `give ${spec.flags}${instead}; \`${command} --help\` shows the form`,
  });
}

function positions(command: CommandSpec, words: readonly string[]): Pick<Values, 'args' | 'rest'> {
  const specs = command.arguments ?? [];
  const variadicAt = specs.findIndex((argument) => argument.variadic === true);
  const fixed = variadicAt === -1 ? specs.length : variadicAt;
  return {
    args: Array.from({ length: fixed }, (_, i) => words[i]),
    rest: variadicAt === -1 ? [] : words.slice(fixed),
  };
}

type Readers = Pick<Values, 'has' | 'text' | 'need' | 'list' | 'flag' | 'number'>;

function readers(values: ReadonlyMap<string, unknown>): Readers {
  const raw = (name: string): unknown => {
    // A misspelt name would otherwise read as an option that nobody gave.
    if (!values.has(name)) throw new TypeError(`the command has no option named ${name}`);
    return values.get(name);
  };
  const text = (name: string): string | undefined => {
    const value = raw(name);
    if (value !== undefined && typeof value !== 'string')
      throw new TypeError(`--${name} is not a text option`);
    return value;
  };
  return {
    has: (name) => values.has(name),
    text,
    need(name) {
      const value = text(name);
      if (value === undefined) throw new IronError('E_USAGE', `the option --${name} is needed`);
      return value;
    },
    list(name) {
      const value = raw(name) ?? [];
      if (!Array.isArray(value)) throw new TypeError(`--${name} is not repeatable`);
      return value as readonly string[];
    },
    flag(name) {
      const value = raw(name);
      return value === true || value === 'true';
    },
    number(name, least) {
      const value = text(name);
      if (value === undefined) return undefined;
      const number = /^-?\d{1,16}$/.test(value) ? Number(value) : Number.NaN;
      if (!Number.isSafeInteger(number) || number < least) {
        throw new IronError(
          'E_USAGE',
          `--${name} takes a whole number of at least ${least}, not ${JSON.stringify(value)}`,
        );
      }
      return number;
    },
  };
}

/** A commander that neither prints nor ends the process. */
function quietCommander(command: Commander): Commander {
  return command
    .exitOverride()
    .helpOption(false)
    .helpCommand(false)
    .allowExcessArguments(false)
    .configureOutput({ writeOut() {}, writeErr() {}, outputError() {} });
}

/** Parses, and turns commander's refusals into `E_USAGE`. */
function runCommander(parser: Commander, argv: readonly string[], form: string): void {
  try {
    parser.action(() => {}).parse([...argv], { from: 'user' });
  } catch (error) {
    throw asUsage(error, form);
  }
}

function asUsage(error: unknown, form: string): unknown {
  const isOurs =
    error instanceof Error && 'code' in error && String(error.code).startsWith('commander.');
  if (!isOurs) return error;
  const [, message, suggestion] =
    /^(?:error: )?(.*?)\.?(?:\n\((.*)\))?$/s.exec(error.message) ?? [];
  const hint = [suggestion, `\`${form} --help\` shows the form`]
    .filter((part) => part !== undefined)
    .join(' ');
  return new IronError('E_USAGE', message ?? error.message, { hint });
}

/** Why no command was found, with the nearest name; commander knows what is near. */
async function noCommand(program: ProgramSpec, found: Located): Promise<unknown> {
  const [noun, verb] = found.words;
  if (noun === undefined) {
    return new IronError('E_USAGE', 'no command was given', {
      hint: `\`${program.name} --help\` lists the commands`,
    });
  }
  const verbs = program.commands
    .map((command) => command.name)
    .filter((name) => name.startsWith(`${noun} `));
  if (verbs.length > 0 && verb === undefined) {
    return new IronError('E_USAGE', `${noun} needs a verb`, {
      hint: `one of: ${verbs.join(', ')}`,
    });
  }
  if (program.takesAddress === true && found.address === undefined && /[/.]/.test(noun)) {
    return new IronError('E_USAGE', `unknown command '${noun}'`, {
      why: 'a first word is an address when it has a ":" in it',
      hint: `write HOST:PORT, https://… or file:///… first, or name it with --repository; \`${program.name} --help\` lists the commands`,
    });
  }
  const { Command } = await import('commander');
  const parser = quietCommander(new Command(program.name));
  const candidates = verbs.length > 0 ? verbs : program.commands.map((command) => command.name);
  for (const name of candidates) parser.addCommand(new Command(name));
  try {
    parser.parse([verbs.length > 0 ? `${noun} ${verb}` : noun], { from: 'user' });
  } catch (error) {
    return asUsage(error, program.name);
  }
  return new IronError('E_INTERNAL', 'a command that was not found was found');
}
