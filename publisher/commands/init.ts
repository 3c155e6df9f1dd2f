/** `init`: a vendor's folder, with keys that never leave it. */

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { KEY_LISTS, type KeyList, readContact } from '../../shared/api/admission.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { ADMISSION_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { newPassphrase } from '../../shared/node/signers/passphrase.ts';
import { openPublicKey } from '../../shared/node/signers/uri.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { readHardwareId } from '../../shared/tuf/hardware-id.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';
import { fromAnywhere, type VendorConfig, writeConfig } from '../config.ts';
import { TrustStore } from '../rebase/trust-store.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

export const init: CommandSpec = {
  name: 'init',
  summary: "make a vendor's folder: its name, its hardware, its three lists of keys",
  description:
    'Makes keys, or takes those that you name (`pkcs11:`, `ssh-agent:`, `plugin:`), that sign metadata (TUF), keys that sign evidence and keys that sign requests, each in a file of its own, and vendor.json. The folder has mode 0700. No key ever leaves its place: the repository gets public halves.',
  options: [
    { flags: '--vendor <name>', description: 'short name: a-z, 0-9 and -', required: true },
    DIR_OPTION,
    { flags: '--contact <text>', description: 'where to report a vulnerability', required: true },
    {
      flags: '--hardware-id <id>',
      description:
        'hardware that you make drivers for: PCI:0x1234, PCI:0x1234:0x11e8; with ,subsystem=0x1af4:0x1100 or ,class=0x0200 less of it',
      repeatable: true,
    },
    { flags: '--tuf-keys <n>', description: 'how many keys may sign your role', default: '1' },
    {
      flags: '--tuf-key <uri>',
      description: 'a key that is there already: a signer URI, or a file; none is made then',
      repeatable: true,
    },
    { flags: '--evidence-key <uri>', description: 'likewise, for evidence', repeatable: true },
    { flags: '--api-key <uri>', description: 'likewise, for requests', repeatable: true },
    { flags: '--threshold <n>', description: 'how many of them must', default: '1' },
    {
      flags: '--encrypt',
      description: 'encrypt the keys under a passphrase; you are asked for one',
    },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport init --vendor acme --dir acme --contact security@acme.example --hardware-id PCI:0x1234:0x11e8',
  ],
  schema: 'ironport/init/v1',
  async run(context) {
    const dir = context.need('dir');
    const named = {
      tuf: context.list('tuf-key').map(fromAnywhere),
      evidence: context.list('evidence-key').map(fromAnywhere),
      api: context.list('api-key').map(fromAnywhere),
    };
    const count = named.tuf.length || (context.number('tuf-keys', 1) ?? 1);
    const threshold = context.number('threshold', 1) ?? 1;
    if (threshold > count || count > ADMISSION_LIMITS.keys)
      throw new IronError('E_USAGE', `${threshold} of ${count} keys can never sign`);
    const listOf = (list: KeyList, made: number): string[] =>
      named[list].length > 0 ? named[list] : paths(list, made);
    const config: VendorConfig = {
      vendor: parseVendorName(context.need('vendor')),
      contact: readContact(context.need('contact')),
      hardwareIds: context.list('hardware-id').map(readHardwareId),
      threshold,
      keys: { tuf: listOf('tuf', count), evidence: listOf('evidence', 1), api: listOf('api', 1) },
    };
    await refuseTaken(dir);
    const source = passphraseSource(context);
    // Opened before anything is made: a name that leads nowhere is no key.
    const opened = new Map<string, PublicKey>();
    for (const uri of Object.values(named).flat())
      opened.set(uri, await openPublicKey(uri, source));
    const makesSome = KEY_LISTS.some((list) => named[list].length === 0);
    const passphrase = makesSome
      ? await newPassphrase('the new keys', source, context.flag('encrypt'))
      : undefined;
    await new TrustStore(dir).prepare();
    const keys = [];
    for (const list of KEY_LISTS) {
      for (const path of config.keys[list]) {
        const there = opened.get(path);
        if (there !== undefined) {
          keys.push({ list, file: path, keyid: keyId(crypto, there) });
          continue;
        }
        const created = systemClock();
        const made = await writeNewKey(join(dir, path), 'ed25519', {
          created,
          ...(passphrase === undefined ? {} : { passphrase }),
        });
        keys.push({ list, file: made.path, keyid: keyId(crypto, made.key) });
      }
    }
    // Last: a folder that has it is complete.
    await writeConfig(dir, config);
    if (makesSome && passphrase === undefined)
      context.ui.note(`the keys in ${dir} are not encrypted: who can read them can sign with them`);
    return {
      data: { vendor: config.vendor, dir, threshold, keys },
      text: [
        ...keys.map(({ list, file, keyid }) => `${list} key ${keyid.slice(0, 12)} in ${file}`),
        `next: \`ironport request --dir ${dir} --out ${config.vendor}.admission.json\``,
      ].join('\n'),
    };
  },
};

function paths(list: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => vendorFolder.key(list, i + 1));
}

async function refuseTaken(dir: string): Promise<void> {
  const isThere = await stat(join(dir, vendorFolder.config)).then(
    () => true,
    () => false,
  );
  if (isThere) {
    throw new IronError('E_EXISTS', `${dir} is a vendor's folder already`, {
      hint: 'nothing was changed; choose another folder',
    });
  }
}
