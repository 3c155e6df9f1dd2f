/** `rotate-keys`: new keys in the vendor's folder, in place of those that are to go. */

import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { vendorFolder } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { withLock } from '../../shared/node/lock.ts';
import { newPassphrase, type PassphraseSource } from '../../shared/node/signers/passphrase.ts';
import { openPublicKey } from '../../shared/node/signers/uri.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { fromAnywhere, loadConfig, replaceConfig, resolveKey } from '../config.ts';
import { makeKeys } from '../new-keys.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';

const LISTS = ['tuf', 'api', 'evidence'] as const;
type List = (typeof LISTS)[number];

export const rotateKeys: CommandSpec = {
  name: 'rotate-keys',
  summary: 'put new keys in the place of those that sign metadata, requests, or evidence',
  description:
    'Makes as many new keys of a list as it has, or takes those that you name, and writes them into vendor.json; the old files stay. Nothing of it counts before the operators sign it: make a new request, have them exchange the keys, and give them your role signed with the new keys (`ironport renew --out`). Do not publish in between. A new evidence key is yours alone: it counts with the next role that you publish, and `ironport retire-key` retires the old one.',
  options: [
    DIR_OPTION,
    {
      flags: '--list <list>',
      description: 'tuf, api or evidence; may be given more than once',
      repeatable: true,
    },
    {
      flags: '--tuf-key <uri>',
      description: 'a key that is there already: a signer URI, or a file',
      repeatable: true,
    },
    { flags: '--api-key <uri>', description: 'likewise, for requests', repeatable: true },
    { flags: '--evidence-key <uri>', description: 'likewise, for evidence', repeatable: true },
    { flags: '--threshold <n>', description: 'how many TUF keys must sign from now on' },
    { flags: '--encrypt', description: 'encrypt new keys under a passphrase' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport rotate-keys --dir acme --list tuf',
    'ironport rotate-keys --dir acme --tuf-key ssh-agent: --tuf-key pkcs11:object=acme-2 --threshold 1',
  ],
  schema: 'ironport/rotate-keys/v1',
  async run(context) {
    const dir = context.need('dir');
    const named: Record<List, readonly string[]> = {
      tuf: context.list('tuf-key'),
      api: context.list('api-key'),
      evidence: context.list('evidence-key'),
    };
    const wanted = new Set<string>(context.list('list'));
    for (const list of LISTS) if (named[list].length > 0) wanted.add(list);
    const [unknown] = [...wanted].filter((list) => !LISTS.some((known) => known === list));
    if (unknown !== undefined || wanted.size === 0)
      throw new IronError('E_USAGE', `${unknown ?? 'nothing'} cannot be exchanged`, {
        hint: 'nothing was changed; say --list tuf, --list api or --list evidence',
      });
    const act = async () => {
      const config = await loadConfig(dir);
      const source = passphraseSource(context);
      const passphrase = await newPassphrase('the new keys', source, context.flag('encrypt'));
      const keys = { ...config.keys };
      const made: { list: string; file: string; keyid: string }[] = [];
      for (const list of LISTS.filter((it) => wanted.has(it))) {
        const fresh =
          named[list].length > 0
            ? await given(list, named[list], source)
            : await makeKeys(dir, list, config.keys[list].length, passphrase);
        made.push(...fresh.map(({ file, keyid }) => ({ list, file, keyid })));
        keys[list] = fresh.map(({ file }) => file);
      }
      const threshold = context.number('threshold', 1) ?? config.threshold;
      if (threshold > keys.tuf.length)
        throw new IronError('E_USAGE', `${threshold} of ${keys.tuf.length} keys can never sign`);
      await replaceConfig(dir, { ...config, keys, threshold });
      const before = wanted.has('evidence') ? await idsOf(dir, config.keys.evidence, source) : [];
      return { vendor: config.vendor, threshold, keys: made, before };
    };
    const result = await withLock(join(dir, vendorFolder.lock), act, { purpose: 'ironport' });
    return {
      data: { dir, vendor: result.vendor, threshold: result.threshold, keys: result.keys },
      text: [
        ...result.keys.map(
          ({ list, file, keyid }) => `${list} key ${keyid.slice(0, 12)} in ${file}`,
        ),
        ...(wanted.has('tuf') || wanted.has('api')
          ? [
              `next: \`ironport request --dir ${dir} --out ${result.vendor}.admission.json\`, for the operators`,
            ]
          : []),
        ...result.before.map((keyid) => `next: \`ironport retire-key ${keyid} --dir ${dir}\``),
      ].join('\n'),
    };
  },
};

async function given(list: List, uris: readonly string[], source: PassphraseSource) {
  const keys = [];
  for (const uri of uris) {
    const file = fromAnywhere(uri);
    keys.push({ list, file, keyid: keyId(crypto, await openPublicKey(file, source)) });
  }
  return keys;
}

/** Ids of those keys that are on this machine. */
async function idsOf(
  dir: string,
  uris: readonly string[],
  source: PassphraseSource,
): Promise<string[]> {
  const ids: string[] = [];
  for (const uri of uris) {
    const key = await openPublicKey(resolveKey(dir, uri), source).catch((error) => {
      if (isIronError(error, 'E_NOT_FOUND')) return undefined;
      throw error;
    });
    if (key !== undefined) ids.push(keyId(crypto, key));
  }
  return ids;
}
