/** Another client of the field reads what our service publishes. */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Updater } from 'tuf-js';
import {
  admit,
  ceremony,
  EDU,
  nextDriver,
  publish,
  rotateOnlineKeys,
  startService,
  submitCeremony,
} from '../../scripts/demo/honest.ts';
import { makeScene, treeOf } from '../../scripts/demo/scene.ts';

t.test(
  'tuf-js refreshes and downloads from our tree, across a rotation of the online keys',
  async (t) => {
    const scene = await makeScene();
    t.teardown(async () => {
      await scene.service?.stop();
      await rm(scene.folder, { recursive: true, force: true });
    });
    await ceremony(scene);
    await submitCeremony(scene);
    await startService(scene);
    await admit(scene, 'acme');
    const first = await publish(scene, join(EDU, 'edu-driver.mjs'), '1.0.0');

    const other = await tufJs(
      scene.folder,
      join(treeOf(scene), 'metadata', '1.root.json'),
      scene.service?.url ?? '',
    );
    const download = async (path: string): Promise<Buffer> => {
      const updater = other();
      await updater.refresh();
      const info = await updater.getTargetInfo(path);
      if (info === undefined) throw new Error(`tuf-js does not find ${path}`);
      return readFile(await updater.downloadTarget(info));
    };
    t.same(await download(first), await readFile(join(EDU, 'edu-driver.mjs')), 'the artifact');
    for (const suffix of ['.ceiling.json', '.intoto.jsonl', '.spdx.json', '.sigstore.json']) {
      t.ok((await download(first + suffix)).length > 0, `its ${suffix}`);
    }

    const next = await nextDriver(scene);
    const second = await publish(scene, next, '1.1.0');
    t.same(await download(second), await readFile(next), 'a second publication');

    await rotateOnlineKeys(scene);
    t.same(await download(second), await readFile(next), 'after a root with new online keys');
    await t.rejects(download('acme/edu/9.9.9/none'), 'a path that nobody lists');
  },
);

/** A fresh tuf-js updater over one state folder, each time it is called. */
async function tufJs(folder: string, root: string, url: string): Promise<() => Updater> {
  const metadataDir = join(folder, 'tuf-js', 'metadata');
  const targetDir = join(folder, 'tuf-js', 'targets');
  await mkdir(metadataDir, { recursive: true });
  await mkdir(targetDir, { recursive: true });
  await writeFile(join(metadataDir, 'root.json'), await readFile(root));
  return () =>
    new Updater({
      metadataDir,
      targetDir,
      metadataBaseUrl: `${url}/metadata`,
      targetBaseUrl: `${url}/targets`,
    });
}
