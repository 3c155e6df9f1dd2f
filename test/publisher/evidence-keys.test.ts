// A vendor exchanges its evidence key: what stood before stays good, here and for other people's tools.

import { mkdtempSync, rmSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program as clientProgram } from '../../client/main.ts';
import { parseEvidenceKeys } from '../../shared/evidence/keys.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { run } from '../cli/support.ts';
import { verifyElsewhere } from '../support/sigstore.ts';
import { ironport, Scene, vendor } from './support.ts';

t.setTimeout(600_000);
const folder = mkdtempSync(join(tmpdir(), 'ironport-evidence-keys-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const scene = new Scene(folder);
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
const to = ['--dir', scene.at('acme'), '--repository', scene.url];

async function build(version: string, ...more: string[]) {
  await writeFile(scene.at('edu.js'), `the driver, ${version}`);
  return await ironport(...scene.publishing('edu.js', version, ...more));
}

async function listed() {
  const bytes = await readFile(scene.at('acme', 'signed', 'published.json'));
  const { active, retired } = parseEvidenceKeys(parseTargets(bytes, 'acme').envelope.signed);
  const ids = (keys: typeof active) => keys.map((key) => keyId(platformCrypto, key));
  return { active: ids(active), retired: ids(retired), keys: [...active, ...retired] };
}

/** What a new host says of a version, and what `@sigstore/verify` does of its bundle. */
async function isGood(t: Test, version: string): Promise<void> {
  const store = mkdtempSync(join(folder, 'store-'));
  const get = (...argv: string[]) =>
    run(clientProgram, [new URL(scene.url).host, ...argv, '--store', store, '--json']);
  const path = `acme/edu/${version}/edu.js`;
  const got = await get('get-verified', path, join(store, 'out'), ...scene.root);
  t.equal(got.exit, 0, `${version}: ${got.stdout}`);
  const bare = await get('get', `${path}.sigstore.json`, join(store, 'bundle'));
  t.equal(bare.exit, 0, bare.stdout);
  const bundle = JSON.parse(await readFile(join(store, 'bundle'), 'utf8'));
  const { hint } = bundle.verificationMaterial.publicKey;
  const key = (await listed()).keys.find((one) => keyId(platformCrypto, one) === hint);
  if (key === undefined) throw new Error(`the role lists no key ${hint}`);
  t.doesNotThrow(() => verifyElsewhere(bundle, hint, key), `${version} elsewhere`);
}

t.test('an evidence key is exchanged, and retired', async (t) => {
  t.equal((await build('1.0.0', ...scene.root)).exit, 0);
  const [old = ''] = (await listed()).active;
  await isGood(t, '1.0.0');

  t.equal((await ironport('retire-key', old, ...to)).error?.code, 'E_KEY', 'the only one signs');
  for (const wrong of ['', 'xyz', old.slice(0, 7), old.toUpperCase()])
    t.equal((await ironport('retire-key', wrong, ...to)).error?.code, 'E_USAGE', wrong);
  t.equal((await ironport('retire-key', '0'.repeat(64), ...to)).error?.code, 'E_KEY', 'unknown');

  const { data } = await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'evidence');
  const fresh = data.keys[0].keyid as string;
  t.match(data, { keys: [{ list: 'evidence' }] });
  t.equal((await build('1.1.0')).exit, 0, 'the new one signs what is published next');
  t.strictSame((await listed()).active.sort(), [old, fresh].sort(), 'and both are good');

  const retired = await vendor('retire-key', old.slice(0, 12), ...to);
  t.match(retired.data, { keyid: old, signs_now: fresh, published: true });
  t.match(await listed(), { active: [fresh], retired: [old] });
  t.equal((await ironport('retire-key', old, ...to)).error?.code, 'E_NOTHING_TO_DO');
  await isGood(t, '1.0.0');
  await isGood(t, '1.1.0');
});

t.test('what is retired signs nothing new', async (t) => {
  const file = scene.at('acme', 'vendor.json');
  const config = JSON.parse(await readFile(file, 'utf8'));
  const first = config.keys.evidence[0].replace(/\d+/, '1');
  await writeFile(file, JSON.stringify({ ...config, keys: { ...config.keys, evidence: [first] } }));
  const { error } = await build('1.2.0');
  t.equal(error?.code, 'E_KEY');
  t.match(error?.message, /the evidence key of this folder is retired/);
});

t.test('of several evidence keys in a folder the one that is not retired signs', async (t) => {
  const config = () => readFile(scene.at('acme', 'vendor.json'), 'utf8').then(JSON.parse);
  // The folder names the key that was retired first, for what was asked above.
  const standing = ((await config()).keys.evidence[0] as string).replace(/\d+/, '2');
  const [now = ''] = (await listed()).active;
  await cp(scene.at('acme'), scene.at('other'), { recursive: true });
  const made = await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'evidence');
  const [{ file, keyid }] = made.data.keys;
  await cp(scene.at('acme', file), scene.at('other', file));
  for (const folder of ['acme', 'other']) {
    const path = scene.at(folder, 'vendor.json');
    const { keys, ...rest } = JSON.parse(await readFile(path, 'utf8'));
    const both = { ...keys, evidence: [standing, file] };
    await writeFile(path, JSON.stringify({ ...rest, keys: both }), { mode: 0o600 });
  }
  const gone = await vendor('retire-key', now, ...to);
  t.match(gone.data, { published: true, keyid: now, signs_now: keyid });
  t.match(gone.stderr, `vendor.json names ${standing} no longer`);
  t.strictSame((await config()).keys.evidence, [file], 'and what is retired is named no longer');
  t.match((await listed()).active, [keyid]);
  t.equal((await build('7.0.0')).exit, 0);
  await isGood(t, '7.0.0');

  // The other folder names both still, the retired one first.
  await writeFile(scene.at('edu.js'), 'the driver, 7.1.0');
  const other = scene
    .publishing('edu.js', '7.1.0')
    .map((word) => (word === scene.at('acme') ? scene.at('other') : word));
  const published = await ironport(...other);
  t.equal(published.exit, 0, published.stdout);
  t.match(published.stderr, 'which is retired: it signs nothing new');
});
