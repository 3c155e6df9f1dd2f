/**
 * Another client of the field, and our own, poll while every kind of key is exchanged: at no
 * instant is either of them refused anything.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import t from 'tap';
import { newcomer, ours, regular, watching } from '../publisher/readers.ts';
import { operator, Scene, vendor } from '../publisher/support.ts';

t.setTimeout(600_000);

t.test('no reader is refused while keys are exchanged', async (t) => {
  const scene = new Scene(t.testdir({}));
  mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  await scene.start();
  t.teardown(() => scene.stop());
  await scene.admit('acme', 2);
  writeFileSync(scene.at('edu.js'), 'a driver\n');
  await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
  const signed = (name: string): string => scene.at('signed', name);
  const key = (name: string): string => scene.at(`${name}.json`);
  const make = async (...names: string[]): Promise<void> => {
    for (const name of names) await operator('key', 'make', '--out', key(name));
  };
  await make('r3', 't2', 'snapshot-2', 'timestamp-2');

  const readers = [newcomer(t, scene), regular(t, scene, 'old'), ours(scene)];
  const during = watching(t, readers);

  await during('a root key', async () => {
    await operator(
      ...['root', 'rotate', '--yes', '--root', signed('1.root.json'), '--key', key('r1')],
      ...['--replace-root', `${scene.at('r2.pub.json')}=${scene.at('r3.pub.json')}`],
      ...['--out', signed('2.root.json')],
    );
    await scene.submit('2.root.json');
  });

  await during('the online keys', async () => {
    for (const role of ['snapshot', 'timestamp'])
      await rename(key(`${role}-2`), scene.at('repo', 'private', 'keys', `${role}.next.json`));
    await operator(
      ...['root', 'rotate', '--yes', '--root', signed('2.root.json'), '--key', key('r1')],
      ...['--replace-snapshot', scene.at('snapshot-2.pub.json')],
      ...['--replace-timestamp', scene.at('timestamp-2.pub.json'), '--out', signed('3.root.json')],
    );
    await scene.submit('3.root.json');
    // The next signing is by the new keys alone; the old ones can go.
    for (const role of ['snapshot', 'timestamp'])
      await rm(scene.at('repo', 'private', 'keys', `${role}.json`));
    await operator(
      ...['targets', 'renew', '--yes', '--targets', signed('2.targets.json'), '--key', key('t1')],
      ...['--root', signed('3.root.json'), '--out', signed('3.targets.json')],
    );
    await scene.submit('3.targets.json');
  });
  const timestamp = JSON.parse(
    readFileSync(scene.at('repo', 'tree', 'metadata', 'timestamp.json'), 'utf8'),
  );
  t.equal(timestamp.signatures.length, 1, 'the old signatures were dropped');

  await during('a targets key', async () => {
    const t1 = JSON.parse((await operator('key', 'show', scene.at('t1.pub.json'))).stdout).data
      .keyid;
    const { data } = await operator(
      ...['key', 'compromised', t1.slice(0, 12), '--yes', '--root', signed('3.root.json')],
      ...['--targets', signed('3.targets.json'), '--new', scene.at('t2.pub.json')],
      ...['--key', key('r1'), '--key', key('t1'), '--key', key('t2'), '--out', scene.at('signed')],
    );
    t.match(data, { keyid: t1, roles: ['targets'], complete: true });
    await scene.submit('4.root.json', '4.targets.json');
  });

  await during("a vendor's keys", async () => {
    await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'tuf', '--list', 'api');
    const request = scene.at('acme-2.json');
    const { data } = await vendor('request', '--dir', scene.at('acme'), '--out', request);
    await operator(
      ...['vendor', 'rotate-keys', request, '--yes', '--targets', signed('4.targets.json')],
      ...['--root', signed('4.root.json'), '--key', key('t2'), '--out', signed('5.targets.json')],
      ...['--fingerprint', data.fingerprint],
    );
    await vendor(
      ...['renew', '--dir', scene.at('acme'), '--repository', scene.url],
      ...['--out', signed('acme.json')],
    );
    await scene.submit('5.targets.json', 'acme.json');
  });
  await vendor('renew', '--dir', scene.at('acme'), '--repository', scene.url);
  for (const read of readers) await read();

  // A vendor that was removed.
  await operator(
    ...['vendor', 'remove', 'acme', '--yes', '--targets', signed('5.targets.json')],
    ...['--root', signed('4.root.json'), '--key', key('t2'), '--out', signed('6.targets.json')],
  );
  await scene.submit('6.targets.json');
  await t.rejects(newcomer(t, scene)(), /finds no/);
  await t.rejects(regular(t, scene, 'old')(), /finds no/, 'who kept its state too');
  const kept = readFileSync(scene.at('repo', 'tree', 'metadata', '3.acme.json'));
  t.ok(kept.length > 0, 'the role stays');
});
