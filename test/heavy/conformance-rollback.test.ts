// Rollback of each role, and the recovery from a fast-forward by new keys (TUF 5.3.11).

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Subject } from '../conformance/subject.ts';

/** A subject that has seen version 5 of everything. */
async function atFive(t: Parameters<typeof Subject.begin>[0], hashes: boolean): Promise<Subject> {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.withHashes = hashes;
  for (const draft of [sim.timestamp, sim.snapshot, sim.targets]) draft.version = 4;
  sim.publish('targets');
  t.equal(await subject.refresh(), 0);
  t.equal(subject.trusted(), 'root 1, snapshot 5, targets 5, timestamp 5');
  subject.urls();
  return subject;
}

for (const hashes of [false, true]) {
  const kind = hashes ? 'with hashes' : 'without hashes';

  t.test(`rollback of the timestamp, ${kind}`, async (t) => {
    const subject = await atFive(t, hashes);
    subject.sim.timestamp.version = 4;
    t.equal(await subject.refresh(), 1);
    t.equal(subject.asked().at(-1), 'timestamp.json');
    t.equal(subject.trusted(), 'root 1, snapshot 5, targets 5, timestamp 5');
  });

  t.test(`rollback of the snapshot by a new timestamp, ${kind}`, async (t) => {
    const subject = await atFive(t, hashes);
    subject.sim.snapshot.version = 4;
    subject.sim.publishTimestamp();
    t.equal(await subject.refresh(), 1);
    t.equal(subject.asked().at(-1), 'timestamp.json', 'the old snapshot is not asked for');
    t.equal(subject.trusted(), 'root 1, snapshot 5, targets 5, timestamp 5');
  });

  t.test(`rollback of targets by a new snapshot, ${kind}`, async (t) => {
    const subject = await atFive(t, hashes);
    subject.sim.targets.version = 4;
    subject.sim.publish();
    t.equal(await subject.refresh(), 1);
    t.equal(subject.asked().at(-1), '6.snapshot.json', 'the old targets file is not asked for');
    t.equal(subject.trusted(), 'root 1, snapshot 5, targets 5, timestamp 6');
  });

  t.test(`a role that leaves the snapshot, ${kind}`, async (t) => {
    const subject = await atFive(t, hashes);
    const { sim } = subject;
    sim.delegate('targets', 'role');
    sim.publish('targets');
    t.equal(await subject.refresh(), 0);
    sim.roles.delete('role');
    delete sim.snapshot.meta['role.json'];
    sim.publish();
    t.equal(await subject.refresh(), 1);
    t.match(subject.trusted(), 'snapshot 6');
  });
}

t.test(
  'a snapshot that goes back while its timestamp stands still is not even asked for',
  async (t) => {
    const subject = await atFive(t, false);
    subject.sim.snapshot.version = 4;
    subject.sim.timestamp.version = 5;
    t.equal(await subject.refresh(), 0);
    t.same(subject.asked(), ['2.root.json', 'timestamp.json']);
    t.match(subject.trusted(), 'snapshot 5');
  },
);

t.test('a delegated role that goes back', async (t) => {
  const subject = await atFive(t, false);
  const { sim } = subject;
  sim.delegate('targets', 'role');
  sim.role('role').version = 4;
  sim.publish('targets', 'role');
  t.equal(await subject.download('nothing'), 1);
  t.match(subject.trusted(), 'role 5');
  sim.role('role').version = 4;
  sim.publish();
  t.equal(await subject.download('nothing'), 1);
  t.match(subject.said, /E_ROLLBACK/);
  t.match(subject.trusted(), 'role 5');
});

t.test('taking the shown files away makes nothing older acceptable', async (t) => {
  const subject = await atFive(t, false);
  const { sim } = subject;
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    rmSync(join(subject.metadata, `${role}.json`));
  }
  for (const draft of [sim.timestamp, sim.snapshot, sim.targets]) draft.version = 3;
  sim.publish('targets');
  t.equal(await subject.refresh(), 1);
  t.match(subject.said, /E_ROLLBACK/);
  t.equal(subject.trusted(), 'root 1');
  for (const draft of [sim.timestamp, sim.snapshot, sim.targets]) draft.version = 4;
  sim.publish('targets');
  t.equal(await subject.refresh(), 0);
});

t.test('roots are cut short of what was trusted', async (t) => {
  const subject = await Subject.initialised(t);
  subject.sim.nextRoot();
  t.equal(await subject.refresh(), 0);
  subject.sim.roots.delete(2);
  t.equal(await subject.refresh(), 0, 'what is stored is not asked for again');
  t.same(subject.asked().slice(-2), ['3.root.json', 'timestamp.json']);
});

t.test('recovery from a fast-forward, by new keys', async (t) => {
  const cases: [rotated: string[], back: string[], recovers: boolean][] = [
    [['timestamp'], ['timestamp'], true],
    [['snapshot', 'timestamp'], ['snapshot'], true],
    [['snapshot'], ['targets'], true],
    [['timestamp'], ['timestamp', 'snapshot', 'targets'], true],
    [[], ['timestamp'], false],
    [['targets'], ['targets'], false],
    [['root'], ['snapshot'], false],
  ];
  for (const [rotated, back, recovers] of cases) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    for (const draft of [sim.timestamp, sim.snapshot, sim.targets]) draft.version = 99_998;
    sim.publish('targets');
    t.equal(await subject.refresh(), 0);
    t.equal(subject.trusted(), 'root 1, snapshot 99999, targets 99999, timestamp 99999');
    sim.nextRoot(() => {
      for (const role of rotated) sim.rotateKeys(role);
    });
    for (const role of back) {
      const draft = role === 'targets' ? sim.targets : sim[role as 'timestamp'];
      draft.version = 1;
    }
    sim.publish();
    const name = `new keys of ${rotated.join(' and ') || 'nobody'}, ${back.join(' and ')} back at 1`;
    t.equal(await subject.refresh(), recovers ? 0 : 1, name);
    if (recovers) {
      for (const role of back) {
        t.match(subject.trusted(), new RegExp(`${role} [12](,|$)`), name);
      }
    }
  }
});

t.test('a key that is added, and none taken away, recovers nothing', async (t) => {
  const subject = await atFive(t, false);
  const { sim } = subject;
  sim.nextRoot(() => sim.addKey('timestamp'));
  sim.timestamp.version = 2;
  t.equal(await subject.refresh(), 1);
  t.match(subject.trusted(), 'timestamp 5');
});
