/**
 * The keys that the service signs with: every key file in `private/keys`, and every file there
 * that names a key in a PKCS#11 token. Which of them sign a role is for the root to say, so that
 * the next key can lie there before the root that names it.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keyIdentity } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { isErrno } from '../../shared/node/errno.ts';
import type { Passphrase } from '../../shared/node/signers/file.ts';
import { openSigner } from '../../shared/node/signers/uri.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Root } from '../../shared/tuf/root.ts';

export type OnlineRole = 'snapshot' | 'timestamp';

export class OnlineKeys {
  readonly #folder: string;
  readonly #passphrase: Passphrase | undefined;
  /** By file name, loaded once: opening an encrypted one takes a while. */
  readonly #signers = new Map<string, Signer>();

  constructor(folder: string, passphrase?: Passphrase) {
    this.#folder = folder;
    this.#passphrase = passphrase;
  }

  /** Loads the key files that came since. `E_KEY` on one that others can read or that is damaged. */
  async load(): Promise<void> {
    for (const name of await this.#names()) {
      if (this.#signers.has(name)) continue;
      const passphrase = this.#passphrase;
      const ask = typeof passphrase === 'string' ? async () => passphrase : passphrase;
      this.#signers.set(name, await openSigner(join(this.#folder, name), { env: {}, ask }));
    }
  }

  async #names(): Promise<string[]> {
    try {
      const names = await readdir(this.#folder);
      return names.filter((name) => name.endsWith('.json') && !name.endsWith('.pub.json')).sort();
    } catch (error) {
      if (isErrno(error) && error.code === 'ENOENT') return [];
      throw error;
    }
  }

  /** The signers here that `root` lets sign the role; perhaps none. */
  those(root: Root, role: OnlineRole): Signer[] {
    const wanted = keyIdentities(root.keys, root.roles[role]);
    const found = new Map<string, Signer>();
    for (const signer of this.#signers.values()) {
      const identity = keyIdentity(signer.key);
      if (wanted.has(identity)) found.set(identity, signer);
    }
    return [...found.values()];
  }

  /** As many of them as the role needs. `E_KEY` when there are fewer. */
  need(root: Root, role: OnlineRole): Signer[] {
    const found = this.those(root, role);
    const { threshold } = root.roles[role];
    if (found.length >= threshold) return found;
    throw new IronError('E_KEY', `no key here may sign ${role} under root ${root.version}`, {
      why: `${found.length} of the ${threshold} keys that it needs lie in ${this.#folder}`,
      hint: `nothing was changed; put the private half there as ${role}.next.json, mode 0600, and hand the root in again`,
      context: { role, root: root.version },
    });
  }
}
