/** Where a passphrase comes from: a file, an open descriptor, or a person. Never a flag. */

import { createReadStream } from 'node:fs';
import { fromUtf8 } from '../../bytes.ts';
import { IronError } from '../../errors.ts';
import { KEY_FILE_LIMITS } from '../../limits.ts';
import { readStreamCapped } from '../files.ts';

export interface PassphraseSource {
  /** A path (also of a pipe), or `fd:3` for a descriptor that the caller opened. */
  readonly passphraseFile?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Asks the person at the terminal; absent where there is none. */
  readonly ask?: ((question: string) => Promise<string>) | undefined;
}

/** Stands in for `passphraseFile`. The passphrase itself is never in the environment. */
export const PASSPHRASE_FILE_VARIABLE = 'IRONPORT_PASSPHRASE_FILE';

/** The passphrase for `what`. `E_KEY` when there is nowhere to get it from, or it is empty. */
export async function passphraseFor(what: string, source: PassphraseSource): Promise<string> {
  const file = source.passphraseFile ?? source.env[PASSPHRASE_FILE_VARIABLE];
  if (file === undefined && source.ask === undefined) {
    throw new IronError('E_KEY', `${what} needs a passphrase, and there is nobody to ask for it`, {
      hint: `give --passphrase-file, or set ${PASSPHRASE_FILE_VARIABLE}`,
    });
  }
  const passphrase =
    file === undefined ? await source.ask?.(`passphrase for ${what}`) : await readPassphrase(file);
  if (passphrase === undefined || passphrase === '') {
    throw new IronError('E_KEY', `the passphrase for ${what} is empty`);
  }
  return passphrase;
}

/**
 * The passphrase for a key that is to be made: `wanted` when one was asked for by a switch. Asked
 * for twice of a person, because nobody opens a key whose passphrase was mistyped. Undefined when
 * the key is to be plain.
 */
export async function newPassphrase(
  what: string,
  source: PassphraseSource,
  wanted: boolean,
): Promise<string | undefined> {
  const file = source.passphraseFile ?? source.env[PASSPHRASE_FILE_VARIABLE];
  if (file === undefined && !wanted) return undefined;
  const passphrase = await passphraseFor(what, source);
  if (file === undefined && (await source.ask?.(`the passphrase for ${what} again`)) !== passphrase)
    throw new IronError('E_KEY', 'the two passphrases are not the same', {
      hint: 'nothing was written; try again',
    });
  return passphrase;
}

/** A file's content without the line feed at its end. */
async function readPassphrase(file: string): Promise<string> {
  const descriptor = /^fd:(\d{1,6})$/.exec(file)?.[1];
  const stream =
    descriptor === undefined
      ? createReadStream(file)
      : createReadStream('', { fd: Number(descriptor) });
  const bytes = await readStreamCapped(stream, KEY_FILE_LIMITS.passphrase, file);
  return fromUtf8(bytes).replace(/\r?\n$/, '');
}
