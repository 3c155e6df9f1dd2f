/** The vendor's three lists of keys, opened when they are needed and never longer. */

import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import { PASSPHRASE_OPTION, passphraseSource } from '../shared/cli/secret.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { openSigner } from '../shared/node/signers/uri.ts';
import { resolveKey, type VendorConfig } from './config.ts';

export const DIR_OPTION: OptionSpec = {
  flags: '-d, --dir <folder>',
  description: "the vendor's folder, made by `ironport init`",
  required: true,
  env: 'IRONPORT_VENDOR_DIR',
};

export { PASSPHRASE_OPTION };

type List = keyof VendorConfig['keys'];

export class VendorSigners {
  readonly #context: CommandContext;
  readonly #dir: string;
  readonly #config: VendorConfig;

  constructor(context: CommandContext, dir: string, config: VendorConfig) {
    this.#context = context;
    this.#dir = dir;
    this.#config = config;
  }

  /** Every key of a list; one that is not here is an error. */
  async all(list: List): Promise<Signer[]> {
    const signers: Signer[] = [];
    for (const uri of this.#config.keys[list]) signers.push(await this.#open(uri));
    return signers;
  }

  /** The first key of a list that is here. */
  async one(list: 'evidence' | 'api'): Promise<Signer> {
    const [signer] = await this.here(list);
    return signer as Signer;
  }

  /** The keys of a list that are on this machine; the others sign elsewhere. At least one. */
  async here(list: List): Promise<Signer[]> {
    const signers = await this.among(list);
    if (signers.length === 0)
      throw new IronError('E_KEY', `none of the ${list} keys is on this machine`, {
        why: `vendor.json names ${this.#config.keys[list].join(', ') || 'none'}`,
      });
    return signers;
  }

  /** The same, where it may be that none is here. */
  among(list: List): Promise<Signer[]> {
    return this.#found(this.#config.keys[list], `${list} key`);
  }

  /** The keys of a nested role that are on this machine; none when others alone sign it. */
  ofNested(role: string): Promise<Signer[]> {
    return this.#found(this.#config.nested?.get(role) ?? [], `key of ${role}`);
  }

  async #found(uris: readonly string[], what: string): Promise<Signer[]> {
    const signers: Signer[] = [];
    for (const uri of uris) {
      try {
        signers.push(await this.#open(uri));
      } catch (error) {
        if (!isIronError(error, 'E_NOT_FOUND')) throw error;
        this.#context.ui.note(`the ${what} ${uri} is not here`);
      }
    }
    return signers;
  }

  #open(uri: string): Promise<Signer> {
    return openSigner(resolveKey(this.#dir, uri), passphraseSource(this.#context));
  }
}
