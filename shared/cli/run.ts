/**
 * Runs a program: parses, runs the command, prints its result or its error, and answers with the
 * exit status. Never ends the process itself, so that whatever was written is written whole.
 */

import { cwd } from 'node:process';
import { IronError } from '../errors.ts';
import { packageVersion } from '../node/package-version.ts';
import type { CommandContext, CommandResult, CommandSpec, Person, ProgramSpec } from './command.ts';
import { completionCommand } from './completion.ts';
import { loadConfiguration } from './config.ts';
import { errorBlock, errorDocument, toIronError } from './errors.ts';
import { commandHelp, programHelp } from './help.ts';
import { allOptions, scan } from './options.ts';
import { parseCommandLine } from './parse.ts';
import { systemPerson } from './secret.ts';
import { createUi, type Env, type Output, printable, wantsBars, wantsColor } from './ui.ts';

/** What a program touches of its process; tests pass their own. */
export interface ProgramIo {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Env;
  /** Who can be asked; absent where nobody can. */
  readonly person?: Person | undefined;
  /** Calls `stop` on the first SIGINT or SIGTERM; returns the way to stop listening. */
  onSignal(stop: (name: string) => void): () => void;
}

/** What `runProgram` is about to answer with. */
interface Outcome {
  readonly exit: number;
  readonly stdout: string;
}

/**
 * Runs `program` with the arguments after its name and returns the exit status. Writes the result
 * to stdout, everything else to stderr; throws nothing.
 */
export async function runProgram(
  program: ProgramSpec,
  argv: readonly string[],
  io: ProgramIo = processIo(),
): Promise<number> {
  const whole = { ...program, commands: [...program.commands, completionCommand(program)] };
  // Before anything is parsed: a usage error must be a document too.
  const flags = scan(argv, allOptions(whole)).flags;
  const json = flags.has('--json');
  const color = wantsColor(io.stderr, io.env, flags.has('--no-color'));
  const quiet = flags.has('--quiet');
  const ui = createUi({
    stderr: io.stderr,
    quiet,
    color,
    bars: wantsBars(io.stderr, io.env, quiet || json),
  });
  const stopping = new AbortController();
  const stopListening = io.onSignal((name) => {
    ui.note(`${name}: stopping; once more stops at once`);
    stopping.abort(new IronError('E_CANCELLED', `stopped by ${name}`));
  });

  const fail = async (thrown: unknown, schema: string): Promise<number> => {
    const error = toIronError(thrown, stopping.signal);
    ui.close();
    if (!json) await write(io.stderr, errorBlock(error, color, io.env));
    else
      await print(io.stdout, documentText({ schema, ok: false, error: errorDocument(error) }, io));
    return error.exit;
  };
  let schema = `${program.name}/error/v1`;
  try {
    const configuration = await loadConfiguration(program, io.env, cwd());
    for (const notice of configuration.notices) ui.warn(notice);
    const intent = await parseCommandLine(whole, argv, configuration.env);
    if (intent.kind === 'run') schema = intent.command.schema;
    const outcome =
      intent.kind === 'version'
        ? answer(version(program), `${program.name}/version/v1`, json, io)
        : intent.kind === 'help'
          ? answer(help(whole, intent.command), `${program.name}/help/v1`, json, io)
          : await runCommand(
              intent.command,
              {
                ...intent.values,
                env: configuration.env,
                configured: configuration.sources,
                person: io.person,
                ui,
                signal: stopping.signal,
              },
              json,
              io,
            );
    ui.close();
    await print(io.stdout, outcome.stdout);
    return outcome.exit;
  } catch (error) {
    // A stdout that takes nothing more cannot carry the document about it either.
    return await fail(error, schema).catch(() => toIronError(error).exit);
  } finally {
    stopListening();
  }
}

async function runCommand(
  command: CommandSpec,
  context: CommandContext,
  json: boolean,
  io: ProgramIo,
): Promise<Outcome> {
  return answer(await command.run(context), command.schema, json, io);
}

/** The text of a result, for people or as the document. */
function answer(result: CommandResult, schema: string, json: boolean, io: ProgramIo): Outcome {
  const exit = result.exit ?? 0;
  if (json && result.bare === true) return { exit, stdout: documentText(result.data, io) };
  if (json)
    return { exit, stdout: documentText({ schema, ok: true, data: result.data ?? null }, io) };
  const text = result.text ?? '';
  return {
    exit,
    stdout: text === '' || text.endsWith('\n') ? printable(text) : `${printable(text)}\n`,
  };
}

function documentText(document: unknown, io: ProgramIo): string {
  return `${JSON.stringify(document, null, io.stdout.isTTY === true ? 2 : undefined)}\n`;
}

function help(program: ProgramSpec, command: CommandSpec | undefined): CommandResult {
  const text = command === undefined ? programHelp(program) : commandHelp(program, command);
  return { data: { text }, text };
}

function version(program: ProgramSpec): CommandResult {
  const number = packageVersion();
  return {
    data: { name: program.name, version: number, node: process.versions.node },
    text: `${program.name} ${number}`,
  };
}

/** Writes to stdout. A reader that has seen enough (`| head`) is no error. */
async function print(stdout: Output, text: string): Promise<void> {
  if (text === '') return;
  try {
    await write(stdout, text);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

function write(stream: Output, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => (error == null ? resolve() : reject(error)));
  });
}

function processIo(): ProgramIo {
  // The callbacks of write() report the error; without a listener the same error would be fatal.
  for (const stream of [process.stdout, process.stderr]) {
    if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore);
  }
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    // Looked for only when somebody is to be asked.
    get person() {
      return systemPerson();
    },
    onSignal,
  };
}

function ignore(): void {}

function onSignal(stop: (name: string) => void): () => void {
  const names = ['SIGINT', 'SIGTERM'] as const;
  const stopListening = (): void => {
    for (const name of names) process.removeListener(name, heard);
  };
  const heard = (name: string): void => {
    // From here on a signal does what it does to any process: the second one ends it.
    stopListening();
    stop(name);
  };
  for (const name of names) process.on(name, heard);
  return stopListening;
}
