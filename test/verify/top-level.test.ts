// TUF 5.4 to 5.6: timestamp, snapshot and targets. One test a rule, named for the attack.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { NO_FLOORS } from '../../shared/verify/floors.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import {
  digest,
  type FileDraft,
  fileName,
  type SnapshotDraft,
  signFile,
} from '../support/simulator.ts';

const entry = (draft: SnapshotDraft, file: string): FileDraft => draft.meta[file] as FileDraft;

t.test('forged files: signed by a stranger', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    const host = new Host();
    host.sim.signers.set(role, [testKey('stranger')]);
    await t.rejects(host.refresh(), { code: 'E_THRESHOLD' }, role);
    t.equal(await host.stored(role), 0, `${role} is not stored`);
  }
});

t.test('cut and paste: signed by another role of the same repository', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    const host = new Host();
    const other = role === 'targets' ? 'snapshot' : 'targets';
    host.sim.signers.set(role, host.sim.signers.get(other) ?? []);
    await t.rejects(host.refresh(), { code: 'E_THRESHOLD' }, role);
  }
});

t.test('wrong type: one role in the place of another, under keys that sign both', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    const host = new Host();
    const draft = role === 'targets' ? host.sim.targets : host.sim[role as 'timestamp'];
    draft._type = role === 'timestamp' ? 'snapshot' : 'timestamp';
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, role);
  }
});

t.test('another specification', async (t) => {
  for (const version of ['2.0.0', '0.9', '1', '1.0.0.0', 'x', '01.0.0']) {
    const host = new Host();
    host.sim.timestamp.spec_version = version;
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, version);
  }
  const host = new Host();
  host.sim.timestamp.spec_version = '1.99.0';
  await host.refresh();
  t.equal(await host.stored('timestamp'), 1, 'a newer minor version is read');
});

t.test('rollback of timestamp (TUF 5.4.3.1)', async (t) => {
  const host = new Host();
  host.sim.timestamp.version = 5;
  await host.refresh();
  host.sim.timestamp.version = 4;
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  t.equal(await host.stored('timestamp'), 5);
});

t.test('rollback of the snapshot that a new timestamp names (TUF 5.4.3.2)', async (t) => {
  const host = new Host();
  host.sim.publish();
  await host.refresh();
  host.sim.snapshot.version = 1;
  host.sim.publishTimestamp();
  host.sim.takeRequests();
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  t.equal(host.sim.requests.at(-1), 'metadata/timestamp.json', 'the old snapshot is not fetched');
  t.equal(await host.stored('timestamp'), 2, 'nor is the timestamp that names it stored');
});

t.test('rollback of a role that a new snapshot lists (TUF 5.5.5, CVE-2022-29173)', async (t) => {
  const host = new Host();
  host.sim.publish('targets');
  await host.refresh();
  host.sim.targets.version = 1;
  host.sim.publish();
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  t.equal(await host.stored('snapshot'), 2);
  t.equal(await host.stored('targets'), 2);
});

t.test('a role that is dropped from the snapshot (TUF 5.5.5)', async (t) => {
  const host = new Host();
  host.sim.delegate('targets', 'acme', { paths: ['acme/*'] });
  host.sim.publish('targets');
  await host.refresh();
  delete host.sim.snapshot.meta['acme.json'];
  host.sim.snapshot.version++;
  host.sim.publishTimestamp();
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  t.equal(await host.stored('snapshot'), 2);
});

t.test('floors outlive the stored files: deleting a file revives no older one', async (t) => {
  for (const lost of ['timestamp', 'snapshot', 'targets']) {
    const host = new Host();
    host.sim.publish('targets');
    host.sim.publish('targets');
    await host.refresh();
    await host.store.remove('timestamp');
    await host.store.remove(lost);
    if (lost === 'timestamp') host.sim.timestamp.version = 1;
    if (lost === 'snapshot') {
      host.sim.snapshot.version = 1;
      host.sim.publishTimestamp();
    }
    if (lost === 'targets') {
      await host.store.remove('snapshot');
      host.sim.targets.version = 1;
      host.sim.publish();
    }
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' }, lost);
  }
});

t.test('a timestamp that was seen is a floor, though its snapshot did not change', async (t) => {
  const host = new Host();
  await host.refresh();
  host.sim.publishTimestamp();
  await host.refresh();
  await host.store.remove('timestamp');
  host.sim.timestamp.version = 1;
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
});

t.test('freeze: an expired file is not built on, wherever it stands', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    const host = new Host();
    await host.refresh();
    const draft = role === 'targets' ? host.sim.targets : host.sim[role as 'timestamp'];
    draft.expires = host.sim.expiry(-1);
    if (role === 'targets') host.sim.publish('targets');
    else if (role === 'snapshot') host.sim.publish();
    else host.sim.publishTimestamp();
    const floors = await host.store.floors();
    await t.rejects(host.refresh(), { code: 'E_EXPIRED' }, role);
    t.equal(await host.stored(role), 1, `${role} is not replaced by it`);
    if (role === 'timestamp') t.strictSame(await host.store.floors(), floors, 'nor a floor raised');
  }
});

t.test(
  'freeze: a mirror that serves the same files for ever is found out by the clock',
  async (t) => {
    const host = new Host();
    await host.refresh();
    host.clock.days(2);
    await t.rejects(host.refresh(), { code: 'E_EXPIRED' });
  },
);

t.test(
  'an expired stored timestamp and snapshot are still floors, and can be followed',
  async (t) => {
    const host = new Host();
    host.sim.publish('targets');
    host.sim.publish('targets');
    await host.refresh();
    host.clock.days(20);
    for (const draft of [host.sim.timestamp, host.sim.snapshot])
      draft.expires = host.sim.expiry(40);
    const { version } = host.sim.timestamp;
    host.sim.timestamp.version = version - 1;
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' }, 'older than the expired one');
    host.sim.timestamp.version = version;
    host.sim.publish('targets');
    await host.refresh();
    t.equal(await host.stored('timestamp'), version + 1);
  },
);

t.test('a stored snapshot that expired is a floor, and fetched again', async (t) => {
  const host = new Host();
  host.sim.publish('targets');
  host.sim.timestamp.expires = host.sim.expiry(40);
  await host.refresh();
  host.clock.days(20);
  host.sim.takeRequests();
  await t.rejects(host.refresh(), { code: 'E_EXPIRED' }, 'the same one comes again');
  t.equal(host.sim.takeRequests().at(-1), '2.snapshot.json');
  await host.store.writeFloors({ ...NO_FLOORS, root: 1 });
  host.sim.snapshot.expires = host.sim.expiry(40);
  host.sim.targets.version = 1;
  host.sim.publish();
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' }, 'what it listed still counts');
});

t.test('the same timestamp version again says that nothing is new', async (t) => {
  const host = new Host();
  await host.refresh();
  const kept = await host.store.read('timestamp');
  entry(host.sim.timestamp, 'snapshot.json').version = 100;
  host.sim.takeRequests();
  await host.refresh();
  t.strictSame(await host.store.read('timestamp'), kept, 'the stored one stands');
  t.strictSame(host.sim.takeRequests(), ['2.root.json', 'timestamp.json']);
});

t.test('mix-and-match: a snapshot of another version than the timestamp names', async (t) => {
  const host = new Host();
  await host.refresh();
  host.sim.publish('targets');
  const old = host.sim.fileOf('snapshot');
  host.sim.publish('targets');
  host.sim.overrides.set('metadata/3.snapshot.json', old);
  await t.rejects(host.refresh(), { code: 'E_MIX_AND_MATCH' });
  t.equal(await host.stored('snapshot'), 1);
});

t.test('mix-and-match: a targets file of another version than the snapshot names', async (t) => {
  const host = new Host();
  await host.refresh();
  const old = host.sim.fileOf('targets');
  host.sim.publish('targets');
  host.sim.overrides.set('metadata/2.targets.json', old);
  await t.rejects(host.refresh(), { code: 'E_MIX_AND_MATCH' });
  t.equal(await host.stored('targets'), 1);
});

t.test('digests of unknown algorithms are passed over, whatever they are called', async (t) => {
  const host = new Host();
  const describe = (draft: SnapshotDraft, role: string): void => {
    const sha256 = digest('sha256', host.sim.fileOf(role));
    const others = '"constructor":"x","toString":"","__proto__":"y","sha3":"z"';
    entry(draft, `${role}.json`).hashes = JSON.parse(`{${others},"sha256":"${sha256}"}`);
  };
  describe(host.sim.snapshot, 'targets');
  describe(host.sim.timestamp, 'snapshot');
  t.equal((await host.refresh()).snapshot().version, 1);
});

t.test('lengths and hashes are held to when they are given', async (t) => {
  for (const role of ['snapshot', 'targets']) {
    const host = new Host();
    host.sim.withHashes = true;
    host.sim.publish('targets');
    await host.refresh();
    host.sim.publish('targets');
    const path = `metadata/${fileName(role, 3)}`;
    // Validly signed and of the right version and length, but not the file that was meant.
    const draft = role === 'snapshot' ? host.sim.snapshot : host.sim.targets;
    const signers = host.sim.signers.get(role) ?? [];
    const other = signFile({ ...draft, expires: host.sim.expiry(6) }, signers);
    host.sim.overrides.set(path, other);
    await t.rejects(host.refresh(), { code: 'E_HASH' }, role);
    host.sim.overrides.set(path, signFile({ ...draft, note: 'longer' }, signers));
    await t.rejects(host.refresh(), { code: 'E_TOO_LARGE' }, `${role}, longer`);
    host.sim.overrides.set(
      path,
      signFile({ ...draft, expires: '2030-06-02T12:00:00Z', version: 3 }, []),
    );
    await t.rejects(host.refresh(), { code: 'E_LENGTH' }, `${role}, shorter`);
    t.equal(await host.stored(role), 2);
  }
});

t.test('a hash that nobody can compute, or none at all, is no promise', async (t) => {
  for (const hashes of [{}, { md5: 'd41d8cd98f00b204e9800998ecf8427e' }, { sha256: 'AB' }]) {
    const host = new Host();
    entry(host.sim.timestamp, 'snapshot.json').hashes = hashes as Record<string, string>;
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, JSON.stringify(hashes));
  }
});

t.test('endless data: files over their bound', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets'] as const) {
    const host = new Host();
    const name = role === 'timestamp' ? 'timestamp.json' : `1.${role}.json`;
    host.sim.overrides.set(
      `metadata/${name}`,
      new Uint8Array(METADATA_LIMITS[role] + 1).fill(0x20),
    );
    await t.rejects(host.refresh(), { code: 'E_TOO_LARGE' }, role);
  }
});

t.test('a file that signed metadata names is not there', async (t) => {
  for (const name of ['timestamp.json', '1.snapshot.json', '1.targets.json']) {
    const host = new Host();
    host.sim.overrides.set(`metadata/${name}`, null);
    await t.rejects(host.refresh(), { code: 'E_NETWORK' }, name);
  }
});

t.test('what is half there is never trusted: bytes of any kind', async (t) => {
  const texts = [
    '',
    '{',
    'null',
    '[]',
    '{"signed":{}}',
    '{"signed":null,"signatures":[]}',
    '"\\ud800"',
  ];
  for (const name of ['2.root.json', 'timestamp.json', '1.snapshot.json', '1.targets.json']) {
    for (const text of texts) {
      const host = new Host();
      host.sim.overrides.set(`metadata/${name}`, utf8(text));
      await t.rejects(host.refresh(), { code: /^E_(JSON|SCHEMA)$/ }, `${name} ${text}`);
    }
    const host = new Host();
    const whole =
      name === '2.root.json'
        ? host.sim.fileOf('root')
        : host.sim.fileOf(name.replace(/^1\./, '').replace('.json', ''));
    for (const cut of [1, whole.length >> 1, whole.length - 1]) {
      host.sim.overrides.set(`metadata/${name}`, whole.subarray(0, cut));
      await t.rejects(host.refresh(), { code: 'E_JSON' }, `${name} cut at ${cut}`);
    }
  }
});

t.test('hostile and damaged stored files are replaced, and it is said', async (t) => {
  const host = new Host();
  host.sim.publish('targets');
  await host.refresh();
  for (const role of ['timestamp', 'snapshot', 'targets']) {
    const draft = role === 'targets' ? host.sim.targets : host.sim[role as 'timestamp'];
    const stranger = signFile({ ...draft, version: 99 }, [testKey('stranger')]);
    for (const bad of [utf8('{"signed"'), stranger, new Uint8Array()]) {
      await host.store.write(role, bad);
      await host.refresh();
      t.strictSame(await host.store.read(role), host.sim.fileOf(role), `${role} is healed`);
      t.equal(host.unusable.at(-1)?.[0], role, `${role} was said to be of no use`);
    }
  }
});

t.test('what is current is not fetched again', async (t) => {
  const host = new Host();
  host.sim.withHashes = true;
  host.sim.publish('targets');
  await host.refresh();
  host.sim.takeRequests();
  host.sim.publishTimestamp();
  await host.refresh();
  t.strictSame(host.sim.takeRequests(), ['2.root.json', 'timestamp.json']);
  t.strictSame(host.unusable, []);
});

t.test('files are stored byte for byte as they came', async (t) => {
  const host = new Host();
  const pretty = utf8(
    `\n${JSON.stringify(JSON.parse(new TextDecoder().decode(host.sim.fileOf('targets'))), null, 4)}\n`,
  );
  host.sim.overrides.set('metadata/1.targets.json', pretty);
  await host.refresh();
  t.strictSame(await host.store.read('targets'), pretty);
});

t.test('a repository without consistent snapshots', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    host.sim.root.consistent_snapshot = false;
  });
  await host.refresh();
  t.strictSame(host.sim.takeRequests(), [
    '2.root.json',
    '3.root.json',
    'timestamp.json',
    'snapshot.json',
    'targets.json',
  ]);
});

t.test('fast-forward, and the recovery from it (TUF 5.3.11)', async (t) => {
  for (const rotated of [['timestamp', 'snapshot'], ['timestamp'], ['snapshot']]) {
    const host = new Host();
    await host.refresh();
    // Stolen online keys publish versions near the greatest there is.
    host.sim.timestamp.version = 2 ** 53 - 2;
    host.sim.snapshot.version = 2 ** 53 - 2;
    host.sim.snapshot.meta['targets.json'] = { version: 1 };
    host.sim.publishTimestamp();
    await host.refresh();
    // The honest repository is refused now.
    host.sim.timestamp.version = 1;
    host.sim.snapshot.version = 2;
    host.sim.publishTimestamp();
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
    host.sim.nextRoot(() => {
      for (const role of rotated) host.sim.rotateKeys(role);
    });
    await host.refresh();
    t.equal(await host.stored('timestamp'), 2, rotated.join(' and '));
    t.equal(await host.stored('snapshot'), 2);
    const floors = await host.store.floors();
    t.match(floors, { root: 2, timestamp: 2, snapshot: 2 });
    // From here on the floors hold again.
    host.sim.timestamp.version = 1;
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  }
});

t.test('recovery when one of two online keys is replaced', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => host.sim.addKey('timestamp'));
  host.sim.timestamp.version = 1000;
  await host.refresh();
  host.sim.nextRoot(() => {
    host.sim.root.roles.timestamp?.keyids.shift();
    host.sim.signers.get('timestamp')?.shift();
  });
  host.sim.timestamp.version = 2;
  await host.refresh();
  t.equal(await host.stored('timestamp'), 2);
});

t.test('a snapshot that lists what is no role', async (t) => {
  for (const name of ['targets', '.json', 'targets.JSON']) {
    const host = new Host();
    host.sim.snapshot.meta[name] = { version: 1 };
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, name);
  }
});

t.test('versions that are none', async (t) => {
  for (const version of [0, -1, 2 ** 53, '1', null, 1.5]) {
    const host = new Host();
    const text = new TextDecoder().decode(host.sim.fileOf('timestamp'));
    const edited = text.replace(
      '"version":1,"expires"',
      `"version":${JSON.stringify(version)},"expires"`,
    );
    host.sim.overrides.set('metadata/timestamp.json', utf8(edited));
    await t.rejects(host.refresh(), { code: /^E_(SCHEMA|JSON)$/ }, String(version));
  }
});

t.test('recovery of a fast-forwarded targets version', async (t) => {
  const host = new Host();
  host.sim.targets.version = 10_000;
  host.sim.publish();
  await host.refresh();
  host.sim.targets.version = 2;
  host.sim.nextRoot(() => host.sim.rotateKeys('snapshot'));
  host.sim.publish();
  await host.refresh();
  t.equal(await host.stored('targets'), 2);
});

t.test('a root that only adds an online key, or changes other roles, drops no floor', async (t) => {
  for (const edit of ['add', 'threshold', 'root', 'targets']) {
    const host = new Host();
    host.sim.timestamp.version = 7;
    await host.refresh();
    host.sim.nextRoot(() => {
      if (edit === 'add') host.sim.addKey('timestamp');
      else if (edit === 'threshold') host.sim.addKey('snapshot');
      else host.sim.rotateKeys(edit);
    });
    host.sim.timestamp.version = 6;
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' }, edit);
  }
});

t.test('roots that were trusted before drop no floor when they are replayed', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => host.sim.rotateKeys('timestamp'));
  host.sim.timestamp.version = 5;
  await host.refresh();
  await host.store.remove('timestamp');
  host.sim.timestamp.version = 4;
  await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
});
