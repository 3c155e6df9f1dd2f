/** The options of a program and of its commands, as one table that everything else is made from. */

import type { CommandSpec, OptionSpec, ProgramSpec } from './command.ts';

/** What every command of every program understands. */
export const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  { flags: '--json', description: 'print one JSON document on stdout, errors included' },
  { flags: '-q, --quiet', description: 'say nothing on stderr but warnings and errors' },
  { flags: '--no-color', description: 'do not colour anything (NO_COLOR does the same)' },
  { flags: '-h, --help', description: 'show this help' },
  { flags: '-V, --version', description: 'print the version' },
];

/** The parts of `-o, --out <file>`. */
export interface Flags {
  readonly short: string | undefined;
  readonly long: string;
  /** `out`: what commands ask for. */
  readonly name: string;
  readonly takesValue: boolean;
}

export function parseFlags(flags: string): Flags {
  const match = /^(?:(-[A-Za-z]), )?--([a-z][a-z0-9-]*)( <[^>]+>)?$/.exec(flags);
  if (match === null) throw new TypeError(`not the flags of an option: ${flags}`);
  const name = match[2] as string;
  return { short: match[1], long: `--${name}`, name, takesValue: match[3] !== undefined };
}

/** The global options that `command` does not use for something of its own (`--version <v>`). */
export function globalsFor(command: CommandSpec): readonly OptionSpec[] {
  const own = (command.options ?? []).map((option) => parseFlags(option.flags));
  return GLOBAL_OPTIONS.filter((option) => {
    const flags = parseFlags(option.flags);
    return !own.some(
      (other) =>
        other.long === flags.long || (flags.short !== undefined && other.short === flags.short),
    );
  });
}

/** What is known of a command line before commander sees it. */
export interface Scan {
  readonly operands: readonly { readonly word: string; readonly index: number }[];
  /** Flags given, in their long form when they have one. */
  readonly flags: ReadonlySet<string>;
}

/** Tells operands from options and their values; what follows `--` is neither command nor flag. */
export function scan(argv: readonly string[], options: readonly OptionSpec[]): Scan {
  const known = new Map<string, Flags>();
  /** Flags that have no value where they stand for themselves: `--version`. */
  const bare = new Set<string>();
  for (const option of options) {
    const flags = parseFlags(option.flags);
    for (const form of [flags.long, flags.short]) {
      if (form !== undefined && !flags.takesValue) bare.add(form);
      // Two commands may differ about a flag; that it may have a value is the safer reading.
      if (form !== undefined && known.get(form)?.takesValue !== true) known.set(form, flags);
    }
  }
  const operands: { word: string; index: number }[] = [];
  const found = new Set<string>();
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (word === '--') break;
    if (!word.startsWith('-') || word === '-') {
      operands.push({ word, index });
    } else if (word.startsWith('--')) {
      const [form] = word.split('=', 1) as [string];
      found.add(form);
      // … unless what follows is a flag itself: `--version --json`.
      const isAlone = bare.has(form) && argv[index + 1]?.startsWith('-') === true;
      if (form === word && known.get(form)?.takesValue === true && !isAlone) index++;
    } else if (takeCluster(word, known, found)) {
      index++;
    }
  }
  return { operands, flags: found };
}

/** `-qo`: notes each flag; true when the last one's value is the next word. */
function takeCluster(word: string, known: ReadonlyMap<string, Flags>, found: Set<string>): boolean {
  for (let i = 1; i < word.length; i++) {
    const flags = known.get(`-${word[i]}`);
    if (flags === undefined) return false;
    found.add(flags.long);
    if (flags.takesValue) return i === word.length - 1;
  }
  return false;
}

/** Every option of the program, the global ones last. */
export function allOptions(program: ProgramSpec): readonly OptionSpec[] {
  return [...program.commands.flatMap((command) => command.options ?? []), ...GLOBAL_OPTIONS];
}
