/** What must not stop the service from publishing, and what it leaves behind when it is stopped. */

import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { MemoryStore } from '../../client/store/memory.ts';
import { openDatabase } from '../../server/db/open.ts';
import { health } from '../../server/http/health.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository, type Repository } from '../../server/repository.ts';
import type { SubmissionReply } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { IronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, sign, snapshotTree, timestampTree } from '../../shared/tuf/build.ts';
import type { TestClock } from '../support/clock.ts';
import {
  installOnlineKey,
  sha256,
  signedRole,
  signedRoot,
  signedTargets,
  type TestArtifact,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { madeHome, repositoryOptions, updaterOf } from './support.ts';

async function give(repository: Repository, vendor: string, artifact: TestArtifact) {
  for (const [digest, bytes] of artifact.blobs) {
    const body = (async function* () {
      yield bytes;
    })();
    const piece = { vendor, sha256: digest, offset: 0, length: bytes.length, bytes: body };
    await repository.intake.receiver.receive(piece);
  }
}

// The last free name goes to the staged file, or it is taken already.
for (const free of [1, 0]) {
  t.test(`a file with ${free} names left gets into the tree all the same`, async (t) => {
    const { home, clock, acme } = await madeHome(t);
    const repository = await openRepository(repositoryOptions(home, clock));
    t.teardown(() => repository.close());
    const content = utf8('shared by many');
    const artifact = await testArtifact(acme, 'acme/edu/1.0.0/edu.js', content);
    await give(repository, 'acme', artifact);
    const names = join(home, 'names');
    mkdirSync(names);
    try {
      // 65000 on ext4; where there is no such limit, this ends by itself.
      for (let i = 0; i < 70_000; i++)
        linkSync(join(home, data.blob('acme', sha256(content))), join(names, String(i)));
    } catch (error) {
      t.match(error, { code: 'EMLINK' });
      if (free > 0) rmSync(join(names, '0'));
    }
    const bytes = await signedRole(acme, 1, [artifact]);
    const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
    await repository.worker.drain();
    t.equal(repository.intake.find(id, 'acme').state, 'published');
    const place = join(home, 'tree/targets/acme/edu/1.0.0', `${sha256(content)}.edu.js`);
    t.equal((await hashFile(place)).sha256, sha256(content));
    t.equal(lstatSync(place).mode & 0o777, 0o444);
    t.same(readdirSync(join(home, data.staging)), []);
  });
}

t.test('what cannot be staged leaves nothing behind', async (t) => {
  const { home, clock, acme } = await madeHome(t);
  const failures: IronError[] = [];
  const repository = await openRepository(repositoryOptions(home, clock, failures));
  t.teardown(() => repository.close());
  const artifact = await testArtifact(acme);
  await give(repository, 'acme', artifact);
  const bytes = await signedRole(acme, 1, [artifact]);
  const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
  const database = openDatabase(join(home, data.database));
  database.exec(
    "CREATE TRIGGER full BEFORE INSERT ON publications BEGIN SELECT RAISE(FAIL, 'x'); END",
  );
  await t.rejects(repository.worker.drain());
  t.same(readdirSync(join(home, data.staging)), []);
  database.exec('DROP TRIGGER full');
  database.close();
  await repository.worker.drain();
  t.equal(repository.intake.find(id, 'acme').state, 'published', 'and it goes on afterwards');
});

t.test('operators get through however many vendors wait for them', async (t) => {
  const { home, clock, operators, acme } = await madeHome(t);
  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  const artifact = await testArtifact(acme);
  await give(repository, 'acme', artifact);
  clock.days(183);
  const bytes = await signedRole(acme, 1, [artifact], { expires: clock.now + DAY });
  const ids: string[] = [];
  // More than are published together.
  for (let i = 0; i < 40; i++) {
    const submission = { vendor: 'acme', role: 'acme', bytes };
    ids.push((await repository.intake.submitRole(submission)).id);
  }
  await repository.worker.drain();
  const stateOf = (id: string, vendor?: string) => repository.intake.find(id, vendor).state;
  t.equal(stateOf(ids[0] as string, 'acme'), 'queued', 'the targets have expired');
  const targets = await signedTargets(operators, 2, [acme], { expires: clock.now + DAY });
  const { id } = await repository.intake.submitOperatorFiles([targets], false);
  await repository.worker.drain();
  t.equal(stateOf(id), 'published');
  const states = ids.map((one) => stateOf(one, 'acme'));
  t.same(states, ['published', ...Array.from({ length: 39 }, () => 'refused')]);
});

const check = (home: string, clock: TestClock) =>
  checkTree(join(home, 'tree'), { crypto: platformCrypto, clock: clock.read });

t.test('what a commit without its journal left in the tree stops nobody else', async (t) => {
  const { home, clock, operators, acme } = await madeHome(t);
  const globex = testVendor('globex', { hardwareIds: ['PCI:0x1234'] });
  const [ours, theirs] = [await testArtifact(acme), await testArtifact(globex)];
  const expires = clock.now + DAY;
  let dies = false;
  const dying = await openRepository({
    ...repositoryOptions(home, clock),
    observe(point) {
      if (dies && point === 'placed metadata/3.snapshot.json') throw new Error('power cut');
    },
  });
  const targets = await signedTargets(operators, 2, [acme, globex]);
  await dying.intake.submitOperatorFiles([targets], false);
  await dying.worker.drain();
  await give(dying, 'acme', ours);
  const first = await signedRole(acme, 1, [ours]);
  await dying.intake.submitRole({ vendor: 'acme', role: 'acme', bytes: first });
  dies = true;
  await t.rejects(dying.worker.drain(), /power cut/);
  await dying.close();
  rmSync(join(home, data.private, 'staging'), { recursive: true });
  for (const suffix of ['', '-wal', '-shm'])
    rmSync(join(home, data.database + suffix), { force: true });

  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  // Those of acme are in the tree, and in the index that was made from it.
  await give(repository, 'globex', theirs);
  const submit = async (vendor: string, bytes: Uint8Array): Promise<SubmissionReply> => {
    const { id } = await repository.intake.submitRole({ vendor, role: vendor, bytes });
    await repository.worker.drain();
    return repository.intake.find(id, vendor);
  };
  const { findings } = await check(home, clock);
  t.match(
    findings.map(({ at }) => at).filter((at) => at.startsWith('metadata/')),
    ['metadata/3.snapshot.json', 'metadata/1.acme.json'],
  );
  const other = await submit('acme', await signedRole(acme, 1, [ours], { expires }));
  t.match(other, { state: 'refused', error: { code: 'E_EXISTS' } });
  t.equal((await submit('globex', await signedRole(globex, 1, [theirs]))).state, 'published');
  t.equal((await repository.current.need()).snapshot.version, 4, 'past the name that is taken');
  t.equal((await submit('acme', first)).state, 'published', 'the very bytes are no conflict');
  // Snapshot 3 was never current; fsck, which cannot know that, goes on saying what it sees.
  const after = (await check(home, clock)).findings;
  t.same(after, [{ at: 'metadata/4.snapshot.json', what: 'acme went back from 1 to 0' }]);
});

for (const both of [false, true]) {
  const what = both ? 'snapshot and timestamp' : 'a timestamp';
  t.test(`${what} of a thief on our own disk`, async (t) => {
    const { home, clock, operators, acme } = await madeHome(t);
    const far = Number.MAX_SAFE_INTEGER;
    const file = (path: string) => join(home, 'tree', path);
    let meta = { version: 1, bytes: readFileSync(file('metadata/1.snapshot.json')) as Uint8Array };
    if (both) {
      const stolen = snapshotTree(far, clock.now + DAY, new Map([['targets', 1]]));
      const signatures = await sign(platformCrypto, stolen, operators.snapshot);
      meta = { version: far, bytes: formatMetadata(stolen, signatures) };
      writeFileSync(file(tree.metadata('snapshot', far)), meta.bytes);
    }
    const { version, bytes } = meta;
    const named = { version, length: bytes.length, sha256: sha256(bytes) };
    const timestamp = timestampTree(far, clock.now + DAY, named);
    const signatures = await sign(platformCrypto, timestamp, operators.timestamp);
    writeFileSync(file(tree.timestamp), formatMetadata(timestamp, signatures));
    const host = new MemoryStore(readFileSync(file('metadata/1.root.json')));
    await updaterOf(home, clock, host).refresh();

    const repository = await openRepository(repositoryOptions(home, clock));
    t.teardown(() => repository.close());
    const artifact = await testArtifact(acme);
    await give(repository, 'acme', artifact);
    const role = await signedRole(acme, 1, [artifact]);
    const waiting = await repository.intake.submitRole({
      vendor: 'acme',
      role: 'acme',
      bytes: role,
    });
    await repository.worker.drain();
    t.equal(repository.intake.find(waiting.id, 'acme').state, 'queued', 'vendors wait');
    t.match(await health(repository.current, clock.now), { status: 503 });
    const same = await signedTargets(operators, 2, [acme]);
    const idle = await repository.intake.submitOperatorFiles([same], false);
    await repository.worker.drain();
    const refused = repository.intake.find(idle.id, undefined);
    t.match(refused, { state: 'refused', error: { code: 'E_VERSION', hint: /root rotate/ } });

    const next = {
      ...operators,
      snapshot: [await installOnlineKey(home, 'snapshot.next')],
      timestamp: [await installOnlineKey(home, 'timestamp.next')],
    };
    const { id } = await repository.intake.submitOperatorFiles([await signedRoot(next, 2)], false);
    await repository.worker.drain();
    t.equal(repository.intake.find(id, undefined).state, 'published');
    t.equal(repository.intake.find(waiting.id, 'acme').state, 'published');
    const trusted = await updaterOf(home, clock, host).refresh();
    t.equal(trusted.requireFreshTimestamp().version, 2, 'counted anew: the root, then acme');
    const { findings } = await check(home, clock);
    const stolen = tree.metadata('snapshot', far);
    t.same([...new Set(findings.map(({ at }) => at))], both ? [stolen] : []);
  });
}

t.test('of what a vendor was refused the last is kept', async (t) => {
  const { home, clock, acme } = await madeHome(t);
  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  const bytes = await signedRole(acme, 7, []);
  const ids: string[] = [];
  for (let i = 0; i < SERVER_LIMITS.refused + 2; i++) {
    const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
    ids.push(id);
  }
  for (const id of ids.slice(0, 2))
    t.throws(() => repository.intake.find(id, 'acme'), { code: 'E_NOT_FOUND' });
  for (const id of ids.slice(2))
    if (repository.intake.find(id, 'acme').state !== 'refused') t.fail(`${id} is not kept`);
});

for (const what of ['of a start that was cut short', 'of a backup']) {
  t.test(`the database ${what} learns what was published`, async (t) => {
    const { home, clock, acme } = await madeHome(t);
    const database = join(home, data.database);
    const backup = join(home, 'backup');
    copyFileSync(database, backup);
    const path = 'acme/edu/1.0.0/edu.js';
    const artifact = await testArtifact(acme, path);
    const repository = await openRepository(repositoryOptions(home, clock));
    await give(repository, 'acme', artifact);
    for (const bytes of [await signedRole(acme, 1, [artifact]), await signedRole(acme, 2, [])]) {
      await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
      await repository.worker.drain();
    }
    t.equal((await repository.current.need()).version('acme'), 2, 'published and withdrawn');
    await repository.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(database + suffix, { force: true });
    if (what === 'of a backup') copyFileSync(backup, database);
    else openDatabase(database).close();

    const again = await openRepository(repositoryOptions(home, clock));
    t.teardown(() => again.close());
    const other = await testArtifact(acme, path, utf8('other bytes'));
    await give(again, 'acme', other);
    const bytes = await signedRole(acme, 3, [other]);
    const reply = await again.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
    t.match(reply, { state: 'refused', error: { code: 'E_EXISTS' } });
  });
}

t.test('somebody else writes into the tree while we publish', async (t) => {
  const { home, clock, acme } = await madeHome(t);
  const timestamp = join(home, 'tree', tree.timestamp);
  const ours = readFileSync(timestamp);
  const repository = await openRepository({
    ...repositoryOptions(home, clock),
    observe(point) {
      if (point === 'preflighted') writeFileSync(timestamp, `${ours} `);
    },
  });
  const artifact = await testArtifact(acme);
  await give(repository, 'acme', artifact);
  const bytes = await signedRole(acme, 1, [artifact]);
  const { id } = await repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
  const before = readdirSync(join(home, 'tree'), { recursive: true }).sort();
  await t.rejects(repository.worker.drain(), { code: 'E_CONFLICT' });
  const after = readdirSync(join(home, 'tree'), { recursive: true }).sort();
  t.same(after, before, 'nothing was placed');
  await repository.close();
  await t.rejects(openRepository(repositoryOptions(home, clock)), { code: 'E_CONFLICT' });

  writeFileSync(timestamp, ours);
  const again = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => again.close());
  t.equal(again.recovered.finished, 1);
  t.equal(again.intake.find(id, 'acme').state, 'published');
});

t.test('one service writes into one folder', async (t) => {
  const { home, clock } = await madeHome(t);
  const first = await openRepository(repositoryOptions(home, clock));
  await t.rejects(openRepository(repositoryOptions(home, clock)), { code: 'E_LOCKED' });
  await first.close();
  // What a killed one left, whoever has its number now.
  writeFileSync(join(home, data.writerLock, '..', 'writer.lock.holder'), 'process 1: a test');
  const second = await openRepository(repositoryOptions(home, clock));
  await second.close();
});

t.test('a link in the tree is found, wherever it leads', async (t) => {
  const { home, clock } = await madeHome(t);
  const place = join(home, 'tree', tree.metadata('snapshot', 1));
  renameSync(place, join(home, 'moved.json'));
  symlinkSync(join(home, 'moved.json'), place);
  symlinkSync('/', join(home, 'tree/targets-of-all'));
  const found = (await check(home, clock)).findings.map(({ at }) => at);
  t.ok(found.includes('metadata/1.snapshot.json'));
  t.ok(found.includes('targets-of-all'));
});
