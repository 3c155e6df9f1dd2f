/** The commands of a recovery, run as anybody would run them: by this very program, each measured. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { errorFromBody, errorReply } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { CommandContext } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { PASSPHRASE_FILE_VARIABLE } from '../../shared/node/signers/passphrase.ts';

export interface Step {
  /** As it would be typed. */
  readonly command: string;
  readonly seconds: number;
}

export class Steps {
  readonly taken: Step[] = [];
  readonly #context: CommandContext;
  readonly #began = performance.now();

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** Seconds since the rehearsal began. */
  get seconds(): number {
    return (performance.now() - this.#began) / 1000;
  }

  /** Runs `ironport-repo ARGS`; its failure is ours, and says at which command it came. */
  async run(...args: readonly string[]): Promise<void> {
    const exit = await this.take(args);
    if (exit === 0) return;
    throw new IronError('E_INTERNAL', `a command of the recovery ended with ${exit}`, {
      why: `it was: ${commandLine(args)}`,
      hint: 'the repository itself is as it was; run the command by hand on a copy',
    });
  }

  /** Runs it, and returns the exit status of one that did what it was asked. */
  async take(args: readonly string[]): Promise<number> {
    const { ui, env, signal } = this.#context;
    const began = performance.now();
    const passphrase = this.#context.text('passphrase-file');
    // Not as an option: most of these commands open no key, and take none.
    const secret = passphrase === undefined ? {} : { [PASSPHRASE_FILE_VARIABLE]: passphrase };
    const child = spawn(
      process.execPath,
      [process.argv[1] as string, ...args, '--json'],
      // Who is asked for a passphrase is asked at the terminal itself.
      { env: { ...env, ...secret }, stdio: ['inherit', 'pipe', 'pipe'], signal },
    );
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.resume();
    const [exit] = (await once(child, 'close')) as [number | null];
    const step = { command: commandLine(args), seconds: (performance.now() - began) / 1000 };
    this.taken.push(step);
    ui.stage(`  ${step.seconds.toFixed(1)} s  ${step.command}`);
    this.#demandSuccess(stdout, step.command);
    return exit ?? 1;
  }

  #demandSuccess(stdout: string, command: string): void {
    const reply = parseJson(utf8(stdout), { length: SERVER_LIMITS.body });
    if (isJsonObject(reply) && reply.ok === true) return;
    const refused = errorReply.safeParse(reply);
    const cause = refused.success ? errorFromBody(refused.data.error) : undefined;
    throw new IronError(cause?.code ?? 'E_INTERNAL', cause?.message ?? 'a command broke off', {
      why: `it was the answer to: ${command}`,
      hint: `the repository itself is as it was; ${cause?.hint ?? 'run the command by hand on a copy'}`,
      cause,
    });
  }
}

function commandLine(args: readonly string[]): string {
  return ['ironport-repo', ...args.map((arg) => (/[\s'"]/.test(arg) ? `'${arg}'` : arg))].join(' ');
}
