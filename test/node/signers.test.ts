import { spawn } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadFileSigner, loadPublicKey, makeKeyFile } from '../../shared/node/signers/file.ts';
import { parseKeyFile, SCHEMES } from '../../shared/node/signers/key-file.ts';
import { openSigner } from '../../shared/node/signers/uri.ts';

const MESSAGE = utf8('a message');

/** Writes a key file and answers with its path. */
function put(folder: string, bytes: Uint8Array | string, name = 'key.json', mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  chmodSync(path, mode);
  return path;
}

for (const scheme of SCHEMES) {
  t.test(`${scheme}: made, loaded, signed with, verified in both ways`, async (t) => {
    const folder = t.testdir({});
    const made = await makeKeyFile(scheme, { created: 0 });
    const path = put(folder, made.file);
    const signer = await loadFileSigner(path);
    t.equal(keyIdentity(signer.key), keyIdentity(made.key));
    const signature = await signer.sign(MESSAGE);
    t.ok(platformCrypto.verify(made.key, MESSAGE, signature));
    t.ok(nobleCrypto.verify(made.key, MESSAGE, signature));
    t.notOk(platformCrypto.verify(made.key, utf8('another message'), signature));
    const publicPath = put(folder, made.publicFile, 'key.pub.json', 0o644);
    t.equal(keyIdentity(await loadPublicKey(publicPath)), keyIdentity(made.key));
    t.equal(keyIdentity(await loadPublicKey(path)), keyIdentity(made.key), 'from the key file too');
    t.notMatch(readFileSync(publicPath, 'utf8'), /private/);
    await t.rejects(loadFileSigner(put(folder, made.publicFile, 'wrong.json')), {
      code: 'E_SCHEMA',
    });
  });
}

t.test('a passphrase', async (t) => {
  const folder = t.testdir({});
  const made = await makeKeyFile('ed25519', { passphrase: 'pass\u00e9' });
  const path = put(folder, made.file);
  t.notMatch(readFileSync(path, 'utf8'), /pkcs8/);
  const signer = await loadFileSigner(path, { passphrase: 'passe\u0301' });
  t.ok(
    platformCrypto.verify(made.key, MESSAGE, await signer.sign(MESSAGE)),
    'in either spelling of Unicode',
  );
  await t.rejects(loadFileSigner(path, { passphrase: 'other' }), {
    code: 'E_KEY',
    message: /does not open/,
  });
  await t.rejects(loadFileSigner(path), { code: 'E_KEY', message: /no passphrase/ });
  const plain = put(folder, (await makeKeyFile('ed25519')).file, 'plain.json');
  const asked = async (): Promise<string> => t.fail('a plain key needs no passphrase') as never;
  await loadFileSigner(plain, { passphrase: asked });
});

t.test('what was changed in an encrypted file is noticed', async (t) => {
  const folder = t.testdir({});
  const made = await makeKeyFile('ed25519', { passphrase: 'x' });
  const other = await makeKeyFile('ed25519');
  const changed = JSON.parse(Buffer.from(made.file).toString());
  changed.public = JSON.parse(Buffer.from(other.file).toString()).public;
  await t.rejects(loadFileSigner(put(folder, JSON.stringify(changed)), { passphrase: 'x' }), {
    code: 'E_KEY',
  });
});

t.test('halves that do not belong together', async (t) => {
  const [a, b] = await Promise.all([makeKeyFile('ed25519'), makeKeyFile('ed25519')]);
  const [left, right] = [a, b].map(({ file }) => JSON.parse(Buffer.from(file).toString()));
  const path = put(t.testdir({}), JSON.stringify({ ...left, private: right.private }));
  await t.rejects(loadFileSigner(path), { code: 'E_KEY', message: /not that of the public one/ });
});

t.test('a private key that others can read', async (t) => {
  const folder = t.testdir({});
  const { file } = await makeKeyFile('ed25519');
  for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644, 0o602]) {
    const path = put(folder, file, `${mode.toString(8)}.json`, mode);
    await t.rejects(loadFileSigner(path), { code: 'E_KEY', hint: /chmod 600/ }, mode.toString(8));
  }
  t.ok(await loadFileSigner(put(folder, file, 'strict.json', 0o400)));
});

t.test('hostile key files', async (t) => {
  const good = JSON.parse(
    Buffer.from((await makeKeyFile('ed25519', { passphrase: 'x' })).file).toString(),
  );
  const half = good.private;
  const p256 = JSON.parse(Buffer.from((await makeKeyFile('ecdsa-sha2-nistp256')).file).toString());
  const cases: Record<string, [string, unknown]> = {
    empty: ['E_JSON', ''],
    truncated: ['E_JSON', JSON.stringify(good).slice(0, -20)],
    'a key twice': ['E_JSON', JSON.stringify(good).replace('{', '{"schema":"ironport.key/v1",')],
    'an array': ['E_SCHEMA', []],
    'too large': ['E_TOO_LARGE', ' '.repeat(70_000)],
    'nested deeply': ['E_JSON', '['.repeat(10_000)],
    'another schema': ['E_SCHEMA', { ...good, schema: 'ironport.key/v2' }],
    'a field more': ['E_SCHEMA', { ...good, comment: '' }],
    'a key type of another scheme': ['E_SCHEMA', { ...good, keytype: 'ecdsa' }],
    'an unknown scheme': ['E_SCHEMA', { ...good, scheme: 'rsa' }],
    'a public half of another scheme': ['E_KEY', { ...good, public: p256.public }],
    'no PEM': ['E_KEY', { ...good, public: 'AAAA' }],
    'an unknown form': ['E_SCHEMA', { ...good, private: { form: 'rot13' } }],
    'N no power of 2': ['E_SCHEMA', { ...good, private: { ...half, N: 32_767 } }],
    'N that takes all memory': ['E_TOO_LARGE', { ...good, private: { ...half, N: 2 ** 24 } }],
    'p that takes all time': ['E_SCHEMA', { ...good, private: { ...half, p: 1_000_000 } }],
    'a short salt': ['E_SCHEMA', { ...good, private: { ...half, salt: 'AAAA' } }],
    'a short nonce': ['E_SCHEMA', { ...good, private: { ...half, nonce: 'AAAA' } }],
    'no ciphertext': ['E_SCHEMA', { ...good, private: { ...half, ciphertext: '' } }],
    'base64 with spaces': ['E_SCHEMA', { ...good, private: { ...half, salt: `${half.salt} ` } }],
    'a time that is none': ['E_SCHEMA', { ...good, created: '2030-02-30T00:00:00Z' }],
    'both forms at once': ['E_SCHEMA', { ...good, private: { ...half, pkcs8: 'AAAA' } }],
  };
  for (const [name, [code, content]] of Object.entries(cases)) {
    const text = typeof content === 'string' ? content : JSON.stringify(content);
    t.throws(() => parseKeyFile(utf8(text)), { code }, name);
  }
  const path = put(
    t.testdir({}),
    JSON.stringify({ ...good, private: { form: 'plain', pkcs8: 'AAAA' } }),
  );
  await t.rejects(loadFileSigner(path), { code: 'E_KEY', message: /not PKCS #8/ });
});

t.test('openSigner', async (t) => {
  const folder = t.testdir({ passphrase: 'x\n', empty: '\n', long: 'x'.repeat(5000) });
  const plain = put(folder, (await makeKeyFile('ed25519')).file, 'plain.json');
  const locked = put(
    folder,
    (await makeKeyFile('ed25519', { passphrase: 'x' })).file,
    'locked.json',
  );
  const at = (name: string): string => join(folder, name);
  const { key } = await openSigner(plain, { env: {} });
  for (const uri of [`file:${plain}`, `file://${plain}`]) {
    t.equal(keyIdentity((await openSigner(uri, { env: {} })).key), keyIdentity(key), uri);
  }
  await t.rejects(openSigner('gpg:x', { env: {} }), {
    code: 'E_USAGE',
    hint: 'there are file:, pkcs11:, ssh-agent:, plugin: and plain paths',
  });
  await t.rejects(openSigner(at('none'), { env: {} }), { code: 'E_NOT_FOUND' });
  t.ok(await openSigner(locked, { env: {}, passphraseFile: at('passphrase') }));
  t.ok(await openSigner(locked, { env: { IRONPORT_PASSPHRASE_FILE: at('passphrase') } }));
  t.ok(await openSigner(locked, { env: {}, ask: async () => 'x' }));
  await t.rejects(openSigner(locked, { env: {} }), {
    code: 'E_KEY',
    message: /nobody to ask/,
    hint: /passphrase-file/,
  });
  await t.rejects(openSigner(locked, { env: {}, passphraseFile: at('empty') }), {
    code: 'E_KEY',
    message: /empty/,
  });
  await t.rejects(openSigner(locked, { env: {}, passphraseFile: at('long') }), {
    code: 'E_TOO_LARGE',
  });
  await t.rejects(openSigner(locked, { env: {}, passphraseFile: at('none') }), { code: 'E_IO' });
});

t.test('a passphrase through a descriptor', async (t) => {
  const locked = put(t.testdir({}), (await makeKeyFile('ed25519', { passphrase: 'x' })).file);
  const script = `
    import { openSigner } from ${JSON.stringify(new URL('../../shared/node/signers/uri.ts', import.meta.url).href)};
    const signer = await openSigner(${JSON.stringify(locked)}, { env: {}, passphraseFile: 'fd:3' });
    console.log(signer.key.scheme);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe'],
  });
  (child.stdio[3] as NodeJS.WritableStream).end('x\n');
  let output = '';
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  const exit = await new Promise((resolve) => child.on('close', resolve));
  t.equal(exit, 0);
  t.equal(output, 'ed25519\n');
});
