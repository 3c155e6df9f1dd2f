/**
 * The questions of a guided ceremony. Each answer is tried at once: what is wrong with it is said, and it
 * is asked for again, since whoever sits there has answered a dozen before it.
 */

import { access } from 'node:fs/promises';
import type { CommandContext, Person } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import { type IronError, isIronError } from '../../shared/errors.ts';
import { CEREMONY_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { newPassphrase } from '../../shared/node/signers/passphrase.ts';
import { isSignerUri, openSigner } from '../../shared/node/signers/uri.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { demandRoom } from './outcome.ts';
import { type Participant, participants, publicKeyOf } from './signers.ts';

/** Where the result goes unless something else is said. */
const PLACE = 'ceremony.json';

export class Questions {
  readonly #context: CommandContext;
  readonly #person: Person;

  constructor(context: CommandContext, person: Person) {
    this.#context = context;
    this.#person = person;
  }

  /** What the option says, or keys one after the other until an empty answer. */
  async keys(option: string, what: string, least = 1): Promise<Participant[]> {
    const given = this.#context.list(option);
    if (given.length > 0) return await participants(this.#context, given);
    const people: Participant[] = [];
    while (people.length < CEREMONY_LIMITS.keys) {
      const isEnough = people.length >= least;
      const end = isEnough ? ', or nothing more' : '';
      const answer = await this.#line(`${what}, number ${people.length + 1}${end}`);
      if (answer === undefined && isEnough) break;
      const one = answer === undefined ? undefined : await this.#opened(answer);
      if (one === undefined) continue;
      if (people.some(({ key }) => keyIdentity(key) === keyIdentity(one.key)))
        this.#wrong(`${answer} is a key that was named already: a threshold counts keys`);
      else people.push(one);
    }
    return people;
  }

  /** One key, which is none of `taken`. */
  async renewal(option: string, what: string, taken: readonly PublicKey[]): Promise<Participant> {
    const given = this.#context.text(option);
    if (given !== undefined) return (await participants(this.#context, [given]))[0] as Participant;
    return await this.#until(what, async (answer) => {
      const one = await this.#opened(answer);
      return one === undefined || this.#isTaken(one.key, taken) ? undefined : one;
    });
  }

  /** The public half of a key of the service, which is none of `taken`. */
  async online(option: string, what: string, taken: readonly PublicKey[]): Promise<PublicKey> {
    const given = this.#context.text(option);
    if (given !== undefined) return await publicKeyOf(this.#context, given);
    return await this.#until(what, async (answer) => {
      if (!(await this.#isThere(answer))) return await this.#made(answer).then((one) => one?.key);
      const key = await this.#tried(() => publicKeyOf(this.#context, answer));
      return key === undefined || this.#isTaken(key, taken) ? undefined : key;
    });
  }

  /** How many must sign; when that is all of them, only after a warning and a plain yes. */
  async threshold(option: string, role: string, keys: number): Promise<number> {
    const given = this.#context.number(option, 1);
    // The options with a default say nothing about what is wanted of several keys.
    const isSaid = given !== undefined && (keys <= 1 || given > 1);
    if (isSaid && given <= Math.max(keys, 1)) return given;
    if (isSaid) this.#wrong(`${given} of ${keys} keys can never sign ${role}`);
    if (keys <= 1) return 1;
    for (;;) {
      const answer = await this.#line(`how many of the ${keys} must sign ${role}`);
      const number = /^[1-9]\d?$/.test(answer ?? '') ? Number(answer) : 0;
      if (number >= 1 && number < keys) return number;
      if (number !== keys) this.#wrong(`that is no number from 1 to ${keys}`);
      else if (await this.#meant(role, keys)) return number;
    }
  }

  /** Where the result goes: where nothing is. */
  async place(): Promise<string> {
    for (;;) {
      const answer = await this.#line(`the file that goes from signer to signer (${PLACE})`);
      const place = answer ?? PLACE;
      if ((await this.#tried(() => demandRoom(place).then(() => true))) === true) return place;
    }
  }

  /** An answer; undefined for an empty one. */
  async #line(question: string): Promise<string | undefined> {
    const answer = await this.#person.line(question);
    return answer === '' ? undefined : answer;
  }

  async #until<T>(what: string, take: (answer: string) => Promise<T | undefined>): Promise<T> {
    for (;;) {
      const answer = await this.#line(what);
      const taken = answer === undefined ? undefined : await take(answer);
      if (taken !== undefined) return taken;
    }
  }

  async #meant(role: string, keys: number): Promise<boolean> {
    this.#context.ui.warn(
      `with ${keys} of ${keys} no key may ever be lost: with one gone, nobody signs ${role} again; fewer than all is what others take`,
    );
    return await this.#isYes('is that meant');
  }

  async #isYes(question: string): Promise<boolean> {
    return (await this.#line(`${question} (yes or no)`))?.toLowerCase() === 'yes';
  }

  /** Somebody who takes part; a file that is not there is made, if that is wanted. */
  async #opened(answer: string): Promise<Participant | undefined> {
    if (!(await this.#isThere(answer))) return await this.#made(answer);
    return await this.#tried(async () => (await participants(this.#context, [answer]))[0]);
  }

  async #isThere(key: string): Promise<boolean> {
    if (isSignerUri(key)) return true;
    return await access(key).then(
      () => true,
      () => false,
    );
  }

  async #made(place: string): Promise<Participant | undefined> {
    if (place.endsWith('.pub.json')) {
      this.#wrong(`there is no ${place}: whoever has the key brings its public half`);
      return undefined;
    }
    if (!(await this.#isYes(`there is no ${place}: make a key there`))) return undefined;
    return await this.#tried(async () => {
      const passphrase = await newPassphrase(place, passphraseSource(this.#context), true);
      const made = await writeNewKey(place, 'ed25519', {
        created: systemClock(),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      this.#context.ui.note(`made ${made.path}, its public half ${made.publicPath}`);
      const known = { env: {}, ask: async () => passphrase ?? '' };
      return { key: made.key, signer: await openSigner(place, known) };
    });
  }

  /** invariant 7, and one theft must not reach two parts. */
  #isTaken(key: PublicKey, taken: readonly PublicKey[]): boolean {
    if (!taken.some((one) => keyIdentity(one) === keyIdentity(key))) return false;
    this.#wrong(
      'that key has another part already: this one lies on a machine that is always on, and who steals it must gain nothing else',
    );
    return true;
  }

  /** What comes of it; what is wrong with the answer is said, and undefined comes of it. */
  async #tried<T>(act: () => Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      if (!isIronError(error) || isIronError(error, 'E_CANCELLED', 'E_INTERNAL')) throw error;
      this.#wrong(reasonOf(error));
      return undefined;
    }
  }

  #wrong(what: string): void {
    this.#context.ui.warn(`${what}; once more`);
  }
}

function reasonOf({ message, why }: IronError): string {
  return why === undefined || message.endsWith(why) ? message : `${message}: ${why}`;
}
