// Advisories about names from outside that became paths: encoded, contained, and never followed.

import { lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { downloadTarget } from '../../client/download.ts';
import { FolderStore } from '../../client/store/folder.ts';
import { targetFile } from '../../client/target-file.ts';
import { Updater } from '../../client/updater.ts';
import { utf8 } from '../../shared/bytes.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { Host } from '../support/host.ts';

const NAMES = [
  '../../../escaped',
  '/tmp/escaped',
  '..',
  '.',
  'a/../../b',
  'x\u0000y',
  'C:\\x',
  '~',
];

t.test(
  'CVE-2021-41131, GHSA-r56q-vv3c-6g9c: the name of a role stays inside the store',
  async (t) => {
    for (const name of NAMES) {
      const folder = t.testdir({ store: {} });
      const host = new Host();
      host.sim.delegate('targets', name, { paths: ['*'] });
      host.sim.addTarget(name, 'file', utf8('x'));
      host.sim.publish('targets');
      const store = new FolderStore(join(folder, 'store'), {});
      await store.pinRoot(host.sim.roots.get(1) as Uint8Array, platformCrypto);
      const updater = new Updater({
        crypto: platformCrypto,
        clock: host.clock.read,
        store,
        fetcher: host.sim,
      });
      // Any answer will do but a file somewhere else.
      await updater.find('file').catch(() => undefined);
      t.strictSame(readdirSync(folder), ['store'], JSON.stringify(name));
      for (const found of readdirSync(join(folder, 'store', 'metadata')))
        t.match(found, /^[A-Za-z0-9%._~-]+\.json$/, 'one plain segment');
    }
  },
);

t.test('GHSA-x3r5-q6mj-m485: a target path that climbs is no target path', async (t) => {
  const host = new Host();
  for (const path of ['../x', '/x', 'a//b', 'a/./b', 'a/../b', '', 'a\u0000', 'a\\b', 'a/']) {
    host.sim.targets.targets[path] = { length: 1, hashes: { sha256: 'a'.repeat(64) } };
  }
  host.sim.publish('targets');
  for (const path of Object.keys(host.sim.targets.targets))
    await t.rejects(host.find(path), { code: 'E_NAME' }, JSON.stringify(path));
});

t.test(
  'CVE-2026-6968: a link under the name of a target is replaced, and not written through',
  async (t) => {
    const folder = t.testdir({ victim: 'precious' });
    const host = new Host();
    host.sim.addTarget('targets', 'file', utf8('the target'));
    host.sim.publish('targets');
    const found = await host.find('file');
    if (found === undefined) throw new Error('the target is not found');
    const out = join(folder, 'out');
    symlinkSync(join(folder, 'victim'), out);
    const target = targetFile(found.entry, true);
    await downloadTarget({ fetcher: host.sim, target, out }).catch(() => undefined);
    t.equal(readFileSync(join(folder, 'victim'), 'utf8'), 'precious');
    writeFileSync(join(folder, 'plain'), 'old');
    await downloadTarget({ fetcher: host.sim, target, out: join(folder, 'plain') });
    t.equal(readFileSync(join(folder, 'plain'), 'utf8'), 'the target');
    t.ok(lstatSync(join(folder, 'plain')).isFile());
  },
);
