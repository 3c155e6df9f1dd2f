/** `--help`, made from the same data as parsing and completion. Examples come before options. */

import type { ArgumentSpec, CommandSpec, OptionSpec, ProgramSpec } from './command.ts';
import { exitStatuses } from './errors.ts';
import { GLOBAL_OPTIONS, globalsFor, parseFlags } from './options.ts';
import { table } from './table.ts';

const INDENT = '  ';

/** The help of a whole program. */
export function programHelp(program: ProgramSpec): string {
  const forms = [`${program.name} COMMAND [OPTION]…`];
  if (program.takesAddress === true) forms.push(`${program.name} ADDRESS COMMAND [OPTION]…`);
  const byDefault = program.commands.find((command) => command.name === program.addressDefault);
  if (byDefault !== undefined)
    forms.push([program.name, 'ADDRESS', ...argumentForms(byDefault)].join(' '));
  return sections([
    [`${program.name}: ${program.summary}`],
    ['Usage:', ...forms.map((form) => INDENT + form)],
    [
      'Commands:',
      table(
        program.commands.map(({ name, summary }) => [name, summary]),
        INDENT,
      ),
    ],
    ['Options of every command:', optionTable(GLOBAL_OPTIONS)],
    ['Exit status:', exitTable()],
    [
      `\`${program.name} COMMAND --help\` says more about a command; docs/reference/errors.md about an error.`,
    ],
  ]);
}

/** The help of one command. */
export function commandHelp(program: ProgramSpec, command: CommandSpec): string {
  const parameters = command.arguments ?? [];
  const options = command.options ?? [];
  return sections([
    [`${program.name} ${command.name}: ${command.summary}`],
    ...(command.description === undefined ? [] : [[command.description]]),
    ['Usage:', INDENT + usageLine(program, command)],
    ['Examples:', ...command.examples.map((example) => INDENT + example)],
    ...(parameters.length === 0
      ? []
      : [
          [
            'Arguments:',
            table(
              parameters.map((argument) => [shown(argument), argument.description]),
              INDENT,
            ),
          ],
        ]),
    ...(options.length === 0 ? [] : [['Options:', optionTable(options)]]),
    ['Options of every command:', optionTable(globalsFor(command))],
    [
      `Exit status: 0 when done; each error has its own, see \`${program.name} --help\` and docs/reference/errors.md.`,
      `With --json: a document of the schema ${command.schema}.`,
    ],
  ]);
}

export function usageLine(program: ProgramSpec, command: CommandSpec): string {
  const needed = (command.options ?? [])
    .filter((option) => option.required === true)
    .map((option) => longForm(option));
  const isMore = (command.options ?? []).length > needed.length;
  const address = program.takesAddress === true ? ['[ADDRESS]'] : [];
  return [
    program.name,
    ...address,
    command.name,
    ...argumentForms(command),
    ...needed,
    ...(isMore ? ['[OPTION]…'] : []),
  ].join(' ');
}

function argumentForms(command: CommandSpec): string[] {
  return (command.arguments ?? []).map((argument) =>
    argument.optional === true ? `[${shown(argument)}]` : shown(argument),
  );
}

function shown(argument: ArgumentSpec): string {
  return argument.name.toUpperCase() + (argument.variadic === true ? '…' : '');
}

/** `-o, --out <file>` without the short form. */
function longForm(option: OptionSpec): string {
  return option.flags.replace(/^-[A-Za-z], /, '');
}

function optionTable(options: readonly OptionSpec[]): string {
  return table(
    options.map((option) => {
      // Long forms stand under each other whether or not there is a short one.
      const flags =
        parseFlags(option.flags).short === undefined ? `    ${option.flags}` : option.flags;
      return [flags, option.description + remarks(option)];
    }),
    INDENT,
  );
}

/** ` (needed; may be repeated)`: what follows an option's description. */
export function remarks(option: OptionSpec): string {
  const parts = [
    option.required === true ? 'needed' : undefined,
    option.repeatable === true ? 'may be repeated' : undefined,
    option.default === undefined ? undefined : `default ${option.default}`,
    option.env === undefined ? undefined : `or ${option.env}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

function exitTable(): string {
  const rows = exitStatuses().map(([status, codes]) => [String(status), codes.join(' ')]);
  return table([['0', 'done'], ...rows], INDENT);
}

function sections(parts: readonly (readonly string[])[]): string {
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}
