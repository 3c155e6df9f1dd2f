/** Names that only a lost version listed, when the index is made again. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { withLost } from '../../server/ceremony/lost.ts';
import { BlobIndex } from '../../server/db/blob-index.ts';
import { openDatabase } from '../../server/db/open.ts';
import { program } from '../../server/main.ts';
import { data, tree } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, sign } from '../../shared/tuf/build.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { running, startOver, temporaryHome } from './support.ts';

const PATH = 'acme/edu/1.0.0/edu.js';

/** A repository of which acme 2 is lost, which alone listed `PATH`. */
async function lossy(t: Test) {
  const it = await running(t);
  const [gone, stays] = [
    await testArtifact(it.acme, PATH),
    await testArtifact(it.acme, 'acme/edu/2.0.0/edu.js'),
  ];
  await it.caller.uploadAll([gone, stays]);
  await it.caller.submit('acme', await signedRole(it.acme, 1, []));
  await it.caller.submit('acme', await signedRole(it.acme, 2, [gone]));
  await it.caller.submit('acme', await signedRole(it.acme, 3, [stays]));
  t.equal((await it.repository.current.need()).version('acme'), 3);
  const digests = (): string[] => {
    const db = openDatabase(join(it.home, data.database));
    try {
      return new BlobIndex(db).digestsOf(PATH);
    } finally {
      db.close();
    }
  };
  const before = digests();
  t.equal(before.length, 1);
  await it.stop();
  rmSync(join(it.home, data.tree, tree.metadata('acme', 2)));
  return { it, digests, before, sha256: before[0] as string };
}

const fsck = (home: string) =>
  runInProcess(program, ['fsck', '--rebuild', '--dir', home, '--json']);

/** Bytes and evidence of the artifact, which fell victim to the same. */
function loseBytes(home: string): void {
  const folder = dirname(join(home, data.tree, tree.target(PATH, '0'.repeat(64))));
  rmSync(folder, { recursive: true });
}

function loseDatabase(home: string): void {
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(home, data.database) + suffix, { force: true });
}

t.test('what the index knew stays known, and other bytes are refused', async (t) => {
  const { it, digests, before } = await lossy(t);
  loseBytes(it.home);
  await fsck(it.home);
  t.same(digests(), before);
  const again = await startOver(t, it);
  const other = await testArtifact(it.acme, PATH, Buffer.from('other bytes'));
  await again.caller.uploadAll([other]);
  t.match(await again.caller.submit('acme', await signedRole(it.acme, 4, [other])), {
    state: 'refused',
    error: { code: 'E_EXISTS' },
  });
  const same = await testArtifact(it.acme, PATH);
  await again.caller.uploadAll([same]);
  t.match(await again.caller.submit('acme', await signedRole(it.acme, 4, [same])), {
    state: 'published',
  });
});

t.test('without the database the places of the bytes say it, and those of marks', async (t) => {
  const { it, digests, before, sha256 } = await lossy(t);
  loseDatabase(it.home);
  await fsck(it.home);
  t.same(digests(), before);
  const db = openDatabase(join(it.home, data.database));
  t.equal(new BlobIndex(db).find('acme', sha256), undefined, 'nobody vouches for the bytes');
  db.close();
  loseDatabase(it.home);
  loseBytes(it.home);
  const mark = join(it.home, data.tree, tree.mark(tree.target(PATH, sha256)) as string);
  mkdirSync(dirname(mark), { recursive: true });
  writeFileSync(mark, '');
  await fsck(it.home);
  t.same(digests(), before);
  rmSync(mark);
  loseDatabase(it.home);
  await fsck(it.home);
  t.same(digests(), [], 'what nothing says nobody knows');
});

t.test('of a vendor of whom nothing lacks the tree alone counts', async (t) => {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  await it.caller.submit('acme', await signedRole(it.acme, 1, [artifact]));
  await it.stop();
  const db = openDatabase(join(it.home, data.database));
  const wrong = {
    path: 'acme/edu/9.9.9/edu.js',
    sha256: 'a'.repeat(64),
    length: 1,
    vendor: 'acme',
  };
  new BlobIndex(db).add([wrong]);
  db.close();
  await fsck(it.home);
  const after = openDatabase(join(it.home, data.database));
  t.same(new BlobIndex(after).digestsOf(wrong.path), [], 'an index that is wrong is healed');
  t.equal(new BlobIndex(after).digestsOf('acme/edu/1.0.0/edu.js').length, 1);
  after.close();
});

t.test('a backup with its digest brings it, when the loss was declared', async (t) => {
  const { it, before } = await lossy(t);
  loseBytes(it.home);
  const again = await startOver(t, it);
  const { intake, worker, current } = again.repository;
  const { targets } = await current.need();
  const signed = withLost(targets, [tree.metadata('acme', 2)], it.clock.now + 182 * DAY);
  const bytes = formatMetadata(signed, await sign(crypto, signed, it.operators.targets));
  await intake.submitOperatorFiles([bytes], false);
  await worker.drain();
  await again.stop();
  t.same(documentOf(await fsck(it.home)).data.findings, []);
  const out = join(temporaryHome(t), 'backup');
  const { sha256 } = await makeBackup({ home: it.home, out, crypto, clock: it.clock.read });
  const home = join(temporaryHome(t), 'again');
  await restoreBackup({ from: out, home, crypto, sha256 });
  const db = openDatabase(join(home, data.database));
  t.same(new BlobIndex(db).digestsOf(PATH), before);
  db.close();
});
