/** A program to try the machinery on, and streams that remember what was written. */

import type {
  CommandContext,
  CommandResult,
  Person,
  ProgramSpec,
} from '../../shared/cli/command.ts';
import { type ProgramIo, runProgram } from '../../shared/cli/run.ts';
import type { Output } from '../../shared/cli/ui.ts';
import { IronError } from '../../shared/errors.ts';

export class Memory implements Output {
  readonly isTTY: boolean;
  readonly columns = 80;
  text = '';

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(text: string, done?: (error?: Error | null) => void): void {
    this.text += text;
    done?.();
  }
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Setting {
  readonly env?: Readonly<Record<string, string>>;
  readonly tty?: boolean;
  readonly person?: Person | undefined;
  /** Sees the function that a signal would call. */
  readonly signal?: (stop: (name: string) => void) => void;
}

/** Runs a program with a command line, in this process. */
export async function run(
  program: ProgramSpec,
  argv: string[],
  setting: Setting = {},
): Promise<Ran> {
  const [stdout, stderr] = [new Memory(setting.tty), new Memory(setting.tty)];
  const io: ProgramIo = {
    stdout,
    stderr,
    env: setting.env ?? {},
    person: setting.person,
    onSignal(stop) {
      setting.signal?.(stop);
      return () => {};
    },
  };
  const exit = await runProgram(program, argv, io);
  return { exit, stdout: stdout.text, stderr: stderr.text };
}

/** What `context` read from the command line. */
function echo(context: CommandContext, extra: object = {}): CommandResult {
  return {
    data: { args: context.args, rest: context.rest, address: context.address ?? null, ...extra },
  };
}

/** Has one of everything: address, default, nouns, each kind of option, each kind of end. */
export const sample: ProgramSpec = {
  name: 'sample',
  summary: 'one of everything',
  takesAddress: true,
  addressDefault: 'serve',
  commands: [
    {
      name: 'serve',
      summary: 'serve a folder',
      arguments: [{ name: 'folder', description: 'where it lies', optional: true }],
      examples: ['sample 127.0.0.1:8080 DIR'],
      schema: 'sample/serve/v1',
      run: async (context) => echo(context, { command: 'serve' }),
    },
    {
      name: 'get-verified',
      summary: 'fetch and verify',
      arguments: [
        { name: 'name', description: 'target path' },
        { name: 'out', description: 'file to write' },
      ],
      options: [
        { flags: '--root <file>', description: 'root to pin' },
        { flags: '-o, --tag <text>', description: 'a tag', repeatable: true },
        { flags: '--wait <seconds>', description: 'how long', default: '5', env: 'SAMPLE_WAIT' },
        { flags: '--keep', description: 'keep it' },
      ],
      examples: ['sample 127.0.0.1:8080 get-verified acme/edu/1.0.0/edu.js edu.js'],
      schema: 'sample/get-verified/v1',
      run: async (context) =>
        echo(context, {
          root: context.text('root') ?? null,
          tags: context.list('tag'),
          wait: context.number('wait', 0),
          keep: context.flag('keep'),
        }),
    },
    {
      name: 'vendor add',
      summary: 'admit a vendor',
      arguments: [{ name: 'files', description: 'requests', variadic: true }],
      options: [
        { flags: '--name <vendor>', description: 'its name', required: true, env: 'SAMPLE_NAME' },
      ],
      examples: ['sample vendor add --name acme request.json'],
      schema: 'sample/vendor-add/v1',
      run: async (context) => echo(context, { name: context.need('name') }),
    },
    {
      name: 'vendor list',
      summary: 'list the vendors',
      examples: ['sample vendor list'],
      schema: 'sample/vendor-list/v1',
      run: async () => ({ data: [], text: 'none\u001b[2J\u202e yet', exit: 3 }),
    },
    {
      name: 'publish',
      summary: 'publish a version',
      options: [{ flags: '--version <version>', description: 'its version' }],
      examples: ['sample publish --version 1.0.0'],
      schema: 'sample/publish/v1',
      run: async (context) => ({ data: { version: context.text('version') ?? null }, bare: true }),
    },
    {
      name: 'refuse',
      summary: 'refuse with a code',
      examples: ['sample refuse'],
      schema: 'sample/refuse/v1',
      run: async () => {
        throw new IronError('E_ROLLBACK', 'timestamp went back from version 41 to 40', {
          why: 'the repository served an older file\nthan the one trusted',
          hint: 'nothing was changed; try another mirror',
          context: { from: 41, to: 40 },
        });
      },
    },
    {
      name: 'say',
      summary: 'say something of each kind',
      examples: ['sample say'],
      schema: 'sample/say/v1',
      run: async ({ ui }) => {
        ui.stage('fetching root');
        ui.note('a note');
        ui.warn('a \u001b[31mwarning');
        const progress = ui.progress('edu.js', 4096);
        progress.advance(2048);
        progress.advance(2048);
        progress.done();
        return { data: null, text: 'said' };
      },
    },
  ],
};
