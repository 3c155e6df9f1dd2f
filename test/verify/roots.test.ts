// TUF 5.3: the chain of roots. One test a rule, named for what somebody gains when it is missing.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { TODAY } from '../support/clock.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import { type RoleDraft, Simulator, signFile } from '../support/simulator.ts';

t.test(
  'a first refresh asks for exactly what it needs, in the order of the workflow',
  async (t) => {
    const host = new Host();
    const trusted = await host.refresh();
    t.strictSame(host.sim.takeRequests(), [
      '2.root.json',
      'timestamp.json',
      '1.snapshot.json',
      '1.targets.json',
    ]);
    t.equal(trusted.snapshot().version, 1);
  },
);

t.test('a root chain is followed step by step, and kept', async (t) => {
  const host = new Host();
  for (let i = 0; i < 4; i++) host.sim.nextRoot(() => host.sim.rotateKeys('root'));
  const trusted = await host.refresh();
  t.equal(trusted.root.version, 5);
  for (const version of [2, 3, 4, 5]) {
    t.strictSame(await host.store.root(version), host.sim.roots.get(version), `root ${version}`);
  }
  host.sim.takeRequests();
  await host.refresh();
  t.equal(host.sim.requests[0], 'metadata/6.root.json', 'known roots are replayed from the store');
});

t.test('forged root: not signed by the old keys', async (t) => {
  const host = new Host();
  host.sim.rotateKeys('root');
  host.sim.root.version++;
  host.sim.publishRoot();
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
  t.equal(await host.store.root(2), undefined, 'it is not stored');
});

t.test('unusable root: not signed by its own new keys', async (t) => {
  const host = new Host();
  const old = [...(host.sim.signers.get('root') ?? [])];
  host.sim.rotateKeys('root');
  host.sim.root.version++;
  host.sim.publishRoot(old);
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
  t.equal(await host.store.root(2), undefined);
});

t.test('a root signed by too few of the old keys, though by enough of the new', async (t) => {
  const sim = new Simulator();
  sim.addKey('root');
  sim.addKey('root');
  (sim.root.roles.root as RoleDraft).threshold = 2;
  sim.publishRoot();
  const host = new Host(sim);
  const [one] = sim.signers.get('root') ?? [];
  (sim.root.roles.root as RoleDraft).threshold = 1;
  sim.root.version++;
  sim.publishRoot(one === undefined ? [] : [one]);
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
});

t.test('a raised threshold counts for the root that raises it', async (t) => {
  const host = new Host();
  (host.sim.root.roles.root as RoleDraft).threshold = 2;
  host.sim.root.version++;
  host.sim.publishRoot();
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
});

t.test('root skipping: version 3 in the place of version 2 (CVE-2025-2885)', async (t) => {
  const host = new Host();
  host.sim.root.version = 3;
  host.sim.roots.set(2, host.sim.publishRoot());
  host.sim.roots.delete(3);
  await t.rejects(host.refresh(), { code: 'E_VERSION' });
});

t.test('root replay: version 1 in the place of version 2', async (t) => {
  const host = new Host();
  host.sim.roots.set(2, host.sim.roots.get(1) as Uint8Array);
  await t.rejects(host.refresh(), { code: 'E_VERSION' });
});

t.test('a chain that is cut short of what was trusted before is a rollback', async (t) => {
  const host = new Host();
  host.sim.nextRoot();
  host.sim.nextRoot();
  await host.refresh();
  // The stored history is lost, and the mirror stops at root 2.
  const fresh = new Host(host.sim);
  await fresh.store.writeFloors(await host.store.floors());
  host.sim.roots.delete(3);
  await t.rejects(fresh.refresh(), { code: 'E_ROLLBACK' });
});

t.test(
  'a root that was stored by a run that then crashed becomes a floor in the next',
  async (t) => {
    const host = new Host();
    await host.refresh();
    host.sim.nextRoot();
    const floors = await host.store.floors();
    await host.refresh();
    // The crash came after root 2 was stored and before the floors were; nothing else is new.
    await host.store.writeFloors(floors);
    t.equal((await host.refresh()).root.version, 2);
    t.equal((await host.store.floors()).root, 2);
  },
);

t.test('expired roots on the way are fine, the last one must not be (TUF 5.3.10)', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    host.sim.root.expires = host.sim.expiry(-1);
  });
  await t.rejects(host.refresh(), { code: 'E_EXPIRED' });
  t.not(await host.store.root(2), undefined, 'it is verified and kept all the same (TUF 5.3.8)');
  t.equal(await host.stored('timestamp'), 0, 'nothing was built on it');
  host.sim.nextRoot(() => {
    host.sim.root.expires = host.sim.expiry(30);
  });
  t.equal((await host.refresh()).root.version, 3);
});

t.test('a root expires at the very second of its expiry', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    host.sim.root.expires = host.sim.expiry(0);
  });
  host.clock.now = TODAY - 1;
  await host.refresh();
  host.clock.now = TODAY;
  await t.rejects(host.refresh(), { code: 'E_EXPIRED' });
});

t.test('endless roots: no more than the limit in one run, the next run goes on', async (t) => {
  const host = new Host();
  const count = METADATA_LIMITS.rootRotations + 3;
  for (let i = 0; i < count; i++) host.sim.nextRoot();
  t.equal((await host.refresh()).root.version, METADATA_LIMITS.rootRotations + 1);
  const asked = host.sim.requests.filter((path) => path.endsWith('.root.json'));
  t.equal(asked.length, METADATA_LIMITS.rootRotations);
  t.equal((await host.refresh()).root.version, count + 1);
});

t.test('a pinned root that did not sign itself is refused before any request', async (t) => {
  const sim = new Simulator();
  const host = new Host(sim, signFile(sim.root, [testKey('stranger')]));
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
  t.strictSame(sim.requests, []);
});

t.test('a root of another type, however well signed', async (t) => {
  const host = new Host();
  host.sim.root._type = 'targets';
  host.sim.root.version = 2;
  host.sim.publishRoot();
  await t.rejects(host.refresh(), { code: 'E_SCHEMA' });
});

t.test('threshold 0 switches nothing off (CVE-2026-23992)', async (t) => {
  for (const threshold of [0, -1]) {
    const host = new Host();
    host.sim.nextRoot(() => {
      (host.sim.root.roles.timestamp as RoleDraft).threshold = threshold;
    });
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, `threshold ${threshold}`);
  }
});

t.test('a huge root is not read', async (t) => {
  const host = new Host();
  host.sim.roots.set(2, new Uint8Array(METADATA_LIMITS.root + 1).fill(0x20));
  await t.rejects(host.refresh(), { code: 'E_TOO_LARGE' });
});

t.test('unknown fields are part of what is signed and are carried along', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    host.sim.root['x-unknown'] = JSON.parse('{"constructor":[1,{"__proto__":2}],"z":"ü"}');
    (host.sim.root.roles.root as RoleDraft & Record<string, unknown>).note = 'kept';
  });
  t.equal((await host.refresh()).root.version, 2);
  // The same file with one unknown field changed: the signature no longer covers it.
  const host2 = new Host();
  host2.sim.nextRoot(() => {
    host2.sim.root['x-unknown'] = 1;
  });
  const text = new TextDecoder().decode(host2.sim.roots.get(2));
  host2.sim.roots.set(2, utf8(text.replace('"x-unknown":1', '"x-unknown":2')));
  await t.rejects(host2.refresh(), { code: 'E_THRESHOLD' });
});

t.test('hostile stored roots count as absent and are fetched again', async (t) => {
  const host = new Host();
  host.sim.nextRoot();
  await host.refresh();
  for (const bad of [utf8('{'), signFile({ ...host.sim.root }, [testKey('thief')])]) {
    await host.store.writeRoot(2, bad);
    t.equal((await host.refresh()).root.version, 2);
    t.strictSame(await host.store.root(2), host.sim.roots.get(2), 'healed');
  }
  t.strictSame(
    host.unusable.map(([role]) => role),
    ['root', 'root'],
  );
});
