/** Signers that are not files, as far as they need nothing installed: URIs, wires, programs. */

import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { concatBytes, toBase64, utf8 } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { formatKeyReference } from '../../shared/node/signers/key-reference.ts';
import { parsePkcs11Uri, withModulePath } from '../../shared/node/signers/pkcs11-uri.ts';
import { sshString, uint32 } from '../../shared/node/signers/ssh-wire.ts';
import { isSignerUri, openPublicKey, openSigner } from '../../shared/node/signers/uri.ts';
import { testKey } from '../support/keys.ts';

const MESSAGE = utf8('a message');

t.test('PKCS#11 URIs', (t) => {
  t.match(
    parsePkcs11Uri(
      'token=My%20token;serial=1;slot-id=7;object=%c3%a9;id=%00%ff;type=private?module-path=/m.so&pin-source=file:///p',
    ),
    {
      token: { token: 'My token', serial: '1' },
      slotId: 7,
      object: 'é',
      id: Uint8Array.of(0, 255),
      modulePath: '/m.so',
      pinSource: '/p',
    },
  );
  t.equal(parsePkcs11Uri('object=a?pin-source=file:/p').pinSource, '/p');
  t.equal(parsePkcs11Uri('object=a?pin-source=/p').pinSource, '/p');
  t.equal(withModulePath('object=a', '/m n.so'), 'object=a?module-path=/m%20n.so');
  t.equal(withModulePath('object=a?module-path=/x', '/m'), 'object=a?module-path=/x');
  const refused: Record<string, string> = {
    'nothing at all': '',
    'no key': 'token=a',
    'an attribute twice': 'object=a;object=b',
    'an attribute of the query twice': 'object=a?module-path=/a&module-path=/b',
    'an attribute that nobody knows': 'object=a;color=red',
    'one of the query in the path': 'object=a;module-path=/a',
    'a certificate': 'object=a;type=cert',
    'a PIN for all to see': 'object=a?pin-value=1234',
    'a PIN from a program': 'object=a?pin-source=|/bin/sh',
    'a relative module': 'object=a?module-path=evil.so',
    'half an escape': 'object=a%4',
    'no UTF-8': 'object=%ff',
    'a character that stands for something': 'object=a b',
    'a slot that is no number': 'object=a;slot-id=x',
    'no value': 'object',
    'without an end': `object=${'a'.repeat(5000)}`,
  };
  for (const [name, uri] of Object.entries(refused))
    t.throws(() => parsePkcs11Uri(uri), { code: 'E_USAGE' }, name);
  t.end();
});

t.test('a module that is not there', async (t) => {
  const source = { env: {} };
  await t.rejects(openSigner('pkcs11:object=a', source), { code: 'E_CONFIG', hint: /MODULE/ });
  await t.rejects(openSigner('pkcs11:object=a?module-path=/none.so', source), {
    code: 'E_CONFIG',
    message: /does not load/,
  });
});

/** A socket's path has room for a hundred bytes. */
function shortFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-agent-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Something that answers at a socket as an agent would, or as none would. */
async function fakeAgent(t: Test, answer: (request: Uint8Array) => Uint8Array | undefined) {
  const path = join(shortFolder(t), 'agent');
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (request) => {
      const bytes = answer(request);
      if (bytes === undefined) socket.end();
      else socket.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  t.teardown(() => server.close());
  return { env: { SSH_AUTH_SOCK: path } };
}

const framed = (bytes: Uint8Array): Uint8Array => concatBytes(uint32(bytes.length), bytes);
const signer = testKey('agent');
const blobOf = (type: string, key: Uint8Array): Uint8Array =>
  concatBytes(sshString(utf8(type)), sshString(key));
const BLOB = blobOf('ssh-ed25519', signer.key.bytes);
const holding = (...blobs: Uint8Array[]): Uint8Array =>
  framed(
    concatBytes(
      Uint8Array.of(12),
      uint32(blobs.length),
      ...blobs.flatMap((blob) => [sshString(blob), sshString(utf8('a key'))]),
    ),
  );

t.test('what an ssh-agent may answer, and what not', async (t) => {
  const list = holding(BLOB);
  const small = blobOf('ssh-ed25519', new Uint8Array(32));
  const cases: [string, string, Uint8Array | undefined][] = [
    ['nothing', 'E_KEY', undefined],
    ['a refusal', 'E_KEY', framed(Uint8Array.of(5))],
    ['no keys', 'E_NOT_FOUND', holding()],
    ['keys of other kinds', 'E_NOT_FOUND', holding(blobOf('ssh-rsa', utf8('n')))],
    ['a key of small order', 'E_NOT_FOUND', holding(small)],
    ['a key of 31 bytes', 'E_NOT_FOUND', holding(blobOf('ssh-ed25519', new Uint8Array(31)))],
    ['two keys that fit', 'E_USAGE', holding(BLOB, BLOB)],
    ['an answer without an end', 'E_TOO_LARGE', uint32(2 ** 31)],
    ['an empty answer', 'E_TOO_LARGE', uint32(0)],
    ['a list that ends too early', 'E_KEY', framed(list.subarray(4, -1))],
    ['bytes after the list', 'E_KEY', framed(concatBytes(list.subarray(4), utf8('x')))],
    [
      'more keys than there are',
      'E_KEY',
      framed(concatBytes(Uint8Array.of(12), uint32(2 ** 32 - 1))),
    ],
    [
      'a length past the end',
      'E_KEY',
      framed(concatBytes(Uint8Array.of(12), uint32(1), uint32(2 ** 32 - 1))),
    ],
  ];
  for (const [name, code, bytes] of cases) {
    await t.test(name, async (t) => {
      await t.rejects(openSigner('ssh-agent:', await fakeAgent(t, () => bytes)), { code });
    });
  }
  await t.rejects(openSigner('ssh-agent:', { env: {} }), { code: 'E_CONFIG' });
  const gone = { env: { SSH_AUTH_SOCK: join(t.testdir({}), 'none') } };
  await t.rejects(openSigner('ssh-agent:', gone), { code: 'E_CONFIG' });
});

t.test('what an ssh-agent makes is verified', async (t) => {
  const signature = (type: string, bytes: Uint8Array): Uint8Array =>
    framed(concatBytes(Uint8Array.of(14), sshString(blobOf(type, bytes))));
  const good = await signer.sign(MESSAGE);
  const cases: [string, string, Uint8Array][] = [
    [
      'a signature of something else',
      'E_SIGNATURE',
      signature('ssh-ed25519', await signer.sign(utf8('x'))),
    ],
    ['another kind', 'E_SIGNATURE', signature('rsa-sha2-256', good)],
    ['a short one', 'E_SIGNATURE', signature('ssh-ed25519', good.subarray(1))],
    ['a refusal', 'E_KEY', framed(Uint8Array.of(5))],
  ];
  for (const [name, code, bytes] of cases) {
    await t.test(name, async (t) => {
      const source = await fakeAgent(t, ([, , , , type]) => (type === 11 ? holding(BLOB) : bytes));
      const opened = await openSigner('ssh-agent:a key', source);
      await t.rejects(opened.sign(MESSAGE), { code });
    });
  }
  const source = await fakeAgent(t, ([, , , , type]) =>
    type === 11 ? holding(BLOB) : signature('ssh-ed25519', good),
  );
  const opened = await openSigner('ssh-agent:', source);
  t.same(await opened.sign(MESSAGE), good);
  await t.rejects(opened.sign(new Uint8Array(300_000)), { code: 'E_TOO_LARGE' });
});

const hasAgent = spawnSync('ssh-agent', ['-h']).error === undefined;

t.test('a real ssh-agent', { skip: !hasAgent && 'needs ssh-agent(1)' }, async (t) => {
  const folder = shortFolder(t);
  const socket = join(folder, 'agent.sock');
  const agent = spawn('ssh-agent', ['-D', '-a', socket], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => agent.kill());
  await new Promise((resolve) => agent.stdout.once('data', resolve));
  const env = { SSH_AUTH_SOCK: socket, PATH: process.env.PATH };
  const add = (name: string, type: string): string => {
    const file = join(folder, name);
    spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', name, '-f', file]);
    spawnSync('ssh-add', ['-q', file], { env });
    return spawnSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).stdout.split(' ')[1] ?? '';
  };
  await t.rejects(openSigner('ssh-agent:', { env }), { code: 'E_NOT_FOUND' });
  const print = add('one', 'ed25519');
  add('curve', 'ecdsa');
  const alone = await openSigner('ssh-agent:', { env });
  const signature = await alone.sign(MESSAGE);
  t.ok(platformCrypto.verify(alone.key, MESSAGE, signature));
  t.ok(await alone.sign(new Uint8Array(200_000)), 'metadata of some size');

  const other = add('two', 'ed25519');
  await t.rejects(openSigner('ssh-agent:', { env }), { code: 'E_USAGE', hint: /fingerprint/ });
  for (const name of [print, 'one'])
    t.equal(keyIdentity(await openPublicKey(`ssh-agent:${name}`, { env })), keyIdentity(alone.key));
  t.not(keyIdentity(await openPublicKey(`ssh-agent:${other}`, { env })), keyIdentity(alone.key));
  spawnSync('ssh-add', ['-qD'], { env });
  await t.rejects(alone.sign(MESSAGE), { code: 'E_KEY', message: /refused/ }, 'it was taken away');
});

/** A program on a PATH of its own that answers each line as the script says. */
function plugin(t: Test, script: string, mode = 0o755): { env: { PATH: string } } {
  const folder = t.testdir({});
  const file = join(folder, 'ironport-signer-test');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, mode);
  return { env: { PATH: `${folder}${delimiter}${process.env.PATH}` } };
}

const KNOWN = `public) echo "public ed25519 ${toBase64(concatBytes(Buffer.from('302a300506032b6570032100', 'hex'), signer.key.bytes))}";;`;

t.test('plugins that misbehave', async (t) => {
  const cases: [string, string, string][] = [
    ['one that ends at once', 'E_KEY', 'exit 0'],
    ['one that fails', 'E_KEY', 'echo "error no token\u001b[2J"; exit 1'],
    ['one that talks without an end', 'E_KEY', 'yes x | tr -d "\\n" | head -c 200000; sleep 1'],
    ['one that is of another mind', 'E_KEY', 'echo hello'],
    ['an unknown scheme', 'E_KEY', 'echo "public rsa AAAA"'],
    ['no base64', 'E_KEY', 'echo "public ed25519 ????"'],
    ['no key', 'E_KEY', 'echo "public ed25519 AAAA"'],
    [
      'words too many',
      'E_KEY',
      `read k; read p; case $p in ${KNOWN.replace('";;', ' more";;')} esac`,
    ],
    ['no UTF-8', 'E_KEY', 'printf "\\377\\n"'],
    ['one that asks where nobody answers', 'E_KEY', 'echo "ask the PIN"; read answer'],
  ];
  for (const [name, code, script] of cases) {
    await t.test(name, async (t) => {
      const error = await openSigner('plugin:test', plugin(t, script)).then(
        () => t.fail('it was opened'),
        (error) => error,
      );
      t.match(error, { code });
      t.notMatch(`${error.message}${error.why}`, '\u001b', 'nothing that moves a cursor');
    });
  }
  const wrong = plugin(
    t,
    `read k; read p; case $p in ${KNOWN} sign*) echo "signature $(printf %064d 0 | base64 -w0)";; esac`,
  );
  const opened = await openSigner('plugin:test', wrong);
  await t.rejects(opened.sign(MESSAGE), { code: 'E_SIGNATURE' }, 'what it makes is verified');
});

t.test('where plugins are looked for', async (t) => {
  for (const name of ['plugin:', 'plugin:../test', 'plugin:Test', 'plugin:-x', 'plugin:a/b'])
    await t.rejects(openSigner(name, { env: {} }), { code: 'E_USAGE' }, name);
  const { env } = plugin(t, 'echo "error found"', 0o644);
  await t.rejects(openSigner('plugin:test', { env }), { code: 'E_CONFIG' }, 'no program');
  const folder = t.testdir({});
  writeFileSync(join(folder, 'ironport-signer-test'), '#!/bin/sh\necho "error found"\n');
  chmodSync(join(folder, 'ironport-signer-test'), 0o755);
  mkdirSync(join(folder, 'ironport-signer-folder'));
  const before = process.cwd();
  process.chdir(folder);
  t.teardown(() => process.chdir(before));
  for (const PATH of ['', '.', ':', './', `relative${delimiter}.`])
    await t.rejects(openSigner('plugin:test', { env: { PATH } }), { code: 'E_CONFIG' }, PATH);
  await t.rejects(openSigner('plugin:folder', { env: { PATH: folder } }), { code: 'E_CONFIG' });
  await t.rejects(openSigner('plugin:test', { env: { PATH: folder } }), { code: 'E_KEY' });
});

t.test('a plugin may ask', async (t) => {
  const asks = plugin(
    t,
    `read k; read p; echo "ask the PIN"; read a; [ "$a" = "answer ${toBase64(utf8('1234'))}" ] || { echo "error wrong"; exit; }; case $p in ${KNOWN} esac`,
  );
  const asked: string[] = [];
  const ask = async (question: string): Promise<string> => {
    asked.push(question);
    return '1234';
  };
  t.equal(
    keyIdentity((await openSigner('plugin:test', { ...asks, ask })).key),
    keyIdentity(signer.key),
  );
  t.match(asked, [/the PIN/]);
});

const hasOpenssl = /^OpenSSL 3/.test(
  spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? '',
);

t.test('the plugin of the examples', { skip: !hasOpenssl && 'needs openssl 3' }, async (t) => {
  const folder = t.testdir({});
  const pem = join(folder, 'a key.pem');
  spawnSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', pem]);
  const examples = fileURLToPath(new URL('../../examples/signer-plugin', import.meta.url));
  const env = { PATH: `${examples}${delimiter}${process.env.PATH}` };
  const opened = await openSigner(`plugin:openssl:${pem}`, { env });
  t.ok(platformCrypto.verify(opened.key, MESSAGE, await opened.sign(MESSAGE)));
  t.ok(await opened.sign(new Uint8Array(1_000_000)), 'metadata of some size');
  await t.rejects(openSigner('plugin:openssl:/none', { env }), { code: 'E_KEY', why: /\/none/ });

  const reference = join(folder, 'root-1.json');
  writeFileSync(
    reference,
    formatKeyReference({ key: opened.key as never, uri: `plugin:openssl:${pem}` }),
  );
  t.equal(keyIdentity((await openSigner(reference, { env })).key), keyIdentity(opened.key));
  t.equal(keyIdentity(await openPublicKey(reference, { env: {} })), keyIdentity(opened.key));
  const other = (await makeKeyFile('ed25519')).key;
  writeFileSync(reference, formatKeyReference({ key: other, uri: `plugin:openssl:${pem}` }));
  await t.rejects(openSigner(reference, { env }), { code: 'E_KEY', message: /another key/ });
  const bent = JSON.parse(readFileSync(reference, 'utf8'));
  for (const change of [{ uri: 'file:x' }, { uri: 'x' }, { extra: 1 }, { public: 'AAAA' }]) {
    writeFileSync(reference, JSON.stringify({ ...bent, ...change }));
    await t.rejects(
      openSigner(reference, { env }),
      { code: /^E_(SCHEMA|KEY)$/ },
      JSON.stringify(change),
    );
  }
});

t.test('which texts are URIs', (t) => {
  for (const text of ['pkcs11:a', 'file:x', 'ssh-agent:', 'plugin:x:y']) t.ok(isSignerUri(text));
  for (const text of ['root.json', './a:b', '/a:b', 'A:b']) t.notOk(isSignerUri(text), text);
  t.end();
});
