/** More bins than are renewed at once, most of them without an entry: those are one and the same file. */

import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { PUBLISHER_LIMITS } from '../../shared/limits.ts';
import { operator, Scene, vendor } from './support.ts';

t.setTimeout(600_000);
const folder = mkdtempSync(join(tmpdir(), 'ironport-many-bins-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const scene = new Scene(folder);
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
const at = ['--dir', scene.at('acme'), '--repository', scene.url];
const sent = () => readdir(scene.at('repo', 'private', 'quarantine', 'acme'));

t.test('a group is sent while the same files of the one before are published', async (t) => {
  const bins = 2 * PUBLISHER_LIMITS.binsAtOnce;
  await writeFile(scene.at('driver.bin'), 'one driver');
  await vendor(...scene.publishing('driver.bin', '1.0.0', ...scene.root));
  await vendor('split', '--bins', `${bins}`, ...at);

  /** What the first group brought, once it is to be published. */
  let first: ReadonlySet<string> | undefined;
  scene.observe = async (point) => {
    if (point !== 'preflighted' || first !== undefined) return;
    const names = new Set(await sent());
    if (names.size === 0) return;
    first = names;
    // Until what the second group alone has is there, and with it whatever is sent by then.
    while ((await sent()).every((name) => names.has(name) || name.includes('.')))
      await setTimeout(20);
  };
  t.equal((await vendor('renew', ...at)).data.bins, bins);
  t.ok(first !== undefined && first.size < 20, 'hardly any file is another one than the rest');
  t.same((await operator('fsck', '--dir', scene.at('repo'))).data.findings, []);
});
