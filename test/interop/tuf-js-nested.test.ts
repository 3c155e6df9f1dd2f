/** Another client of the field reads nested roles before, while and after they are nested, changed, taken back. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { Updater } from 'tuf-js';
import { Scene, vendor } from '../publisher/support.ts';

t.setTimeout(240_000);
const PATH = 'acme/edu/1.0.0/edu.js';

t.test('tuf-js finds an artifact whichever role lists it', async (t) => {
  const scene = new Scene(t.testdir({}));
  mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  await scene.start();
  t.teardown(() => scene.stop());
  await scene.admit('acme', 2);
  writeFileSync(scene.at('edu.js'), 'a driver\n');
  await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
  const to = ['--dir', scene.at('acme'), '--repository', scene.url];

  /** One refresh and one download over HTTP; the host keeps what it has in `folder`. */
  const read = async (folder: string): Promise<void> => {
    const [metadataDir, targetDir] = [join(folder, 'metadata'), join(folder, 'targets')];
    const urls = {
      metadataBaseUrl: `${scene.url}/metadata`,
      targetBaseUrl: `${scene.url}/targets`,
    };
    const updater = new Updater({ metadataDir, targetDir, ...urls });
    await updater.refresh();
    const info = await updater.getTargetInfo(PATH);
    if (info === undefined) throw new Error(`tuf-js finds no ${PATH}`);
    const bytes = readFileSync(await updater.downloadTarget(info), 'utf8');
    if (bytes !== 'a driver\n') throw new Error(`tuf-js downloads ${bytes}`);
  };
  const host = async (): Promise<string> => {
    const folder = await mkdtemp(join(t.testdirName, 'host-'));
    for (const place of ['metadata', 'targets']) mkdirSync(join(folder, place));
    await cp(scene.at('signed', '1.root.json'), join(folder, 'metadata', 'root.json'));
    return folder;
  };
  const old = await host();
  const during = async (name: string, ...argv: string[]): Promise<void> => {
    let isOver = false;
    const poll = async (): Promise<number> => {
      let count = 0;
      do {
        await read(old);
        const fresh = await host();
        await read(fresh);
        await rm(fresh, { recursive: true });
        count++;
      } while (!isOver);
      return count;
    };
    const reading = poll();
    reading.catch(() => {});
    await vendor(...argv, ...to).finally(() => {
      isOver = true;
    });
    t.ok((await reading) > 0, name);
    await read(old);
    await read(await host());
  };
  await read(old);
  await during('nest', 'nest', 'edu', '--path', 'acme/edu/*/*');
  await during(
    'publish into it',
    ...['publish', scene.at('edu.js'), '--product', 'edu'],
    ...['--version', '1.1.0', '--ceiling', scene.at('ceiling.json')],
  );
  await during('other keys', 'nest', 'edu', '--make-keys', '2', '--threshold', '2');
  await during('renewal', 'renew');
  await during('unnest', 'unnest', 'edu');
  await during('nest again', 'nest', 'edu', '--path', 'acme/edu/*/*');
  await during('nest in it', 'nest', 'edu.one', '--path', 'acme/edu/1*/*');
  await during('bins of that', 'split', '--role', 'edu.one', '--bins', '4');
  await during(
    'publish into its bins',
    ...['publish', scene.at('edu.js'), '--product', 'edu'],
    ...['--version', '1.2.0', '--ceiling', scene.at('ceiling.json')],
  );
  await during('keys of both', 'nest', 'edu', '--make-keys', '1', '--threshold', '1');
  await during('renewal of all', 'renew');
  await during('together', 'split', '--role', 'edu.one', '--bins', '1');
  await during('unnest the inner one', 'unnest', 'edu.one');
});
