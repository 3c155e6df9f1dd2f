/** Keys in SoftHSM2: made there, named, signed with by operators, a vendor and the service. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { SCHEMES } from '../../shared/node/signers/key-file.ts';
import { openPublicKey, openSigner } from '../../shared/node/signers/uri.ts';
import { ironport, operator, Scene, vendor } from '../publisher/support.ts';

const MODULE = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib64/pkcs11/libsofthsm2.so'].find(
  (path) => existsSync(path),
);
if (MODULE === undefined || spawnSync('softhsm2-util', ['--version']).error !== undefined) {
  t.pass('SoftHSM2 is not here', { skip: 'install the package softhsm2' });
  process.exit();
}

const folder = mkdtempSync(join(tmpdir(), 'ironport-softhsm-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const at = (...parts: string[]): string => join(folder, ...parts);
mkdirSync(at('tokens'));
writeFileSync(at('softhsm2.conf'), `directories.tokendir = ${at('tokens')}\n`);
process.env.SOFTHSM2_CONF = at('softhsm2.conf');
for (const label of ['ops', 'online', 'acme', 'lab', 'twin', 'twin'])
  spawnSync('softhsm2-util', [
    ...['--init-token', '--free', '--label', label, '--so-pin', '87654321', '--pin', '1234'],
  ]);
writeFileSync(at('pin'), '1234\n', { mode: 0o600 });

const uri = (token: string, object: string, more = ''): string =>
  `pkcs11:token=${token};object=${object}?module-path=${MODULE}${more}`;
const source = { env: {}, passphraseFile: at('pin') };

for (const scheme of SCHEMES) {
  t.test(`${scheme}: made in the token, and signed with there`, async (t) => {
    const name = uri('lab', scheme);
    const made = await operator(
      ...['key', 'name', name, '--make', '--scheme', scheme],
      ...['--out', at(`${scheme}.json`), '--passphrase-file', at('pin')],
    );
    t.match(made.data, { scheme, made: true, file: at(`${scheme}.json`) });
    for (const from of [name, at(`${scheme}.json`)]) {
      const signer = await openSigner(from, source);
      for (let i = 0; i < 20; i++) {
        const message = utf8(`message ${i}`);
        const signature = await signer.sign(message);
        t.ok(platformCrypto.verify(signer.key, message, signature));
        t.ok(nobleCrypto.verify(signer.key, message, signature));
      }
      t.ok(await signer.sign(new Uint8Array(4_000_000)), 'a large role');
      t.equal(
        keyIdentity(await openPublicKey(at(`${scheme}.pub.json`), source)),
        keyIdentity(signer.key),
      );
    }
    const again = await operatorFails('key', 'name', name, '--make', '--out', at('again.json'));
    t.match(again, { code: 'E_EXISTS' });
    t.notOk(existsSync(at('again.json')));
  });
}

async function operatorFails(...argv: string[]): Promise<{ code: string }> {
  return operator(...argv, '--passphrase-file', at('pin')).then(
    () => ({ code: 'none' }),
    (error) => ({ code: /"code":"(\w+)"/.exec(error.message)?.[1] ?? error.message }),
  );
}

t.test('what is not there', async (t) => {
  await t.rejects(openSigner(uri('none', 'x'), source), { code: 'E_NOT_FOUND', why: /ops/ });
  await t.rejects(openSigner(uri('lab', 'none'), source), { code: 'E_NOT_FOUND' });
  await t.rejects(openSigner(uri('twin', 'x'), source), {
    code: 'E_USAGE',
    message: /several tokens/,
  });
  const serial = uri('lab;serial=0', 'ed25519');
  await t.rejects(openSigner(serial, source), { code: 'E_NOT_FOUND' });
  await t.rejects(openSigner(`pkcs11:object=x?module-path=${at('pin')}`, source), {
    code: 'E_CONFIG',
  });
});

t.test('the PIN: asked for late, and held to', async (t) => {
  // In processes of their own: logging in is once for all of a process.
  const script = `
    import { openSigner } from ${JSON.stringify(new URL('../../shared/node/signers/uri.ts', import.meta.url).href)};
    const [, uri, pin] = process.argv;
    const asked = [];
    const ask = pin === '' ? undefined : async (question) => { asked.push(question); return pin; };
    const signer = await openSigner(uri, { env: {}, ask });
    const before = asked.length;
    const end = await signer.sign(new Uint8Array(9)).then(() => 'signed', (error) => error.code + ': ' + error.why);
    console.log(before, asked.length, end);`;
  const run = (name: string, pin: string): string =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script, name, pin], {
      encoding: 'utf8',
    }).stdout.trim();
  t.equal(run(uri('lab', 'ed25519'), '1234'), '0 1 signed');
  t.match(run(uri('lab', 'ed25519'), '9999'), /^0 1 E_KEY: the PIN is not the right one/);
  t.match(run(uri('lab', 'ed25519'), ''), /^0 0 E_KEY/, 'nobody to ask');
  t.equal(run(uri('lab', 'ed25519', `&pin-source=file:${at('pin')}`), '9999'), '0 0 signed');
});

t.test('operators, the service and a vendor, with all keys in tokens', async (t) => {
  const scene = new Scene(at('scene'));
  mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  const pin = ['--passphrase-file', at('pin')];
  for (const role of ['snapshot', 'timestamp']) {
    await operator(
      ...['key', 'name', uri('online', role, `&pin-source=file:${at('pin')}`), '--make'],
      ...['--out', scene.at('repo', 'private', 'keys', `${role}.json`)],
    );
  }
  for (const name of ['r1', 'r2', 't1'])
    await operator(
      'key',
      'name',
      uri('ops', name),
      '--make',
      '--out',
      scene.at(`${name}.json`),
      ...pin,
    );
  await operator(
    ...['ceremony', '--yes', '--out', scene.at('signed'), '--root-threshold', '1', ...pin],
    ...['--root-key', scene.at('r1.json'), '--root-key', uri('ops', 'r2')],
    ...['--targets-key', scene.at('t1.json')],
    ...['--snapshot-key', uri('online', 'snapshot')],
    ...['--timestamp-key', scene.at('repo', 'private', 'keys', 'timestamp.pub.json')],
  );
  await scene.open();
  t.teardown(() => scene.stop());
  await scene.submit('1.root.json', '1.targets.json');

  const keys = ['tuf', 'evidence', 'api'].flatMap((list) => [`--${list}-key`, uri('acme', list)]);
  for (const list of ['tuf', 'evidence'])
    await operator(
      'key',
      'name',
      uri('acme', list),
      '--make',
      '--out',
      at(`acme-${list}.json`),
      ...pin,
    );
  await operator(
    ...['key', 'name', uri('acme', 'api'), '--make', '--scheme', 'ecdsa-sha2-nistp256'],
    ...['--out', at('acme-api.json'), ...pin],
  );
  await vendor(
    ...['init', '--vendor', 'acme', '--dir', scene.at('acme'), '--contact', 'sec@acme.example'],
    ...['--hardware-id', 'PCI:0x1234:0x11e8', ...keys],
  );
  t.notOk(existsSync(scene.at('acme', 'keys', 'tuf-1.json')), 'no key was made');
  const request = scene.at('acme.admission.json');
  const { data } = await vendor('request', '--dir', scene.at('acme'), '--out', request, ...pin);
  await operator(
    ...['vendor', 'add', request, '--yes', '--targets', scene.at('signed', '1.targets.json')],
    ...['--key', scene.at('t1.json'), '--root', scene.at('signed', '1.root.json'), ...pin],
    ...['--fingerprint', data.fingerprint, '--out', scene.at('signed', '2.targets.json')],
  );
  await scene.submit('2.targets.json');
  writeFileSync(scene.at('edu.js'), 'a driver\n');
  writeFileSync(scene.at('ceiling.json'), readFileSync('examples/edu/ceiling.json'));
  const published = await ironport(...scene.publishing('edu.js', '1.0.0', ...scene.root), ...pin);
  t.match(published.data, { published: true, version: 1 });
});
