/** Asking the person at the terminal: for a secret, which is not shown, or for a line. */

import { closeSync, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { IronError } from '../errors.ts';
import { PASSPHRASE_FILE_VARIABLE, type PassphraseSource } from '../node/signers/passphrase.ts';
import type { CommandContext, OptionSpec, Person } from './command.ts';
import { printableLine } from './ui.ts';

/** The option of every command that opens keys. */
export const PASSPHRASE_OPTION: OptionSpec = {
  flags: '--passphrase-file <file>',
  description:
    'file, pipe or descriptor (fd:3) with the passphrase or PIN; without it, you are asked',
  env: PASSPHRASE_FILE_VARIABLE,
};

/** Where a command's passphrases and PINs come from. */
export function passphraseSource(
  context: Pick<CommandContext, 'text' | 'env' | 'person'>,
): PassphraseSource {
  const { person } = context;
  return {
    passphraseFile: context.text('passphrase-file'),
    env: context.env,
    ask: person === undefined ? undefined : (question) => person.secret(question),
  };
}

/** The person at this process's terminal, or undefined where there is none. */
export function systemPerson(): Person | undefined {
  const secret = secretPrompt();
  return secret === undefined ? undefined : { secret, line };
}

/**
 * The way to ask, or undefined where there is no terminal. The terminal itself is opened, so that
 * stdin and stdout may be pipes.
 */
export function secretPrompt(): ((question: string) => Promise<string>) | undefined {
  try {
    closeSync(openSync(TERMINAL, 'r+'));
  } catch {
    return undefined;
  }
  return (question) => ask(question, true);
}

async function line(question: string): Promise<string> {
  return (await ask(question, false)).trim();
}

const TERMINAL = '/dev/tty';
const ENDS: readonly string[] = ['\r', '\n', '\u0004'];
const ERASES: readonly string[] = ['\b', '\u007f'];
const INTERRUPT = '\u0003';

/** Keys are read one by one; `hidden` says whether what is typed stays unseen. */
function ask(question: string, hidden: boolean): Promise<string> {
  const terminal = new ReadStream(openSync(TERMINAL, 'r+')).setEncoding('utf8');
  const output = openSync(TERMINAL, 'w');
  const show = (text: string): void => {
    if (!hidden) writeSync(output, text);
  };
  return new Promise((resolve, reject) => {
    let typed: string[] = [];
    const finish = (act: () => void): void => {
      terminal.setRawMode(false);
      terminal.destroy();
      writeSync(output, '\n');
      closeSync(output);
      act();
    };
    const hear = (chunk: string): void => {
      for (const char of chunk) {
        if (ENDS.includes(char)) {
          finish(() => resolve(typed.join('')));
          return;
        }
        if (char === INTERRUPT) {
          finish(() => reject(new IronError('E_CANCELLED', 'the question was not answered')));
          return;
        }
        if (!ERASES.includes(char)) {
          typed.push(char);
          show(printableLine(char));
        } else if (typed.length > 0) {
          typed = typed.slice(0, -1);
          show('\b \b');
        }
      }
    };
    // Before the question, so that an answer typed at once is not shown either.
    terminal.setRawMode(true);
    writeSync(output, `${printableLine(question)}: `);
    terminal.on('data', hear);
    terminal.on('error', reject);
  });
}
