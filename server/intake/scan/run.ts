/**
 * Runs the operators' scanner over files, without a shell. The exit statuses are those of ClamAV: 0 says
 * that nothing was found, 1 that something was; every other end says nothing about the files.
 */

import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { IronError } from '../../../shared/errors.ts';
import { SCANNER_LIMITS } from '../../../shared/limits.ts';
import type { ScannerSetting } from '../../storage/scanner.ts';

export interface Scanned {
  /** Whether the scanner found something. */
  readonly found: boolean;
  /** What it wrote, on both of its outputs, as far as it is kept. */
  readonly output: string;
}

/** How long an end of its outputs is waited for when the program itself has ended. */
const LINGER_MS = 1000;

/**
 * Looks at all of the files, some at a time; ends at the first find. `E_IO` when the program cannot be
 * run, ends in another way or takes too long, `E_CANCELLED` on the signal. Whatever it started goes with it.
 * @param files absolute paths, so that none can be taken for an option
 */
export async function runScanner(
  setting: ScannerSetting,
  files: readonly string[],
  signal: AbortSignal,
): Promise<Scanned> {
  const late = AbortSignal.timeout(setting.seconds * 1000);
  let output = '';
  for (let at = 0; at < files.length; at += SCANNER_LIMITS.files) {
    const some = files.slice(at, at + SCANNER_LIMITS.files);
    const one = await runOnce(setting, some, { signal, late });
    if (one.found) return one;
    output = one.output;
  }
  return { found: false, output };
}

interface Ends {
  readonly signal: AbortSignal;
  readonly late: AbortSignal;
}

function runOnce(
  { program, words, seconds }: ScannerSetting,
  files: readonly string[],
  { signal, late }: Ends,
): Promise<Scanned> {
  return new Promise((resolve, reject) => {
    const failed = (why: string, output = '', cause?: unknown): IronError =>
      new IronError('E_IO', `the scanner ${program} failed`, {
        why: output.trim() === '' ? why : `${why}; it said: ${output.trim().slice(-500)}`,
        hint: 'nothing was changed; run `ironport-repo scanner try FILE` to see it',
        cause,
      });
    let output = '';
    const hear = (part: Buffer): void => {
      if (output.length < SCANNER_LIMITS.output) output += part.toString('utf8');
    };
    const ends = AbortSignal.any([signal, late]);
    if (ends.aborted) {
      reject(endOf({ signal, late }, seconds, failed));
      return;
    }
    const { PATH = '/usr/bin:/bin', TMPDIR } = process.env;
    let child: ChildProcessByStdio<null, Readable, Readable>;
    try {
      child = spawn(program, [...words, ...files], {
        cwd: '/',
        // Nothing of the service's own: where its passphrase and its webhook lie is none of its business.
        env: { PATH, LANG: 'C.UTF-8', ...(TMPDIR === undefined ? {} : { TMPDIR }) },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own, so that what it starts can be ended with it.
        detached: true,
      });
    } catch (error) {
      // Node tells of some of the reasons by the event below, and throws the others.
      reject(failed(error instanceof Error ? error.message : String(error), '', error));
      return;
    }
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    const stop = (): void => endGroup(child);
    ends.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => {
      ends.removeEventListener('abort', stop);
      reject(failed(error.message, '', error));
    });
    child.once('exit', (code, killer) => {
      // What it left running holds its outputs open, and has nothing more to say.
      endGroup(child);
      const end = (): void => {
        clearTimeout(timer);
        ends.removeEventListener('abort', stop);
        if (ends.aborted) reject(endOf({ signal, late }, seconds, failed, output));
        else if (code === 0 || code === 1) resolve({ found: code === 1, output });
        else
          reject(
            failed(
              code === null ? `it was ended by ${killer}` : `its exit status is ${code}`,
              output,
            ),
          );
      };
      const timer = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, LINGER_MS);
      child.once('close', end);
    });
  });
}

function endOf(
  { signal }: Ends,
  seconds: number,
  failed: (why: string, output?: string) => IronError,
  output?: string,
): IronError {
  if (!signal.aborted) return failed(`it did not end within ${seconds} s`, output);
  return new IronError('E_CANCELLED', 'the scanner was stopped with the service');
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody of it is left.
  }
}
