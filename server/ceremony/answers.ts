/** What a ceremony is told: by its options, or, at a terminal, in answer to its questions. */

import { access } from 'node:fs/promises';
import type { CommandContext, Person } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import { IronError } from '../../shared/errors.ts';
import { CEREMONY_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { newPassphrase } from '../../shared/node/signers/passphrase.ts';
import { isSignerUri } from '../../shared/node/signers/uri.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';

/** Keys as they are written: key files, signer URIs, or public halves. */
export interface Answers {
  readonly out: string;
  readonly root: readonly string[];
  readonly rootThreshold: number;
  readonly targets: readonly string[];
  readonly targetsThreshold: number;
  readonly snapshot: string;
  readonly timestamp: string;
  readonly security: readonly string[];
  readonly securityThreshold: number;
  readonly renewal: string | undefined;
  /** Whether somebody was asked, and can be asked again. */
  readonly isGuided: boolean;
}

const NEEDED = ['out', 'root-threshold', 'snapshot-key', 'timestamp-key'] as const;

/**
 * The answers of the command line; where some are missing, those of the person at the terminal.
 * `E_USAGE` where nobody can be asked.
 */
export async function answersOf(context: CommandContext): Promise<Answers> {
  const missing = [
    ...NEEDED.filter((name) => context.text(name) === undefined),
    ...['root-key', 'targets-key'].filter((name) => context.list(name).length === 0),
  ];
  if (missing.length === 0) return scripted(context);
  if (context.person === undefined)
    throw new IronError('E_USAGE', `the option --${missing[0]} is needed`, {
      why: 'at a terminal it would be asked for; here nobody can be',
      hint: 'nothing was written; `ironport-repo ceremony --help` has an example',
    });
  return await guided(context, context.person);
}

function scripted(context: CommandContext): Answers {
  return {
    out: context.need('out'),
    root: context.list('root-key'),
    rootThreshold: context.number('root-threshold', 1) ?? 1,
    targets: context.list('targets-key'),
    targetsThreshold: context.number('targets-threshold', 1) ?? 1,
    snapshot: context.need('snapshot-key'),
    timestamp: context.need('timestamp-key'),
    security: context.list('security-key'),
    securityThreshold: context.number('security-threshold', 1) ?? 1,
    renewal: context.text('renewal-key'),
    isGuided: false,
  };
}

async function guided(context: CommandContext, person: Person): Promise<Answers> {
  const { ui } = context;
  ui.stage(
    [
      'a ceremony says who may sign what in a repository, from its first day on.',
      'A key is a file, a signer (pkcs11:…, ssh-agent:…, plugin:…), or the public half (NAME.pub.json)',
      'of one that signs later on its own machine. A file that is not there yet can be made.',
    ].join('\n'),
  );
  const ask = new Questions(context, person);
  const root = await ask.keys('root-key', 'root key, kept offline');
  const rootThreshold = await ask.threshold('root-threshold', 'root', root.length);
  const targets = await ask.keys('targets-key', 'targets key, which admits vendors, kept offline');
  const targetsThreshold = await ask.threshold('targets-threshold', 'targets', targets.length);
  const security = await ask.keys('security-key', 'key of the security team, which revokes', 0);
  const securityThreshold = await ask.threshold(
    'security-threshold',
    'revocations',
    security.length,
  );
  const renewal =
    security.length === 0 ? undefined : await ask.key('renewal-key', 'key of the renewal timer');
  return {
    ...{ root, rootThreshold, targets, targetsThreshold, security, securityThreshold, renewal },
    snapshot: await ask.key('snapshot-key', 'snapshot key of the service: its public half'),
    timestamp: await ask.key('timestamp-key', 'timestamp key of the service: its public half'),
    out:
      context.text('out') ??
      (await ask.line('the file that goes from signer to signer (ceremony.json)')) ??
      'ceremony.json',
    isGuided: true,
  };
}

class Questions {
  readonly #context: CommandContext;
  readonly #person: Person;

  constructor(context: CommandContext, person: Person) {
    this.#context = context;
    this.#person = person;
  }

  /** An answer; undefined for an empty one. */
  async line(question: string): Promise<string | undefined> {
    const answer = await this.#person.line(question);
    return answer === '' ? undefined : answer;
  }

  /** What the option says, or keys one after the other until an empty answer. */
  async keys(option: string, what: string, least = 1): Promise<string[]> {
    const given = this.#context.list(option);
    if (given.length > 0) return [...given];
    const keys: string[] = [];
    while (keys.length < CEREMONY_LIMITS.keys) {
      const end = keys.length >= least ? ', or nothing more' : '';
      const answer = await this.line(`${what}, number ${keys.length + 1}${end}`);
      if (answer === undefined && keys.length >= least) break;
      if (answer !== undefined) keys.push(await this.#existing(answer));
    }
    return keys;
  }

  async key(option: string, what: string): Promise<string> {
    const given = this.#context.text(option);
    if (given !== undefined) return given;
    for (;;) {
      const answer = await this.line(what);
      if (answer !== undefined) return await this.#existing(answer);
    }
  }

  /** How many must sign; when that is all of them, only after a warning and a plain yes. */
  async threshold(option: string, role: string, keys: number): Promise<number> {
    const given = this.#context.number(option, 1);
    // The options with a default say nothing about what is wanted of several keys.
    if (given !== undefined && (keys <= 1 || given > 1)) return given;
    if (keys <= 1) return 1;
    for (;;) {
      const answer = await this.line(`how many of the ${keys} must sign ${role}`);
      const number = /^[1-9]\d?$/.test(answer ?? '') ? Number(answer) : 0;
      if (number >= 1 && number < keys) return number;
      if (number === keys && (await this.#meant(role, keys))) return number;
    }
  }

  async #meant(role: string, keys: number): Promise<boolean> {
    this.#context.ui.warn(
      `with ${keys} of ${keys} no key may ever be lost: with one gone, nobody signs ${role} again; fewer than all is what others take`,
    );
    return (await this.line('is that meant (yes or no)'))?.toLowerCase() === 'yes';
  }

  /** A file that is not there is made, if that is wanted. */
  async #existing(key: string): Promise<string> {
    if (isSignerUri(key)) return key;
    const isThere = await access(key).then(
      () => true,
      () => false,
    );
    if (isThere) return key;
    const answer = await this.line(`there is no ${key}: make a key there (yes or no)`);
    if (answer?.toLowerCase() !== 'yes') {
      throw new IronError('E_NOT_FOUND', `there is no key ${key}`, {
        hint: 'nothing was written; begin again when the public half of everybody is here',
      });
    }
    const passphrase = await newPassphrase(key, passphraseSource(this.#context), true);
    const made = await writeNewKey(key, 'ed25519', {
      created: systemClock(),
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    this.#context.ui.note(`made ${made.path}, its public half ${made.publicPath}`);
    return key;
  }
}
