/**
 * What else is exchanged while hosts poll: one online key and not the other, a vendor's keys with its hash bins,
 * the keys of a nested role, and those that sign evidence. At no instant is a host refused anything.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import t from 'tap';
import { parseEvidenceKeys } from '../../shared/evidence/keys.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { newcomer, ours, regular, watching } from '../publisher/readers.ts';
import { operator, Scene, vendor } from '../publisher/support.ts';

t.setTimeout(900_000);

t.test('no reader is refused while keys of roles below are exchanged', async (t) => {
  const scene = new Scene(t.testdir({}));
  mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  await scene.start();
  t.teardown(() => scene.stop());
  await scene.admit('acme', 2);
  writeFileSync(scene.at('edu.js'), 'a driver\n');
  await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
  const to = ['--dir', scene.at('acme'), '--repository', scene.url];
  const signed = (name: string): string => scene.at('signed', name);
  const key = (name: string): string => scene.at(`${name}.json`);
  const readers = [newcomer(t, scene), regular(t, scene, 'old'), ours(scene)];
  const during = watching(t, readers);
  const role = (file: string, name: string) =>
    parseTargets(readFileSync(scene.at('repo', 'tree', 'metadata', file)), name);

  /** One online key; the other stays as it is. */
  const online = (name: 'snapshot' | 'timestamp', root: number) =>
    during(`the ${name} key alone`, async () => {
      const place = (state: string) => scene.at('repo', 'private', 'keys', `${name}${state}.json`);
      await operator('key', 'make', '--out', key(`${name}-2`));
      await rename(key(`${name}-2`), place('.next'));
      await operator(
        ...['root', 'rotate', '--yes', '--root', signed(`${root}.root.json`), '--key', key('r1')],
        ...[`--replace-${name}`, scene.at(`${name}-2.pub.json`)],
        ...['--out', signed(`${root + 1}.root.json`)],
      );
      await scene.submit(`${root + 1}.root.json`);
      // The next signing is by the new key alone; the old one can go.
      await rm(place(''));
      await vendor('renew', ...to);
    });
  await online('snapshot', 1);
  await online('timestamp', 2);
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);

  await during('a role that is divided into bins', () => vendor('split', '--bins', '4', ...to));
  await during("a vendor's keys, while it has bins", async () => {
    await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'tuf');
    const request = scene.at('acme-2.json');
    const { data } = await vendor('request', '--dir', scene.at('acme'), '--out', request);
    await operator(
      ...['vendor', 'rotate-keys', request, '--yes', '--targets', signed('2.targets.json')],
      ...['--root', signed('3.root.json'), '--key', key('t1'), '--out', signed('3.targets.json')],
      ...['--fingerprint', data.fingerprint],
    );
    t.match((await vendor('renew', ...to, '--out', signed('acme.json'))).data, { bins: 4 });
    await scene.submit('3.targets.json', 'acme.json');
  });
  t.match((await vendor('renew', ...to)).data, { bins: 4 }, 'all of them have the new key');
  await during('other bins', () => vendor('split', '--bins', '2', ...to));
  await during('a role that is put together', () => vendor('split', '--bins', '1', ...to));

  await during('a role that is nested', () =>
    vendor('nest', 'team', '--path', 'acme/edu/*/*', ...to),
  );
  const first = (await vendor('nest', 'team', '--make-keys', '2', ...to)).data;
  await during('the keys of a nested role, all in one snapshot', async () => {
    const { data } = await vendor('nest', 'team', '--make-keys', '1', ...to);
    t.notSame(data.keys, first.keys);
    t.match(data, { published: true, nested: [{ role: 'acme.team' }] });
  });
  await during('a role that is taken back', () => vendor('unnest', 'team', ...to));

  await during('the key that signs evidence', async () => {
    const config = JSON.parse(readFileSync(scene.at('acme', 'vendor.json'), 'utf8'));
    await operator('key', 'make', '--out', key('evidence-2'));
    config.keys.evidence = [key('evidence-2')];
    writeFileSync(scene.at('acme', 'vendor.json'), JSON.stringify(config));
    const { data } = await vendor(...scene.publishing('edu.js', '2.0.0'));
    const own = role(`${data.version}.acme.json`, 'acme');
    t.equal(parseEvidenceKeys(own.envelope.signed).active.length, 2, 'the new key beside the old');
  });
  for (const read of readers) await read();
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);
});
