// Advisories about what a host once trusted: floors, caches, and what may be kept.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';

t.test(
  'CVE-2020-15163: a root that is not signed by itself is neither used nor kept',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    await host.refresh();
    // Signed by the old keys alone, naming new ones: whoever stole the old ones could install it.
    const old = sim.signers.get('root') ?? [];
    sim.rotateKeys('root');
    sim.root.version++;
    sim.publishRoot(old);
    await t.rejects(host.refresh(), { code: 'E_THRESHOLD' });
    t.equal(await host.store.root(2), undefined, 'nothing of it is kept');
    t.equal((await host.store.floors()).root, 1);
  },
);

t.test(
  'CVE-2025-2885: roots come one version after the other, and each is its own number',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    sim.nextRoot();
    sim.nextRoot();
    const third = sim.roots.get(3) as Uint8Array;
    sim.roots.set(2, third);
    await t.rejects(host.refresh(), { code: 'E_VERSION' });
  },
);

t.test(
  'CVE-2022-29173, CVE-2025-2887, CVE-2025-2888: no role goes back, cached or not',
  async (t) => {
    for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
      const host = new Host();
      const { sim } = host;
      sim.delegate('targets', 'A', { paths: ['*'] });
      sim.addTarget('A', 'file', utf8('x'));
      for (let i = 0; i < 3; i++) sim.publish('targets', 'A');
      await host.find('file');
      const draft = role === 'timestamp' || role === 'snapshot' ? sim[role] : sim.role(role);
      draft.version -= 2;
      if (role === 'targets' || role === 'A') sim.publish();
      else if (role === 'snapshot') sim.publishTimestamp();
      // The floor outlives the file of which it came.
      await host.store.remove(role);
      await t.rejects(host.find('file'), { code: 'E_ROLLBACK' }, role);
    }
  },
);

t.test(
  'sigstore-rust #198: a floor counts, also when the file that set it has expired',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    sim.publish('targets');
    sim.publish('targets');
    await host.refresh();
    host.clock.now += 30 * 86_400;
    sim.snapshot.version -= 2;
    sim.snapshot.expires = sim.expiry(60);
    sim.timestamp.expires = sim.expiry(60);
    sim.publishTimestamp();
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  },
);

t.test(
  'sigstore-ruby #89: a role that was in a snapshot is not forgotten by the next one',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    sim.delegate('targets', 'A', { paths: ['*'] });
    sim.publish('targets');
    await host.refresh();
    sim.roles.delete('A');
    delete sim.snapshot.meta['A.json'];
    sim.publish();
    await t.rejects(host.refresh(), { code: 'E_ROLLBACK' });
  },
);

t.test(
  'TOB-SIGSTORE-10: what the cache holds is verified like what comes from the network',
  async (t) => {
    for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
      const host = new Host();
      const { sim } = host;
      sim.delegate('targets', 'A', { paths: ['*'] });
      sim.addTarget('A', 'file', utf8('honest'));
      sim.publish('targets');
      await host.find('file');
      const honest = (await host.find('file'))?.entry.hashes.get('sha256');
      // Somebody who can write into the cache signs with a key of their own.
      const keys = sim.signers.get(role) ?? [];
      sim.signers.set(role, [testKey('thief')]);
      if (role === 'A') sim.addTarget('A', 'file', utf8('evil'));
      await host.store.write(role, sim.fileOf(role));
      sim.signers.set(role, keys);
      if (role === 'A') sim.addTarget('A', 'file', utf8('honest'));
      const found = await host.find('file');
      t.equal(found?.entry.hashes.get('sha256'), honest, role);
      t.ok(
        host.unusable.some(([name, code]) => name === role && code === 'E_THRESHOLD'),
        role,
      );
    }
  },
);
