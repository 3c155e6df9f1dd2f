/**
 * Signers that are programs: `plugin:NAME` and `plugin:NAME:KEY` run `ironport-signer-NAME`. Lines
 * go both ways, as docs/reference/signer-plugins.md describes them; one process a request, so that
 * a program that hangs or dies takes nothing with it.
 */

import { spawn } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { fromBase64, fromUtf8, toBase64, utf8 } from '../../bytes.ts';
import { keyFromSpki, type PublicKey, type SigningScheme } from '../../crypto/key.ts';
import type { Signer } from '../../crypto/signer.ts';
import { IronError } from '../../errors.ts';
import { SIGNER_LIMITS } from '../../limits.ts';
import { SCHEMES } from './key-file.ts';
import { type PassphraseSource, passphraseFor } from './passphrase.ts';

const PROTOCOL = 'ironport-signer/v1';

/** `E_USAGE` on a bad name, `E_CONFIG` when there is no such program, `E_KEY` on what it refuses. */
export async function openPlugin(rest: string, source: PassphraseSource): Promise<Signer> {
  const [, name, , arg = ''] = /^([a-z0-9][a-z0-9-]{0,31})(:(.*))?$/s.exec(rest) ?? [];
  if (name === undefined)
    throw new IronError('E_USAGE', `not a plugin: ${JSON.stringify(rest)}`, {
      hint: 'write it as plugin:NAME or plugin:NAME:KEY',
    });
  const program = await find(`ironport-signer-${name}`, source.env.PATH ?? '');
  const ask = (lines: readonly string[]): Promise<string> =>
    converse(program, [`key ${toBase64(utf8(arg))}`, ...lines], source);
  const key = readKey(name, await ask(['public']));
  return {
    key,
    async sign(message) {
      const [word, value, ...more] = (await ask([`sign ${toBase64(message)}`])).split(' ');
      if (word !== 'signature' || value === undefined || more.length > 0)
        throw misbehaved(name, 'it did not answer with a signature');
      return bytesOf(name, value);
    },
  };
}

function readKey(name: string, line: string): PublicKey<SigningScheme> {
  const [word, text, value, ...more] = line.split(' ');
  const scheme = SCHEMES.find((known) => known === text);
  if (word !== 'public' || scheme === undefined || value === undefined || more.length > 0)
    throw misbehaved(name, 'it did not answer with a public key of a scheme known here');
  return keyFromSpki(scheme, bytesOf(name, value));
}

function bytesOf(name: string, base64: string): Uint8Array {
  try {
    return fromBase64(base64);
  } catch {
    throw misbehaved(name, 'what it answered is not base64');
  }
}

/** On PATH, in absolute folders only: a name that leads into the current folder is passed over. */
async function find(program: string, path: string): Promise<string> {
  for (const folder of path.split(':')) {
    if (!isAbsolute(folder)) continue;
    const place = join(folder, program);
    const isThere = await access(place, constants.X_OK)
      .then(async () => (await stat(place)).isFile())
      .catch(() => false);
    if (isThere) return place;
  }
  throw new IronError('E_CONFIG', `there is no program ${program}`, {
    why: 'it was looked for in the absolute folders of PATH',
    hint: 'install it, or correct the name after plugin:',
  });
}

/** Sends the lines, answers what is asked on the way, and returns the line that is the result. */
function converse(
  program: string,
  lines: readonly string[],
  source: PassphraseSource,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [PROTOCOL], { stdio: ['pipe', 'pipe', 'inherit'] });
    let heard = Buffer.alloc(0);
    let isOver = false;
    const end = (act: () => void): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      child.kill('SIGKILL');
      act();
    };
    const refuse = (error: IronError): void => end(() => reject(error));
    const timer = setTimeout(
      () => refuse(new IronError('E_SLOW', `${program} did not answer`)),
      SIGNER_LIMITS.patienceSeconds * 1000,
    );
    const take = (line: string): void => {
      if (line.startsWith('ask ')) {
        // Of what a program says, only what can be shown is shown.
        const question = printable(line.slice(4));
        passphraseFor(question, source).then(
          (answer) => child.stdin.write(`answer ${toBase64(utf8(answer))}\n`),
          (error) => end(() => reject(error)),
        );
      } else if (line.startsWith('error ')) {
        refuse(
          new IronError('E_KEY', `${program} refuses`, {
            why: printable(line.slice(6)),
            hint: 'nothing was signed',
          }),
        );
      } else {
        end(() => resolve(line));
      }
    };
    child.on('error', (cause) =>
      refuse(new IronError('E_CONFIG', `${program} does not run: ${cause.message}`, { cause })),
    );
    child.on('close', () => refuse(misbehaved(program, 'it ended without an answer')));
    // A program that ended is told by `close`.
    child.stdin.on('error', () => {});
    child.stdout.on('data', (part) => {
      heard = Buffer.concat([heard, part]);
      if (heard.length > SIGNER_LIMITS.pluginAnswer)
        refuse(misbehaved(program, 'it answers without an end'));
      for (let at = heard.indexOf(0x0a); at >= 0 && !isOver; at = heard.indexOf(0x0a)) {
        const line = heard.subarray(0, at);
        heard = heard.subarray(at + 1);
        try {
          take(fromUtf8(line).trimEnd());
        } catch {
          refuse(misbehaved(program, 'what it answers is not UTF-8'));
        }
      }
    });
    child.stdin.write(`${lines.join('\n')}\n`);
  });
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}

function misbehaved(name: string, why: string): IronError {
  return new IronError('E_KEY', `the signer ${name} does not keep to the protocol`, {
    why,
    hint: 'nothing was signed; docs/reference/signer-plugins.md says what is expected',
  });
}
