/** A division that goes from one signer to the next as a folder: whole, as it was shown, or not at all. */

import { mkdirSync } from 'node:fs';
import { cp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import t from 'tap';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { formatMetadata, sign, withFields } from '../../shared/tuf/build.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, operator, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2, '--tuf-keys', '2', '--threshold', '2');
await writeFile(scene.at('edu.js'), 'a driver\n');
const to = (dir: string): string[] => [
  ...['--dir', scene.at(dir), '--repository', scene.url],
  ...scene.root,
];
const publish = (version: string): string[] => scene.publishing('edu.js', version, ...scene.root);
await vendor(...publish('1.0.0'));
await cp(scene.at('acme'), scene.at('second'), { recursive: true });
await rename(scene.at('acme', 'keys', 'tuf-2.json'), scene.at('tuf-2.json'));
await rename(scene.at('second', 'keys', 'tuf-1.json'), scene.at('tuf-1.json'));

const PATH = 'acme/edu/1.0.0/edu.js';
const ownVersions = async (): Promise<string[]> =>
  (await readdir(scene.at('repo', 'tree', 'metadata'))).filter((name) => /^\d+\.acme/.test(name));
const made = await vendor('split', '--bins', '4', '--out', scene.at('division'), ...to('acme'));

/** A copy of the folder, to be bent. */
async function copy(name: string): Promise<string> {
  await cp(scene.at('division'), scene.at(name), { recursive: true });
  return scene.at(name);
}

t.test('it is written whole, and nothing is handed in', async (t) => {
  t.match(made.data, {
    ...{ bins: 4, published: false, folder: scene.at('division') },
    signatures: { have: 5, need: 10 },
  });
  const bins = [0, 1, 2, 3].map((n) => `1.acme.b2-${n}.json`);
  t.same((await readdir(scene.at('division'))).sort(), [...bins, '2.acme.json']);
  t.same(await ownVersions(), ['1.acme.json']);
  const again = ['split', '--bins', '4', '--out', scene.at('division'), ...to('acme')];
  t.equal((await ironport(...again)).error?.code, 'E_EXISTS');
});

t.test('the next signer is not led astray', async (t) => {
  const refuses = async (folder: string, code: string, name: string): Promise<void> => {
    const { error } = await ironport('sign', folder, '--yes', ...to('second'));
    t.equal(error?.code, code, name);
    t.same(await ownVersions(), ['1.acme.json'], `${name}: nothing was handed in`);
  };
  const lacking = await copy('lacking');
  await rm(`${lacking}/1.acme.b2-3.json`);
  await refuses(lacking, 'E_DELEGATION', 'a bin is missing');

  const foreign = await copy('foreign');
  await cp(`${foreign}/1.acme.b2-3.json`, `${foreign}/1.other.json`);
  await refuses(foreign, 'E_NOT_AUTHORISED', "another vendor's role");
  const strange = await copy('strange');
  await writeFile(`${strange}/notes.txt`, 'x');
  await refuses(strange, 'E_NAME', 'a file of another kind');
  const renamed = await copy('renamed');
  await rename(`${renamed}/1.acme.b2-3.json`, `${renamed}/7.acme.b2-3.json`);
  await refuses(renamed, 'E_VERSION', 'another version');
  const swapped = await copy('swapped');
  const [a, b] = ['1.acme.b2-0.json', '1.acme.b2-1.json'];
  const [first, second] = [await readFile(`${swapped}/${a}`), await readFile(`${swapped}/${b}`)];
  await writeFile(`${swapped}/${a}`, second);
  await writeFile(`${swapped}/${b}`, first);
  await refuses(swapped, 'E_NOT_AUTHORISED', 'bins that list what others should');

  const alone = await ironport('sign', swapped, '--yes', '--dir', scene.at('second'));
  t.equal(alone.error?.code, 'E_USAGE', 'there is nothing to compare it with');
  const refused = await ironport('sign', swapped, '--yes', '--role', 'x', ...to('second'));
  t.equal(refused.error?.code, 'E_USAGE');
});

t.test('what is left out on the way is shown, and is not taken', async (t) => {
  const thinned = await copy('thinned');
  const key = await loadFileSigner(scene.at('acme', 'keys', 'tuf-1.json'));
  for (const name of (await readdir(thinned)).filter((name) => name.includes('.b2-'))) {
    const role = name.slice(2, -5);
    const { envelope } = parseTargets(await readFile(`${thinned}/${name}`), role);
    const tree = withFields(envelope.tree, { targets: {} });
    await writeFile(`${thinned}/${name}`, formatMetadata(tree, await sign(crypto, tree, [key])));
  }
  const { stderr } = await ironport('sign', thinned, '--yes', ...to('second'));
  t.match(stderr, `- ${PATH} is no longer listed`);
  t.same(await scene.fetched(PATH), 'verified');
});

t.test('with the last signature it is published, in one snapshot', async (t) => {
  const stale = await copy('stale');
  const same = await vendor('sign', scene.at('division'), '--yes', ...to('acme'));
  t.match(same.data, { published: false, signatures: { have: 5 } }, 'the same keys are no more');
  const { data, stderr } = await vendor('sign', scene.at('division'), '--yes', ...to('second'));
  t.match(data, { published: true, signatures: { have: 10, need: 10 } });
  t.equal(data.roles.length, 5);
  t.notMatch(stderr, 'no longer listed', 'what only moves is no loss');
  t.equal(await scene.fetched(PATH), 'verified');
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);
  t.equal((await ironport('sign', stale, '--yes', ...to('second'))).error?.code, 'E_VERSION');
  const waiting = await vendor(...publish('1.1.0'));
  t.match(waiting.data, { published: false }, 'and what follows waits at the service as ever');
});
