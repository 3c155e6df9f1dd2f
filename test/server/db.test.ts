/** The memory of nonces over power cuts, submissions that come together, and lists of targets. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { Nonces } from '../../server/db/nonces.ts';
import { type Db, openDatabase } from '../../server/db/open.ts';
import { type NewSubmission, Queue } from '../../server/db/queue.ts';
import {
  type PlacedTarget,
  readTargetList,
  targetListOf,
  writeTargetList,
} from '../../server/publish/target-list.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { TODAY } from '../support/clock.ts';
import { temporaryHome } from './support.ts';

function database(t: Test): Db {
  const db = openDatabase(join(temporaryHome(t), 'state.sqlite'));
  t.teardown(() => db.close());
  return db;
}

const request = (nonce: string, created = TODAY) => ({
  keyid: 'k',
  nonce,
  created,
  expires: created + 60,
});

t.test('a nonce counts once, also for the next process of this boot', async (t) => {
  const db = database(t);
  new Nonces(db, 'boot 1').take(request('a'), TODAY);
  const next = new Nonces(db, 'boot 1');
  t.throws(() => next.take(request('a'), TODAY), { code: 'E_REPLAY' });
  next.take(request('b'), TODAY);
});

t.test('after a power cut nothing counts that may have counted before it', async (t) => {
  const db = database(t);
  new Nonces(db, 'boot 1').take(request('a'), TODAY);
  // What was not waited for is what the power takes.
  db.prepare('DELETE FROM nonces').run();
  const next = new Nonces(db, 'boot 2');
  t.throws(() => next.take(request('a'), TODAY), { code: 'E_REPLAY' });
  t.throws(() => next.take(request('new', TODAY + 5), TODAY + 5), { code: 'E_REPLAY' });
  next.take(request('new', TODAY + 11), TODAY + 11);
  // Also when the service starts again, and when the power goes again.
  const again = new Nonces(db, 'boot 2');
  t.throws(() => again.take(request('a'), TODAY + 12), { code: 'E_REPLAY' });
  const third = new Nonces(db, 'boot 3');
  t.throws(() => third.take(request('new', TODAY + 11), TODAY + 12), { code: 'E_REPLAY' });
  third.take(request('newer', TODAY + 22), TODAY + 22);
});

const submission = (id: string, vendor = 'acme'): NewSubmission => ({
  id,
  vendor,
  role: vendor,
  version: 1,
  verdicts: [{ check: 'role', ok: true, detail: 'fine' }],
  files: [new Uint8Array([1])],
});

t.test('submissions that come together are added together, and refused alone', async (t) => {
  const queue = new Queue(database(t));
  const ids = Array.from({ length: SERVER_LIMITS.queued + 2 }, (_, i) => `s${i}`);
  const ended = await Promise.allSettled([
    ...ids.map((id) => queue.add(submission(id), TODAY)),
    queue.add(submission('other', 'beta'), TODAY),
  ]);
  const states = ended.map(({ status }) => status);
  t.equal(states.filter((state) => state === 'rejected').length, 2, 'those over the quota');
  t.equal(states.at(-1), 'fulfilled', 'another vendor is not refused for it');
  t.equal(queue.get('s0')?.state, 'queued');
  t.same(queue.get(`s${SERVER_LIMITS.queued}`), undefined);
  t.equal(queue.get('other')?.verdicts.length, 1);
  t.match(
    queue.nextOfVendors(8).map(({ id, files }) => [id, files.length]),
    [
      ['s0', 1],
      ['other', 1],
    ],
  );
});

t.test('a list of targets comes back as it was written, and nothing else does', async (t) => {
  const home = temporaryHome(t);
  const parts = { home };
  const path = targetListOf(parts, 'id');
  mkdirSync(dirname(path), { recursive: true });
  t.same(await readTargetList(parts, 'id'), [], 'none is none');
  const targets: PlacedTarget[] = [
    { place: 'targets/acme/a/1/x.b "c"', from: join(home, 'private/quarantine/acme/x') },
    { place: 'targets/acme/a/1/y.d', from: join(home, 'tree/targets/acme/a/0/y.d') },
  ];
  await writeTargetList(parts, 'id', targets);
  t.same(await readTargetList(parts, 'id'), targets);
  for (const line of [
    'x',
    '[]',
    '["targets/a"]',
    '["metadata/timestamp.json","private/quarantine/acme/x"]',
    '["targets/../metadata/1.root.json","private/quarantine/acme/x"]',
    '["targets/a","private/keys/snapshot.json"]',
    '["targets/a","private/quarantine/../keys/snapshot.json"]',
    '["targets/a","private/quarantine/acme/x"',
    '["targets/a","private/quarantine/acme/x",1]',
  ]) {
    writeFileSync(path, `${line}\n`);
    await t.rejects(readTargetList(parts, 'id'), { code: 'E_STORE' }, line);
  }
});
