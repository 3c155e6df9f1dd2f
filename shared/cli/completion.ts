/**
 * `completion bash|zsh|fish`: a static script made from the commands' data. Static, so that a key
 * press does not start a program.
 */

import { IronError } from '../errors.ts';
import type { CommandSpec, OptionSpec, ProgramSpec } from './command.ts';
import { globalsFor, parseFlags } from './options.ts';

const SHELLS = { bash, zsh, fish } as const;
type Shell = keyof typeof SHELLS;

/** The command that every program has without listing it. */
export function completionCommand(program: ProgramSpec): CommandSpec {
  const command: CommandSpec = {
    name: 'completion',
    summary: 'print a completion script for a shell',
    arguments: [{ name: 'shell', description: 'bash, zsh or fish' }],
    examples: [
      `source <(${program.name} completion bash)`,
      `${program.name} completion fish > ~/.config/fish/completions/${program.name}.fish`,
    ],
    schema: `${program.name}/completion/v1`,
    async run({ args: [shell] }) {
      if (shell === undefined || !Object.hasOwn(SHELLS, shell)) {
        throw new IronError(
          'E_USAGE',
          `no completion is known for the shell ${JSON.stringify(shell)}`,
          {
            hint: `one of: ${Object.keys(SHELLS).join(', ')}`,
          },
        );
      }
      const script = SHELLS[shell as Shell](program.name, places([...program.commands, command]));
      return { data: { shell, script }, text: script };
    },
  };
  return command;
}

interface Choice {
  readonly word: string;
  readonly description: string;
}

/** A point that a command line can have reached: nothing yet, a noun, or a whole command. */
interface Place {
  /** The words up to here, `vendor add`. */
  readonly words: string;
  /** What may follow: commands or verbs. */
  readonly next: readonly Choice[];
  readonly options: readonly Choice[];
  /** Options whose next word is their value, in every form. */
  readonly valued: readonly string[];
}

function places(commands: readonly CommandSpec[]): readonly Place[] {
  const found = new Map<string, { next: Map<string, string>; command: CommandSpec | undefined }>();
  const at = (words: string) => {
    const place = found.get(words) ?? { next: new Map<string, string>(), command: undefined };
    found.set(words, place);
    return place;
  };
  at('');
  for (const command of commands) {
    const words = command.name.split(' ');
    words.forEach((word, i) => {
      const isLast = i === words.length - 1;
      const place = at(words.slice(0, i).join(' '));
      if (isLast || !place.next.has(word))
        place.next.set(word, isLast ? command.summary : `${word} …`);
    });
    at(command.name).command = command;
  }
  return Array.from(found, ([words, { next, command }]) => ({
    words,
    next: Array.from(next, ([word, description]) => ({ word, description })),
    ...optionsOf(command),
  }));
}

function optionsOf(command: CommandSpec | undefined): Pick<Place, 'options' | 'valued'> {
  const specs: readonly OptionSpec[] =
    command === undefined ? [] : [...(command.options ?? []), ...globalsFor(command)];
  const flags = specs.map((spec) => ({ ...parseFlags(spec.flags), description: spec.description }));
  return {
    options: flags.map(({ long, description }) => ({ word: long, description })),
    valued: flags
      .filter(({ takesValue }) => takesValue)
      .flatMap(({ long, short }) => (short === undefined ? [long] : [long, short])),
  };
}

const functionName = (program: string): string => `_${program.replaceAll('-', '_')}`;

/** For a shell's single quotes. */
const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** The cases by which a script walks from place to place, word by word. */
function steps(all: readonly Place[]): string {
  return all
    .filter(({ words }) => words !== '')
    .map(({ words }) => quoted(words))
    .join('|');
}

function bash(program: string, all: readonly Place[]): string {
  const cases = all.map(({ words, next, options, valued }) => {
    const choices = [...next, ...options].map(({ word }) => word).join(' ');
    return `    ${quoted(words)}) choices=${quoted(choices)} valued=${quoted(` ${valued.join(' ')} `)} ;;`;
  });
  // The line is split here and not taken from COMP_WORDS, which breaks an address at its colon.
  return `# bash completion of ${program}
${functionName(program)}() {
  local line=\${COMP_LINE:0:COMP_POINT} words word current='' previous='' place='' choices valued
  read -ra words <<<"$line"
  if [[ $line != *' ' ]]; then
    current=\${words[-1]}
    unset 'words[-1]'
  fi
  for word in "\${words[@]:1}"; do
    previous=$word
    case "\${place:+$place }$word" in
      ${steps(all)}) place="\${place:+$place }$word" ;;
    esac
  done
  case $place in
${cases.join('\n')}
  esac
  COMPREPLY=()
  [[ -n $previous && $valued == *" $previous "* ]] && return
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
}
complete -o default -F ${functionName(program)} ${program}
`;
}

function zsh(program: string, all: readonly Place[]): string {
  const described = (choices: readonly Choice[]): string =>
    choices
      .map(({ word, description }) => quoted(`${word}:${description.replaceAll(':', '\\:')}`))
      .join(' ');
  const cases = all.map(
    ({ words, next, options, valued }) =>
      `    ${quoted(words)}) next=(${described(next)}) options=(${described(options)}) valued=(${valued.join(' ')}) ;;`,
  );
  return `#compdef ${program}
# zsh completion of ${program}
${functionName(program)}() {
  local word place=''
  local -a next options valued
  for word in "\${(@)words[2,CURRENT-1]}"; do
    case "\${place:+$place }$word" in
      ${steps(all)}) place="\${place:+$place }$word" ;;
    esac
  done
  case $place in
${cases.join('\n')}
  esac
  if (( CURRENT > 2 && \${valued[(Ie)\${words[CURRENT-1]}]} )); then
    _files
    return
  fi
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o option options
  elif (( \${#next} )); then
    _describe command next
  else
    _files
  fi
}
if [[ \${funcstack[1]} == ${functionName(program)} ]]; then
  ${functionName(program)} "$@"
else
  compdef ${functionName(program)} ${program}
fi
`;
}

function fish(program: string, all: readonly Place[]): string {
  const at = `__${functionName(program).slice(1)}_at`;
  const lines = all.flatMap(({ words, next, options, valued }) => {
    const where = `-n ${quoted(`${at} ${quoted(words)}`)}`;
    return [
      ...next.map(
        ({ word, description }) =>
          `complete -c ${program} ${where} -f -a ${quoted(word)} -d ${quoted(description)}`,
      ),
      ...options.map(({ word, description }) => {
        const isValued = valued.includes(word) ? ' -r' : '';
        return `complete -c ${program} ${where} -l ${word.slice(2)}${isValued} -d ${quoted(description)}`;
      }),
    ];
  });
  return `# fish completion of ${program}
function ${at}
  set -l place
  for word in (commandline -opc)[2..-1]
    switch "$place $word"
      case ${all
        .filter(({ words }) => words !== '')
        .map(({ words }) => quoted(words.includes(' ') ? words : ` ${words}`))
        .join(' ')}
        set place (string trim "$place $word")
    end
  end
  test "$place" = "$argv[1]"
end
${lines.join('\n')}
`;
}
