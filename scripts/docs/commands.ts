/** `node scripts/docs/commands.ts` writes docs/reference/commands.md from the commands' own data. */

import { writeFileSync } from 'node:fs';
import { program as agent } from '../../agent/main.ts';
import { program as client } from '../../client/main.ts';
import { program as publisher } from '../../publisher/main.ts';
import { program as server } from '../../server/main.ts';
import type { CommandSpec, OptionSpec, ProgramSpec } from '../../shared/cli/command.ts';
import { remarks, usageLine } from '../../shared/cli/help.ts';
import { GLOBAL_OPTIONS, globalsFor } from '../../shared/cli/options.ts';

export const PAGE = new URL('../../docs/reference/commands.md', import.meta.url);
export const PROGRAMS: readonly ProgramSpec[] = [publisher, server, client, agent];

const HEAD = `<!-- Written by \`node scripts/docs/commands.ts\`: change the commands, not this page. -->

# Commands

Every command of the four programs, as \`--help\` has it. What \`--json\` prints is on [a page of its own](json-output.md), and so are [errors and exit statuses](errors.md). \`PROGRAM completion bash\`, \`zsh\` or \`fish\` prints a completion script.`;

/** The whole page. */
export function commandsPage(programs: readonly ProgramSpec[]): string {
  return blocks([
    HEAD,
    'Options of every command, unless it uses the same one for something of its own:',
    table('option', optionRows(GLOBAL_OPTIONS)),
    ...programs.flatMap(programBlocks),
  ]);
}

function programBlocks(program: ProgramSpec): string[] {
  const { name, summary, commands } = program;
  const links = commands.map((command): [string, string] => {
    const anchor = `${name} ${command.name}`.replaceAll(' ', '-');
    return [`[\`${command.name}\`](#${anchor})`, cell(command.summary)];
  });
  const byDefault =
    program.addressDefault === undefined
      ? []
      : [`\`${name} ADDRESS\` with no command is \`${program.addressDefault}\`.`];
  return [
    `## ${name}`,
    sentence(summary),
    table('command', links),
    ...byDefault,
    ...commands.flatMap((command) => commandBlocks(program, command)),
  ];
}

function commandBlocks(program: ProgramSpec, command: CommandSpec): string[] {
  const { description, arguments: parameters = [], options = [] } = command;
  const parts = [`### ${program.name} ${command.name}`, sentence(command.summary)];
  if (description !== undefined) parts.push(cell(description));
  parts.push(fenced([usageLine(program, command)]));
  if (parameters.length > 0) {
    const rows = parameters.map((argument): [string, string] => {
      const more = argument.variadic === true ? '…' : '';
      const remark = argument.optional === true ? ' (may be left out)' : '';
      return [
        `\`${argument.name.toUpperCase()}${more}\``,
        cell(`${argument.description}${remark}`),
      ];
    });
    parts.push(table('argument', rows));
  }
  if (options.length > 0) parts.push(table('option', optionRows(options)));
  const missing = GLOBAL_OPTIONS.filter((option) => !globalsFor(command).includes(option));
  if (missing.length > 0)
    parts.push(`Without the common ${missing.map(({ flags }) => `\`${flags}\``).join(', ')}.`);
  parts.push(command.examples.length === 1 ? 'Example:' : 'Examples:', fenced(command.examples));
  return parts;
}

function optionRows(options: readonly OptionSpec[]): [string, string][] {
  return options.map((option) => [
    `\`${option.flags}\``,
    cell(option.description + remarks(option)),
  ]);
}

function table(heading: string, rows: readonly (readonly [string, string])[]): string {
  return [
    `| ${heading} | |`,
    '|---|---|',
    ...rows.map(([name, words]) => `| ${name} | ${words} |`),
  ].join('\n');
}

/** Text of a command, which is plain, as Markdown: nothing in it is a tag or ends a cell. */
function cell(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((part, i) => (i % 2 === 1 ? part : part.replace(/[<*\\]/g, '\\$&')))
    .join('')
    .replaceAll('|', '\\|');
}

function sentence(summary: string): string {
  return cell(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`);
}

function fenced(lines: readonly string[]): string {
  return ['```sh', ...lines, '```'].join('\n');
}

function blocks(parts: readonly string[]): string {
  return `${parts.join('\n\n')}\n`;
}

if (import.meta.main) writeFileSync(PAGE, commandsPage(PROGRAMS));
