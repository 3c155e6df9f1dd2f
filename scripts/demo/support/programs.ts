/** Runs the four programs as anybody would: as processes, over their command lines. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export type Program = 'ironport' | 'ironport-repo' | 'ironport-client' | 'ironport-agent';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Seconds by which the process sees its clock moved. */
  readonly clock?: number;
}

export interface Outcome {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

// biome-ignore lint/suspicious/noExplicitAny: the demo reads documents of a dozen commands
export type Data = any;

/** What every `--json` document has. */
export interface Document {
  readonly schema: string;
  readonly ok: boolean;
  readonly data?: Data;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly why?: string | null;
    readonly hint?: string | null;
    readonly context?: Readonly<Record<string, string | number | boolean | null>>;
  };
}

/** Are told of every document, for whoever looks at all of them. */
export const readers = new Set<(document: Document) => void>();

const movedClock = new URL('./moved-clock.mjs', import.meta.url).href;

function start(program: Program, args: readonly string[], options: RunOptions): ChildProcess {
  const bin = fileURLToPath(new URL(`../../../bin/${program}.js`, import.meta.url));
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: '1', ...options.env };
  if (options.clock !== undefined) {
    env.NODE_OPTIONS = `--import=${movedClock}`;
    env.DEMO_CLOCK_OFFSET = String(options.clock);
  }
  return spawn(process.execPath, [bin, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** Runs a program to its end, whatever that is. */
export async function run(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  const child = start(program, args, options);
  const output = { stdout: '', stderr: '' };
  child.stdout?.on('data', (data) => (output.stdout += data));
  child.stderr?.on('data', (data) => (output.stderr += data));
  const [code] = (await once(child, 'close')) as [number | null];
  return { exit: code ?? 255, ...output };
}

/** Runs a program with `--json` and returns its document, refusal or not. */
export async function ask(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Document> {
  const { exit, stdout, stderr } = await run(program, [...args, '--json'], options);
  let document: Document;
  try {
    document = JSON.parse(stdout);
  } catch {
    throw new Error(
      `${program} ${args.join(' ')} ended with ${exit} and no document:\n${stdout}${stderr}`,
    );
  }
  for (const read of readers) read(document);
  return document;
}

/** The data of a command that must succeed. */
export async function must(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Data> {
  const document = await ask(program, args, options);
  if (document.ok) return document.data;
  const { code, message, why, hint } = document.error ?? { code: '?', message: '?' };
  throw new Error(
    `${program} ${args.join(' ')}\n  error[${code}]: ${message}\n  why:  ${why ?? '-'}\n  do:   ${hint ?? '-'}`,
  );
}

/** What a command that must succeed says to people. */
export async function show(
  program: Program,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { exit, stdout, stderr } = await run(program, args, options);
  if (exit !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${exit}:\n${stderr}`);
  return stdout;
}

export interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts `ironport-repo` on a free port of loopback and waits until it answers, or has ended. */
export async function serve(
  folder: string,
  port: number,
  options: RunOptions = {},
): Promise<Service> {
  const child = start('ironport-repo', [`127.0.0.1:${port}`, folder], options);
  let said = '';
  child.stderr?.on('data', (data) => (said += data));
  child.stdout?.on('data', (data) => (said += data));
  const ended = once(child, 'close');
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`the repository did not start:\n${said}`);
    const healthy = await fetch(`${url}/healthz`).then(
      (answer) => answer.ok,
      () => false,
    );
    if (healthy) {
      return {
        url,
        stop: async () => {
          child.kill('SIGTERM');
          await ended;
        },
      };
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
