/**
 * The external build step, `IRONPORT_LTO_CMD`: a program with `{input}` and `{output}` among its
 * words, started without a shell. It works in a folder of its own; what it wrote is read back and
 * checked before anything appears where the user asked for it.
 */

import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { IronError } from '../../../shared/errors.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';
import { onPath } from '../../../shared/node/file-system.ts';
import { readFileCapped, writeFileAtomic } from '../../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../../shared/node/folders.ts';
import { withLock } from '../../../shared/node/lock.ts';

export const EXTERNAL_VARIABLE = 'IRONPORT_LTO_CMD';

export interface ExternalStep {
  /** As it was configured, in words. */
  readonly words: readonly string[];
}

/** Splits a command at blanks; there is no quoting. `E_CONFIG` without both placeholders. */
export function parseExternalStep(command: string): ExternalStep {
  const words = command.split(/\s+/).filter((word) => word !== '');
  for (const placeholder of ['{input}', '{output}']) {
    if (words.slice(1).some((word) => word.includes(placeholder))) continue;
    throw new IronError('E_CONFIG', `${EXTERNAL_VARIABLE} has no ${placeholder}`, {
      why: 'the step is given a file to read and a file to write, by these two words',
      hint: `nothing was written; for example ${EXTERNAL_VARIABLE}="clang -O2 -c {input} -o {output}"`,
    });
  }
  return { words };
}

export interface ExternalInput {
  readonly step: ExternalStep;
  readonly bytes: Uint8Array;
  /** File name of the input: tools go by extensions and write names into their output. */
  readonly name: string;
  /** Folder for the work, private; the same for the same work, so that its path can be as well. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Runs the step and returns what it wrote. `E_IO` when it fails or writes nothing. */
export async function runExternalStep(input: ExternalInput): Promise<Uint8Array> {
  const { folder } = input;
  await ensurePrivateFolder(folder);
  const purpose = 'an external build step';
  return await withLock(join(folder, 'lock'), () => work(input), {
    waitMs: 60_000,
    signal: input.signal,
    purpose,
  });
}

async function work({
  step,
  bytes,
  name,
  folder,
  env,
  signal,
}: ExternalInput): Promise<Uint8Array> {
  const place = join(folder, 'work');
  await onPath(place, async () => {
    // A run that was killed left its own behind.
    await rm(place, { recursive: true, force: true });
    await mkdir(place, { mode: 0o700 });
  });
  try {
    const [source, output] = [join(place, name), join(place, `out-${name}`)];
    await writeFileAtomic(source, bytes);
    const [program = '', ...words] = step.words;
    const args = words.map((word) =>
      word.replaceAll('{input}', () => source).replaceAll('{output}', () => output),
    );
    await run(program, args, { SOURCE_DATE_EPOCH: '0', ...env }, signal);
    return await readFileCapped(output, PIPELINE_LIMITS.binary, { nofollow: true }).catch(
      (cause: unknown) => {
        throw new IronError('E_IO', 'the external build step left no output that can be read', {
          why: cause instanceof Error ? cause.message : String(cause),
          hint: 'nothing was written',
          cause,
        });
      },
    );
  } finally {
    await rm(place, { recursive: true, force: true });
  }
}

/** Waits for the program; what it writes is kept for the message when it fails. */
function run(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const hear = (part: Buffer): void => {
      said = (said + part.toString('utf8')).slice(-PIPELINE_LIMITS.externalOutput);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const fail = (why: string, cause?: unknown): void =>
      reject(
        signal.aborted
          ? signal.reason
          : new IronError('E_IO', `the external build step ${program} failed`, {
              why: said.trim() === '' ? why : `${why}; it said: ${said.trim()}`,
              hint: 'nothing was written',
              cause,
            }),
      );
    child.on('error', (error) => fail(error.message, error));
    child.on('close', (code, killer) => {
      if (code === 0) resolve();
      else fail(code === null ? `it was ended by ${killer}` : `its exit status is ${code}`);
    });
  });
}
