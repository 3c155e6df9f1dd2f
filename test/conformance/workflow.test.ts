// What a refresh accepts, role by role: how far it comes, what it then shows, what it asked for.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { testKey } from '../support/keys.ts';
import type { FileDraft, RoleDraft, SnapshotDraft } from '../support/simulator.ts';
import { Subject } from './subject.ts';

/** A subject whose repository stands at version 2 everywhere, of which it has seen nothing. */
async function atTwo(t: Parameters<typeof Subject.begin>[0]): Promise<Subject> {
  const subject = await Subject.initialised(t);
  subject.sim.nextRoot();
  subject.sim.publish('targets');
  return subject;
}

/** How far a refresh comes when one role is wrong. */
const UP_TO: Readonly<Record<string, string>> = {
  root: 'root 1',
  timestamp: 'root 2',
  snapshot: 'root 2, timestamp 2',
  targets: 'root 2, snapshot 2, timestamp 2',
};

for (const [role, trusted] of Object.entries(UP_TO)) {
  t.test(`${role} signed by nobody, or by a stranger`, async (t) => {
    for (const signers of [[], [testKey('stranger')]]) {
      const subject = await atTwo(t);
      subject.sim.signers.set(role, signers);
      if (role === 'root') subject.sim.publishRoot(signers);
      t.equal(await subject.refresh(), 1);
      t.equal(subject.trusted(), trusted);
    }
  });

  t.test(`${role} of another version than the one asked for`, async (t) => {
    // A timestamp has no version in its name.
    if (role === 'timestamp') return;
    const subject = await atTwo(t);
    const { sim } = subject;
    const draft = role === 'root' ? sim.root : role === 'snapshot' ? sim.snapshot : sim.targets;
    draft.version = 3;
    const bytes = role === 'root' ? sim.publishRoot() : sim.fileOf(role);
    draft.version = 2;
    sim.overrides.set(`metadata/2.${role}.json`, bytes);
    t.equal(await subject.refresh(), 1);
    t.equal(subject.trusted(), trusted);
  });

  t.test(`${role} of another type, signed by its keys`, async (t) => {
    const subject = await atTwo(t);
    const { sim } = subject;
    const other = role === 'snapshot' ? 'timestamp' : 'snapshot';
    if (role === 'targets') sim.targets._type = other;
    else sim[role as 'timestamp']._type = other;
    if (role === 'root') sim.publishRoot();
    t.equal(await subject.refresh(), 1);
    t.equal(subject.trusted(), trusted);
  });
}

t.test('a timestamp that is a snapshot in all but its place', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.nextRoot(() => sim.addKey('snapshot', sim.signers.get('timestamp')?.[0]));
  sim.snapshot.meta = { 'snapshot.json': { version: 1 } };
  sim.snapshot.version = 2;
  sim.overrides.set('metadata/timestamp.json', sim.fileOf('snapshot'));
  t.equal(await subject.refresh(), 1);
  t.equal(subject.trusted(), 'root 2');
});

t.test('files that are not there', async (t) => {
  const cases = {
    'timestamp.json': ['root 1, snapshot 1, targets 1, timestamp 1', 'timestamp.json'],
    '2.snapshot.json': ['root 1, snapshot 1, targets 1, timestamp 2', '2.snapshot.json'],
    '2.targets.json': ['root 1, snapshot 2, targets 1, timestamp 2', '2.targets.json'],
  };
  const subject = await Subject.initialised(t);
  for (const [file, [trusted, last]] of Object.entries(cases)) {
    const subject = await Subject.initialised(t);
    t.equal(await subject.refresh(), 0);
    subject.sim.publish('targets');
    subject.sim.overrides.set(`metadata/${file}`, null);
    subject.urls();
    t.equal(await subject.refresh(), 1, file);
    t.equal(subject.trusted(), trusted);
    t.equal(subject.asked().at(-1), last, 'nothing is asked for after it');
    subject.sim.overrides.clear();
    t.equal(await subject.refresh(), 0, 'and when it is there again');
    t.equal(subject.trusted(), 'root 1, snapshot 2, targets 2, timestamp 2');
  }
  // A server's 403 for what is not there ends the chain of roots as a 404 does.
  subject.served.misbehave = (_request, response, path) => {
    if (!path.endsWith('root.json')) return false;
    response.writeHead(403).end();
    return true;
  };
  t.equal(await subject.refresh(), 0);
});

t.test('a timestamp of the same version and other content is not taken up', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  const before = subject.bytes('timestamp');
  (subject.sim.timestamp.meta['snapshot.json'] as FileDraft).version = 100;
  subject.urls();
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked(), ['2.root.json', 'timestamp.json'], 'snapshot 100 is not asked for');
  t.same(subject.bytes('timestamp'), before);
});

t.test('a newer targets file that no snapshot names is not asked for', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  subject.sim.targets.version = 2;
  subject.urls();
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked(), ['2.root.json', 'timestamp.json']);
});

t.test('a snapshot that the timestamp does not name yet', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.snapshot.version = 2;
  subject.sim.overrides.set('metadata/1.snapshot.json', subject.sim.fileOf('snapshot'));
  t.equal(await subject.refresh(), 1);
  t.equal(subject.trusted(), 'root 1, timestamp 1');
  t.equal(subject.asked().at(-1), '1.snapshot.json');
});

t.test('lengths and hashes of metadata, in timestamp and snapshot', async (t) => {
  const wrong = '46'.repeat(32);
  const roles: [role: string, by: (sim: Subject['sim']) => SnapshotDraft, trusted: string][] = [
    ['snapshot', (sim) => sim.timestamp, 'root 1, snapshot 2, targets 2, timestamp 3'],
    ['targets', (sim) => sim.snapshot, 'root 1, snapshot 3, targets 2, timestamp 3'],
  ];
  for (const [role, by, trusted] of roles) {
    for (const change of [{ hashes: { sha256: wrong } }, { length: 10 }, { length: 900_000 }]) {
      const subject = await Subject.initialised(t);
      subject.sim.withHashes = true;
      subject.sim.publish('targets');
      t.equal(await subject.refresh(), 0, 'the right ones');
      subject.sim.publish('targets');
      const draft = by(subject.sim);
      const entry = draft.meta[`${role}.json`] as FileDraft;
      draft.meta[`${role}.json`] = { ...entry, ...change };
      // A changed snapshot is another file than the timestamp described.
      if (role === 'targets') {
        subject.sim.timestamp.version--;
        subject.sim.publishTimestamp();
      }
      t.equal(await subject.refresh(), 1, `${role} ${JSON.stringify(change)}`);
      t.equal(subject.trusted(), trusted);
    }
  }
});

t.test('fields that nobody knows are part of what is signed', async (t) => {
  const subject = await Subject.initialised(t);
  t.equal(await subject.refresh(), 0);
  const { sim } = subject;
  sim.nextRoot(() => {
    const key = sim.addKey('root');
    Object.assign(sim.root.keys[key.keyid] as object, { 'x-owner': { a: 1, b: [null, 'ü'] } });
    Object.assign(sim.root.roles.root as object, { 'x-note': 'value' });
    sim.root['custom-field'] = 'value';
  });
  sim.targets['x-custom'] = { deep: [{ er: 1 }] };
  sim.publish('targets');
  t.equal(await subject.refresh(), 0);
  t.equal(subject.trusted(), 'root 2, snapshot 2, targets 2, timestamp 2');
});

t.test('keyid_hash_algorithms, which is no field of the format, changes nothing', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.nextRoot(() => {
    const { keyids } = sim.root.roles.snapshot as RoleDraft;
    Object.assign(sim.root.keys[keyids[0] as string] as object, { keyid_hash_algorithms: ['md5'] });
  });
  t.equal(await subject.refresh(), 0);
  t.match(subject.trusted(), 'root 2');
});

t.test('a repository without consistent snapshots', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.nextRoot(() => {
    sim.root.consistent_snapshot = false;
  });
  sim.delegate('targets', '../a', { paths: ['d/*'] });
  sim.addTarget('../a', 'd/x', utf8('content'));
  sim.publish('targets');
  t.equal(await subject.download('d/x'), 0);
  const expected = ['timestamp.json', 'snapshot.json', 'targets.json', '..%2Fa.json'];
  t.same(subject.urls(), [
    ...['2.root.json', '3.root.json', ...expected].map((name) => `metadata/${name}`),
    'targets/d/x',
  ]);
  t.same(subject.downloaded(), { 'd%2Fx': 'content' });
});

t.test('a chain of roots, and no more of it at once than the limit', async (t) => {
  const subject = await Subject.initialised(t);
  for (let i = 0; i < 260; i++) subject.sim.nextRoot();
  t.equal(await subject.refresh(), 0);
  const asked = subject.asked();
  t.same(asked.slice(0, 2), ['2.root.json', '3.root.json']);
  t.same(asked.slice(255, 257), ['257.root.json', 'timestamp.json']);
  t.match(subject.trusted(), 'root 257');
  t.equal(await subject.refresh(), 0);
  t.same(subject.asked().slice(0, 5), [
    ...['258.root.json', '259.root.json', '260.root.json', '261.root.json', '262.root.json'],
  ]);
  t.match(subject.trusted(), 'root 261');
});

t.test('files over their bounds are not read', async (t) => {
  const big: Record<string, number> = {
    '2.root.json': 512_001,
    'timestamp.json': 16_385,
    '1.snapshot.json': 2_000_001,
    '1.targets.json': 5_000_001,
  };
  for (const [file, length] of Object.entries(big)) {
    const subject = await Subject.initialised(t);
    subject.sim.overrides.set(`metadata/${file}`, new Uint8Array(length).fill(0x20));
    t.equal(await subject.refresh(), 1, file);
    t.match(subject.said, /E_TOO_LARGE/);
  }
});

t.test('what is no metadata at all', async (t) => {
  const subject = await Subject.initialised(t);
  for (const text of [
    '',
    'null',
    '[]',
    '{"signed":null,"signatures":[]}',
    '{"a":1,"a":2}',
    '\ufeff{}',
  ]) {
    subject.sim.overrides.set('metadata/timestamp.json', utf8(text));
    t.equal(await subject.refresh(), 1, JSON.stringify(text));
  }
  subject.sim.overrides.clear();
  const deep = `${'['.repeat(5000)}${']'.repeat(5000)}`;
  subject.sim.overrides.set('metadata/2.root.json', utf8(`{"signatures":[],"signed":${deep}}`));
  t.equal(await subject.refresh(), 1, 'a deep one');
  t.equal(subject.trusted(), 'root 1');
});
