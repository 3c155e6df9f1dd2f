/** Runs a program in this process and keeps what it prints. */

import type { ProgramSpec } from '../../shared/cli/command.ts';
import { runProgram } from '../../shared/cli/run.ts';

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runInProcess(
  program: ProgramSpec,
  argv: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  const texts = { stdout: '', stderr: '' };
  const output = (name: keyof typeof texts) => ({
    write(text: string, done?: (error?: Error | null) => void) {
      texts[name] += text;
      done?.();
    },
  });
  const exit = await runProgram(program, argv, {
    stdout: output('stdout'),
    stderr: output('stderr'),
    env,
    onSignal: () => () => {},
  });
  return { exit, ...texts };
}

/** What `--json` printed. */
export function documentOf(ran: Ran): {
  readonly ok: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever the command answered
  readonly data: any;
  readonly error: { readonly code: string; readonly message: string };
} {
  return JSON.parse(ran.stdout);
}
