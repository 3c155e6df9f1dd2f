/**
 * Another client of the field, and our own, poll while every kind of key is exchanged: at no
 * instant is either of them refused anything.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Updater } from 'tuf-js';
import { MemoryStore } from '../../client/store/memory.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { operator, Scene, vendor } from '../publisher/support.ts';
import { updaterOf } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';

t.setTimeout(600_000);

const PATH = 'acme/edu/1.0.0/edu.js';

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
  /** Readers go on while `act` runs; all that they meet is asserted. */
  const during = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    let isOver = false;
    const polls = readers.map(async (read) => {
      let count = 0;
      while (!isOver) {
        await read();
        count++;
      }
      await read();
      return count;
    });
    const watched = Promise.all(polls);
    watched.catch(() => {});
    await act().finally(() => {
      isOver = true;
    });
    const counts = await watched;
    t.ok(
      counts.every((count) => count > 0),
      `${name}: each of them read while it happened`,
    );
  };

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

type Reader = () => Promise<void>;

/** A host that begins from root 1 each time. */
function newcomer(t: Test, scene: Scene): Reader {
  return async () => {
    const folder = await mkdtemp(join(t.testdirName, 'newcomer-'));
    await read(scene, folder);
    await rm(folder, { recursive: true });
  };
}

/** A host that keeps what it verified. */
function regular(t: Test, scene: Scene, name: string): Reader {
  const folder = join(t.testdirName, name);
  return () => read(scene, folder);
}

/** One refresh and one download by tuf-js. */
async function read(scene: Scene, folder: string): Promise<void> {
  const [metadataDir, targetDir] = [join(folder, 'metadata'), join(folder, 'targets')];
  for (const place of [metadataDir, targetDir]) mkdirSync(place, { recursive: true });
  const root = join(metadataDir, 'root.json');
  if (!existsSync(root)) await cp(scene.at('signed', '1.root.json'), root);
  const updater = new Updater({
    ...{ metadataDir, targetDir },
    metadataBaseUrl: `${scene.url}/metadata`,
    targetBaseUrl: `${scene.url}/targets`,
  });
  await updater.refresh();
  const info = await updater.getTargetInfo(PATH);
  if (info === undefined) throw new Error(`tuf-js finds no ${PATH}`);
  const bytes = readFileSync(await updater.downloadTarget(info), 'utf8');
  if (bytes !== 'a driver\n') throw new Error(`tuf-js downloads ${bytes}`);
}

/** Our client over the tree, which keeps its floors. */
function ours(scene: Scene): Reader {
  const store = new MemoryStore(readFileSync(scene.at('signed', '1.root.json')));
  return async () => {
    const found = await updaterOf(scene.at('repo'), new TestClock(systemClock()), store).find(PATH);
    if (found === undefined) throw new Error(`our client finds no ${PATH}`);
  };
}
