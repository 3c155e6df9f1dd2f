/** `key make`, `key name` and `key show`: keys in files, and files that stand for keys elsewhere. */

import { toHex } from '../../shared/bytes.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import { keyToSpki, type PublicKey, type SigningScheme } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { SCHEMES } from '../../shared/node/signers/key-file.ts';
import { nameKey } from '../../shared/node/signers/name-key.ts';
import { newPassphrase } from '../../shared/node/signers/passphrase.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { keyId, keyObject } from '../../shared/tuf/key.ts';
import { PASSPHRASE_OPTION, publicKeyOf } from '../ceremony/signers.ts';

/** What is said of a key: never anything of its private half. */
interface KeyData {
  readonly keyid: string;
  readonly scheme: SigningScheme;
  /** As metadata carries it: hexadecimal, or PEM. */
  readonly public: string;
  /** SHA-256 of the DER SubjectPublicKeyInfo, which other tools compute as well. */
  readonly fingerprint: string;
}

function keyData(key: PublicKey<SigningScheme>): KeyData {
  const { keyval } = keyObject(key) as unknown as { keyval: { public: string } };
  return {
    keyid: keyId(crypto, key),
    scheme: key.scheme,
    public: keyval.public,
    fingerprint: toHex(crypto.sha256(keyToSpki(key))),
  };
}

function keyText(data: KeyData): string {
  return [
    `key id       ${data.keyid}`,
    `scheme       ${data.scheme}`,
    `fingerprint  ${data.fingerprint}`,
    `public       ${data.public.trimEnd().replaceAll('\n', '\n             ')}`,
  ].join('\n');
}

function schemeOf(text: string): SigningScheme {
  const scheme = SCHEMES.find((known) => known === text);
  if (scheme !== undefined) return scheme;
  throw new IronError('E_USAGE', `no scheme is called ${text}`, {
    hint: `there are ${SCHEMES.join(', ')}`,
  });
}

export const keyMake: CommandSpec = {
  name: 'key make',
  summary: 'make a key in a file, and its public half beside it',
  description:
    'Writes FILE with mode 0600, and FILE with .pub.json for the public half. With a passphrase the private half is encrypted (scrypt, AES-256-GCM). Nothing is ever overwritten.',
  options: [
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    { flags: '--scheme <scheme>', description: SCHEMES.join(', '), default: 'ed25519' },
    { flags: '--encrypt', description: 'encrypt it under a passphrase; you are asked for one' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo key make --out root-1.json',
    'ironport-repo key make --out root-1.json --passphrase-file /run/secrets/root-1',
  ],
  schema: 'ironport-repo/key-make/v1',
  async run(context) {
    const out = context.need('out');
    const scheme = schemeOf(context.need('scheme'));
    const source = passphraseSource(context);
    const passphrase = await newPassphrase(out, source, context.flag('encrypt'));
    const isEncrypted = passphrase !== undefined;
    const made = await writeNewKey(out, scheme, {
      created: systemClock(),
      ...(passphrase === undefined ? {} : { passphrase }),
    });
    if (!isEncrypted) context.ui.note(`${out} is not encrypted: who can read it can sign with it`);
    const data = keyData(made.key);
    return {
      data: { ...data, file: made.path, public_file: made.publicPath, encrypted: isEncrypted },
      text: `${keyText(data)}\nwritten to ${made.path}, its public half to ${made.publicPath}`,
    };
  },
};

export const keyName: CommandSpec = {
  name: 'key name',
  summary: 'write a file that stands for a key in a token, an agent or a plugin',
  description:
    'FILE is taken wherever a key file is, also by the service; beside it lies its public half, for the ceremony. With --make the key is made first, in the PKCS#11 token that the URI names; it cannot leave it. How URIs are written stands in docs/reference/signers.md.',
  arguments: [{ name: 'uri', description: 'pkcs11:…, ssh-agent:… or plugin:…' }],
  options: [
    { flags: '-o, --out <file>', description: 'file to write', required: true },
    { flags: '--make', description: 'make the key in the PKCS#11 token first' },
    { flags: '--scheme <scheme>', description: SCHEMES.join(', '), default: 'ed25519' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    "ironport-repo key name 'pkcs11:token=ops;object=root-1?module-path=/usr/lib/softhsm/libsofthsm2.so' --make --out root-1.json",
    'ironport-repo key name ssh-agent:SHA256:3bGq… --out root-2.json',
  ],
  schema: 'ironport-repo/key-name/v1',
  async run(context) {
    const { key, path, publicPath, uri } = await nameKey(
      context.args[0] as string,
      context.need('out'),
      passphraseSource(context),
      context.flag('make') ? schemeOf(context.need('scheme')) : undefined,
    );
    const data = keyData(key);
    return {
      data: { ...data, uri, file: path, public_file: publicPath, made: context.flag('make') },
      text: `${keyText(data)}\n${path} stands for it, its public half is in ${publicPath}`,
    };
  },
};

export const keyShow: CommandSpec = {
  name: 'key show',
  summary: 'show the public half of a key, its id and its fingerprint',
  arguments: [{ name: 'key', description: 'a key file, a .pub.json or a signer URI' }],
  options: [PASSPHRASE_OPTION],
  examples: ['ironport-repo key show root-1.pub.json', 'ironport-repo key show ssh-agent:'],
  schema: 'ironport-repo/key-show/v1',
  async run(context) {
    const data = keyData(await publicKeyOf(context, context.args[0] as string));
    return { data, text: keyText(data) };
  },
};
