/**
 * A repository of other tools moves to us, and on, while tuf-js and our own client, which pinned its
 * first root, poll: at no instant is either of them refused anything.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Updater } from 'tuf-js';
import { MemoryStore } from '../../client/store/memory.ts';
import { serveTree } from '../../server/http/static-server.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { DAY } from '../../shared/time.ts';
import { operator, repo, Scene } from '../publisher/support.ts';
import { updaterOf } from '../server/support.ts';
import { TestClock } from '../support/clock.ts';
import {
  FOREIGN_FILES,
  FOREIGN_KEYS,
  FOREIGN_VERSIONS,
  foreignId,
  writeForeign,
} from '../support/foreign.ts';

const PATHS = ['firmware-1.bin', 'acme/edu/1.0.0/edu.js'] as const;

t.test('no reader is refused while a repository is taken over', async (t) => {
  const scene = new Scene(t.testdir({}));
  const signed = (name: string): string => scene.at('signed', name);
  const key = (name: string): string => scene.at(`${name}.json`);
  mkdirSync(scene.at('signed'));
  for (const [name, scheme] of [
    ['r1', 'ed25519'],
    ['r2', 'ecdsa-sha2-nistp256'],
    ['t1', 'ed25519'],
  ] as const)
    await operator('key', 'make', '--scheme', scheme, '--out', key(name));
  const [r1, r2, t1] = [
    await loadFileSigner(key('r1')),
    await loadFileSigner(key('r2')),
    await loadFileSigner(key('t1')),
  ];
  const keys = { ...FOREIGN_KEYS, root: [r1, r2], targets: [t1] };
  const expires = systemClock() + 200 * DAY;
  await writeForeign(scene.at('theirs', 'tree'), { style: 'python-tuf', keys, expires });
  await cp(scene.at('theirs', 'tree', 'metadata', '1.root.json'), signed('1.root.json'));
  const before = await serveTree({
    ...{
      folder: scene.at('theirs', 'tree'),
      listen: { host: '127.0.0.1', port: 0 },
      onFailure: () => {},
    },
  });
  t.teardown(() => before.close(0));

  const site: Site = { url: before.url, home: scene.at('theirs') };
  const pin = signed('1.root.json');
  const readers = [newcomer(t, site, pin), () => read(site, join(t.testdirName, 'old'), pin)];
  const ours = oursAt(site, pin);
  /** Readers go on while `act` runs; all that they meet is asserted. */
  const during = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    let isOver = false;
    const polls = [...readers, ours].map(async (poll) => {
      let count = 0;
      while (!isOver) {
        await poll();
        count++;
      }
      await poll();
      return count;
    });
    const watched = Promise.all(polls);
    watched.catch(() => {});
    await act().finally(() => {
      isOver = true;
    });
    t.ok((await watched).length === 3, `${name}: nobody was refused`);
  };

  await during('the import', async () => {
    const { data } = await operator(
      ...['import', '--from', scene.at('theirs', 'tree'), '--root', pin, '--dir', scene.at('repo')],
    );
    t.match(data, { root: 3, ...versionsOf(), targets: 3, obstacles: [] });
  });
  for (const role of ['snapshot', 'timestamp'])
    await operator(
      ...['key', 'make', '--out', scene.at('repo', 'private', 'keys', `${role}.json`)],
    );
  const clock = new TestClock(systemClock());
  await scene.open(clock.read);
  t.teardown(() => scene.stop());
  await during('the move', async () => {
    site.url = scene.url;
    site.home = scene.at('repo');
  });

  const online = (role: string): string => scene.at('repo', 'private', 'keys', `${role}.pub.json`);
  await during('the first root of ours', async () => {
    await operator(
      ...['root', 'rotate', '--yes', '--key', key('r1')],
      ...['--root', scene.at('repo', 'tree', 'metadata', '3.root.json')],
      ...['--add-snapshot', online('snapshot'), '--add-timestamp', online('timestamp')],
      ...['--out', signed('4.root.json')],
    );
    const waiting = await repo('submit', signed('4.root.json'), '--dir', scene.at('repo'));
    t.equal(waiting.exit, 75, 'the second old root key is on another machine');
    await operator(
      ...['pending', 'sign', waiting.data.id, '--yes', '--key', key('r2')],
      ...['--root', pin, '--url', scene.url],
    );
    await scene.repository?.worker.drain();
  });
  const root = JSON.parse(
    await readFile(scene.at('repo', 'tree', 'metadata', '4.root.json'), 'utf8'),
  );
  t.strictSame(
    root.signatures.map(({ keyid }: { keyid: string }) => keyid).sort(),
    [r1, r2].map(foreignId).sort(),
    'signed under the ids of others',
  );
  t.match(root.signed.keys[foreignId(r1)], { keyid_hash_algorithms: ['sha256', 'sha512'] });
  t.equal(root.signed.roles.timestamp.keyids[0], foreignId(FOREIGN_KEYS.timestamp[0] as typeof r1));
  const timestamp = async () =>
    JSON.parse(await readFile(scene.at('repo', 'tree', 'metadata', 'timestamp.json'), 'utf8'));
  t.equal((await timestamp()).signed.version, FOREIGN_VERSIONS.timestamp, 'which stands');

  await during('the rest, and our first timestamp', async () => {
    await scene.repository?.worker.tick();
    t.equal((await timestamp()).signed.version, FOREIGN_VERSIONS.timestamp, 'it rests');
    clock.now += 601;
    await scene.repository?.worker.tick();
    await scene.repository?.worker.tick();
  });
  const { signatures, signed: next } = await timestamp();
  t.ok(next.version > FOREIGN_VERSIONS.timestamp, 'ours continue above theirs');
  t.equal(signatures.length, 1);

  await during('letting go of the old online keys', async () => {
    await operator(
      ...['root', 'rotate', '--yes', '--key', key('r1'), '--key', key('r2')],
      ...['--root', scene.at('repo', 'tree', 'metadata', '4.root.json')],
      ...['--replace-snapshot', online('snapshot'), '--replace-timestamp', online('timestamp')],
      ...['--out', signed('5.root.json')],
    );
    await scene.submit('5.root.json');
  });

  await during('targets of ours', async () => {
    await operator(
      ...['targets', 'renew', '--yes', '--key', key('t1'), '--root', signed('5.root.json')],
      ...['--targets', scene.at('repo', 'tree', 'metadata', '12.targets.json')],
      ...['--out', signed('13.targets.json')],
    );
    await scene.submit('13.targets.json');
  });
  await during('a vendor', () => scene.admit('globex', 14));
  const { findings } = await checkTree(scene.at('repo', 'tree'), { crypto, clock: clock.read });
  t.strictSame(findings, []);
});

const versionsOf = () => ({
  snapshot: FOREIGN_VERSIONS.snapshot,
  timestamp: FOREIGN_VERSIONS.timestamp,
});

/** Where the name of the repository leads. */
interface Site {
  url: string;
  /** The folder in which its tree lies. */
  home: string;
}

type Reader = () => Promise<void>;

/** A host that begins from root 1 each time. */
function newcomer(t: Test, site: Site, pin: string): Reader {
  return async () => {
    const folder = await mkdtemp(join(t.testdirName, 'newcomer-'));
    await read(site, folder, pin);
    await rm(folder, { recursive: true });
  };
}

/** One refresh and two downloads by tuf-js. */
async function read(site: Site, folder: string, pin: string): Promise<void> {
  const [metadataDir, targetDir] = [join(folder, 'metadata'), join(folder, 'targets')];
  for (const place of [metadataDir, targetDir]) mkdirSync(place, { recursive: true });
  const root = join(metadataDir, 'root.json');
  if (!existsSync(root)) await cp(pin, root);
  const updater = new Updater({
    ...{ metadataDir, targetDir },
    metadataBaseUrl: `${site.url}/metadata`,
    targetBaseUrl: `${site.url}/targets`,
  });
  await updater.refresh();
  for (const [i, path] of PATHS.entries()) {
    const info = await updater.getTargetInfo(path);
    if (info === undefined) throw new Error(`tuf-js finds no ${path}`);
    const bytes = readFileSync(await updater.downloadTarget(info, join(targetDir, `${i}`)), 'utf8');
    if (bytes !== FOREIGN_FILES[path]) throw new Error(`tuf-js downloads ${bytes}`);
  }
}

/** Our client, which keeps its floors over all of it. */
function oursAt(site: Site, pin: string): Reader {
  const store = new MemoryStore(readFileSync(pin));
  return async () => {
    for (const path of PATHS) {
      const found = await updaterOf(site.home, new TestClock(systemClock()), store).find(path);
      if (found === undefined) throw new Error(`our client finds no ${path}`);
    }
  };
}
