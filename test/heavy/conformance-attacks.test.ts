// Each advisory of the field that can touch a client, against the client under test as a suite of
// strangers runs it: a process, judged by its exit status, its files and its requests. The same
// attacks, with the codes by which they are refused, are in test/attacks/.

import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { Subject } from '../conformance/subject.ts';
import { testKey } from '../support/keys.ts';
import { type DelegationDraft, type Simulator, signFile } from '../support/simulator.ts';

// Some sixty processes, one after the other; a slow machine is no failure.
t.setTimeout(900_000);

/** A client that has the root, and a repository whose role A lists `file`. */
async function made(t: Test, change: (sim: Simulator) => void = () => {}): Promise<Subject> {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['*'] });
  sim.addTarget('A', 'file', utf8('honest'));
  change(sim);
  sim.publish('targets');
  return subject;
}

function delegation(sim: Simulator): DelegationDraft {
  const [role] = sim.targets.delegations?.roles ?? [];
  if (role === undefined) throw new Error('the simulator has no delegation');
  return role;
}

/** A download of `path` that must fail, and leave no target. */
async function refused(t: Test, subject: Subject, path = 'file', what = path): Promise<void> {
  t.equal(await subject.download(path), 1, what);
  t.strictSame(subject.downloaded(), {}, `${what}: nothing is there`);
}

t.test(
  'CVE-2020-15163: a root that is not signed by itself is neither used nor kept',
  async (t) => {
    const subject = await made(t);
    const { sim } = subject;
    const old = sim.signers.get('root') ?? [];
    sim.rotateKeys('root');
    sim.root.version++;
    sim.publishRoot(old);
    t.equal(await subject.refresh(), 1);
    t.equal(subject.trusted(), 'root 1');
  },
);

t.test('CVE-2020-6173: delegations without end cost a bounded number of requests', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  delete sim.role('A').targets.file;
  let last = 'A';
  for (let i = 0; i < 60; i++) {
    sim.delegate(last, `r${i}`, { paths: ['*'] });
    last = `r${i}`;
  }
  sim.addTarget(last, 'file', utf8('x'));
  sim.publish('A');
  await refused(t, subject);
  t.ok(subject.urls().length < 45);
});

t.test(
  'CVE-2020-6174, CVE-2020-15093, RUSTSEC-2020-0024, CVE-2026-6966: one signature twice is one',
  async (t) => {
    const subject = await made(t, (sim) => {
      const second = testKey('second');
      const table = sim.targets.delegations?.keys as Record<string, unknown>;
      table[second.keyid] = keyObject(second.key);
      delegation(sim).keyids.push(second.keyid);
      delegation(sim).threshold = 2;
    });
    const { sim } = subject;
    const [first] = sim.signers.get('A') ?? [];
    if (first === undefined) throw new Error('nobody signs A');
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, first, first]));
    await refused(t, subject);
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, testKey('second')]));
    t.equal(await subject.download('file'), 0, 'two keys are two');
  },
);

t.test('GHSA-3633-5h82-39pq, go-tuf #733: one key under two ids is one key', async (t) => {
  const alias = 'ab'.repeat(32);
  const subject = await made(t, (sim) => {
    const [first] = sim.signers.get('A') ?? [];
    if (first === undefined) throw new Error('nobody signs A');
    (sim.targets.delegations?.keys as Record<string, unknown>)[alias] = keyObject(first.key);
    delegation(sim).keyids.push(alias);
    delegation(sim).threshold = 2;
  });
  const { sim } = subject;
  const file = JSON.parse(new TextDecoder().decode(sim.fileOf('A')));
  file.signatures.push({ ...file.signatures[0], keyid: alias });
  sim.overrides.set('metadata/1.A.json', utf8(JSON.stringify(file)));
  await refused(t, subject);
});

t.test(
  'CVE-2021-41131, GHSA-r56q-vv3c-6g9c: the name of a role stays inside the folder',
  async (t) => {
    for (const name of ['../../../escaped', '/tmp/escaped', '..', 'a/../../b', 'x\u0000y']) {
      const subject = await Subject.initialised(t);
      const { sim } = subject;
      sim.delegate('targets', name, { paths: ['*'] });
      sim.addTarget(name, 'file', utf8('x'));
      sim.publish('targets');
      const before = await readdir(subject.folder);
      await subject.download('file');
      const after = (await readdir(subject.folder)).filter((found) => found !== 'targets');
      t.strictSame(after, before, JSON.stringify(name));
      for (const found of await readdir(subject.metadata))
        t.match(found, /^[A-Za-z0-9%._~-]+$/, 'one plain segment');
    }
  },
);

t.test('GHSA-x3r5-q6mj-m485: a target path that climbs is no target path', async (t) => {
  const paths = ['../x', '/x', 'a/../b'];
  const subject = await made(t, (sim) => {
    for (const path of paths)
      sim.targets.targets[path] = { length: 1, hashes: { sha256: 'a'.repeat(64) } };
  });
  for (const path of paths) await refused(t, subject, path);
  t.notOk(existsSync(join(subject.folder, 'x')));
});

t.test('CVE-2026-6968: a link under the name of a target is not written through', async (t) => {
  const subject = await made(t);
  const victim = join(subject.folder, 'victim');
  writeFileSync(victim, 'precious');
  await mkdir(subject.targets);
  symlinkSync(victim, join(subject.targets, 'file'));
  await subject.download('file');
  t.equal(readFileSync(victim, 'utf8'), 'precious');
});

t.test('GHSA-77hh-43cm-v8j6: a delegation does not reach a top-level role', async (t) => {
  for (const name of ['root', 'targets', 'snapshot', 'timestamp']) {
    const subject = await made(t, (sim) => {
      delegation(sim).name = name;
    });
    await refused(t, subject, 'file', name);
  }
});

t.test(
  'CVE-2022-29173, CVE-2025-2887, CVE-2025-2888: no role goes back, cached or not',
  async (t) => {
    for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
      const subject = await made(t);
      const { sim } = subject;
      for (let i = 0; i < 3; i++) sim.publish('targets', 'A');
      t.equal(await subject.download('file'), 0);
      subject.forgetTargets();
      const draft = role === 'timestamp' || role === 'snapshot' ? sim[role] : sim.role(role);
      draft.version -= 2;
      if (role === 'targets' || role === 'A') sim.publish();
      else if (role === 'snapshot') sim.publishTimestamp();
      rmSync(join(subject.metadata, `${role}.json`));
      await refused(t, subject, 'file', role);
    }
  },
);

t.test(
  'CVE-2024-47534: the walk is pre-order, depth first, in the order of the file',
  async (t) => {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    sim.delegate('targets', 'A', { paths: ['*'] });
    sim.delegate('targets', 'B', { paths: ['*'] });
    sim.delegate('A', 'C', { paths: ['*'] });
    sim.addTarget('B', 'file', utf8('by B'));
    sim.addTarget('C', 'file', utf8('by C'));
    sim.publish('targets');
    t.equal(await subject.download('file'), 0);
    t.strictSame(subject.downloaded(), { file: 'by C' });
    t.strictSame(subject.asked().slice(-2), ['1.A.json', '1.C.json']);
  },
);

t.test('CVE-2025-2885: roots come one version after the other', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  sim.nextRoot();
  sim.nextRoot();
  sim.roots.set(2, sim.roots.get(3) as Uint8Array);
  t.equal(await subject.refresh(), 1);
  t.equal(subject.trusted(), 'root 1');
});

t.test('CVE-2025-2886: nothing behind a terminating delegation is searched', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['*'], terminating: true });
  sim.delegate('targets', 'B', { paths: ['*'] });
  sim.addTarget('B', 'file', utf8('by B'));
  sim.publish('targets');
  await refused(t, subject);
  t.notOk(subject.asked().includes('1.B.json'), 'nor asked for');
});

t.test('CVE-2026-23991, go-tuf #749: hostile JSON ends it with exit status 1', async (t) => {
  const hostile = ['null', '{"signed":null,"signatures":null}', '['.repeat(60_000), '\ufeff{}'];
  for (const [file, trusted] of [
    ['2.root', 'root 1'],
    ['timestamp', 'root 1'],
    ['2.snapshot', 'root 1, timestamp 2'],
    ['2.targets', 'root 1, snapshot 2, timestamp 2'],
    ['1.A', 'root 1, snapshot 2, targets 2, timestamp 2'],
  ] as const) {
    const subject = await made(t);
    for (const text of hostile) {
      subject.sim.overrides.set(`metadata/${file}.json`, utf8(text));
      await refused(t, subject, 'file', `${file} ${text.slice(0, 20)}`);
      t.equal(subject.trusted(), trusted);
    }
  }
});

t.test('CVE-2026-23992: a threshold below 1 is no threshold', async (t) => {
  for (const threshold of [0, -1]) {
    const subject = await made(t, (sim) => {
      delegation(sim).threshold = threshold;
    });
    await refused(t, subject, 'file', `in a delegation: ${threshold}`);
    const other = await made(t);
    other.sim.nextRoot(() => {
      const role = other.sim.root.roles.timestamp;
      if (role !== undefined) role.threshold = threshold;
    });
    t.equal(await other.refresh(), 1, `in root: ${threshold}`);
    t.equal(other.trusted(), 'root 1');
  }
});

t.test(
  'CVE-2026-6967: a delegated role has an expiry, a length and hashes like targets',
  async (t) => {
    const changes: Record<string, (sim: Simulator) => void> = {
      expired: (sim) => {
        sim.role('A').expires = sim.expiry(-1);
        sim.publish('A');
      },
      longer: (sim) => {
        sim.role('A').note = 'x';
      },
      other: (sim) => {
        sim.role('A').expires = sim.expiry(91);
      },
    };
    for (const [what, change] of Object.entries(changes)) {
      const subject = await made(t, (sim) => {
        sim.withHashes = true;
      });
      change(subject.sim);
      await refused(t, subject, 'file', what);
    }
  },
);

t.test('TOB-SIGSTORE-10: the cache is verified like what comes from the network', async (t) => {
  for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
    const subject = await made(t);
    const { sim } = subject;
    t.equal(await subject.download('file'), 0);
    subject.forgetTargets();
    const keys = sim.signers.get(role) ?? [];
    sim.signers.set(role, [testKey('thief')]);
    if (role === 'A') sim.addTarget('A', 'file', utf8('evil'));
    writeFileSync(join(subject.metadata, `${role}.json`), sim.fileOf(role));
    sim.signers.set(role, keys);
    if (role === 'A') sim.addTarget('A', 'file', utf8('honest'));
    t.equal(await subject.download('file'), 0, `${role} heals`);
    t.strictSame(subject.downloaded(), { file: 'honest' });
  }
});

t.test(
  'TOB-SIGSTORE-14: a role is trusted for the delegator that led to it, and no other',
  async (t) => {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    const stranger = testKey('a stranger');
    sim.delegate('targets', 'A', { paths: ['a/*'] });
    sim.delegate('targets', 'B', { paths: ['b/*'] });
    sim.delegate('A', 'shared', { paths: ['*/*'] });
    sim.delegate('B', 'shared', { paths: ['*/*'], keys: [stranger] });
    const honest = (sim.signers.get('shared') ?? []).filter((key) => key !== stranger);
    sim.signers.set('shared', honest);
    sim.addTarget('shared', 'a/1', utf8('x'));
    sim.addTarget('shared', 'b/1', utf8('x'));
    sim.publish('targets');
    t.equal(await subject.download('a/1'), 0);
    subject.forgetTargets();
    await refused(t, subject, 'b/1', 'though it is cached, verified for A');
  },
);

t.test('sigstore-rust #174: * and ? do not cross a slash', async (t) => {
  const subject = await Subject.initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['a/*', 'b?c'] });
  for (const path of ['a/x', 'a/x/y', 'b/c', 'bxc']) sim.addTarget('A', path, utf8(path));
  sim.publish('targets');
  await refused(t, subject, 'a/x/y');
  await refused(t, subject, 'b/c');
  t.equal(await subject.download(['a/x', 'bxc']), 0);
});

t.test(
  'sigstore-rust #198: a floor counts, also when the file that set it has expired',
  async (t) => {
    const subject = await made(t);
    const { sim } = subject;
    sim.publish('targets');
    sim.publish('targets');
    t.equal(await subject.refresh(), 0);
    sim.snapshot.version -= 2;
    sim.snapshot.expires = sim.expiry(60);
    sim.timestamp.expires = sim.expiry(60);
    sim.publishTimestamp();
    t.equal(await subject.refresh(30), 1);
    t.match(subject.trusted(), /snapshot 4/);
  },
);

t.test('sigstore-ruby #89: a role that was in a snapshot is not forgotten', async (t) => {
  const subject = await made(t);
  const { sim } = subject;
  t.equal(await subject.refresh(), 0);
  sim.roles.delete('A');
  delete sim.snapshot.meta['A.json'];
  sim.publish();
  t.equal(await subject.refresh(), 1);
  t.match(subject.trusted(), /snapshot 2/);
});

t.test('go-tuf #739: a signature of another length verifies nothing', async (t) => {
  for (const cut of [0, 62, 66]) {
    const subject = await made(t);
    const file = JSON.parse(new TextDecoder().decode(subject.sim.fileOf('timestamp')));
    file.signatures[0].sig = file.signatures[0].sig.padEnd(200, '0').slice(0, cut);
    subject.sim.overrides.set('metadata/timestamp.json', utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 1, `${cut} digits`);
  }
});

t.test('go-tuf #716: a bit length that makes no bins, or more than anybody has', async (t) => {
  for (const bits of [0, -1, 33]) {
    const subject = await Subject.initialised(t);
    subject.sim.delegateBins('targets', 2, 'bin');
    const succinct = subject.sim.targets.delegations?.succinct_roles;
    if (succinct !== undefined) succinct.bit_length = bits;
    subject.sim.publish('targets');
    await refused(t, subject, 'file', `${bits} bits`);
  }
});

t.test('go-tuf #721: a target without a digest is no target', async (t) => {
  for (const hashes of [{}, { md5: 'a'.repeat(32) }]) {
    const subject = await made(t, (sim) => {
      (sim.role('A').targets.file as { hashes: unknown }).hashes = hashes;
    });
    await refused(t, subject, 'file', JSON.stringify(hashes));
  }
});
