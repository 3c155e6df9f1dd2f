// Advisories about the walk over delegations: its order, its ends, and what each edge demands.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';

t.test(
  'CVE-2024-47534: the walk is pre-order, depth first, in the order of the file',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    sim.delegate('targets', 'A', { paths: ['*'] });
    sim.delegate('targets', 'B', { paths: ['*'] });
    sim.delegate('A', 'C', { paths: ['*'] });
    // Breadth first, B would speak; depth first, C below A comes before it.
    sim.addTarget('B', 'file', utf8('by B'));
    sim.addTarget('C', 'file', utf8('by C'));
    sim.publish('targets');
    const found = await host.find('file');
    t.strictSame(found?.chain, ['targets', 'A', 'C']);
  },
);

t.test('CVE-2025-2886: nothing behind a terminating delegation is searched', async (t) => {
  const host = new Host();
  const { sim } = host;
  sim.delegate('targets', 'A', { paths: ['*'], terminating: true });
  sim.delegate('targets', 'B', { paths: ['*'] });
  sim.addTarget('B', 'file', utf8('by B'));
  sim.publish('targets');
  t.equal(await host.find('file'), undefined);
  t.notOk(
    host.sim.requests.some((path) => path.includes('B')),
    'nor asked for',
  );
});

t.test(
  'TOB-SIGSTORE-14: a role is trusted for the delegator that led to it, and no other',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    const stranger = testKey('a stranger');
    sim.delegate('targets', 'A', { paths: ['a/*'] });
    sim.delegate('targets', 'B', { paths: ['b/*'] });
    sim.delegate('A', 'shared', { paths: ['*/*'] });
    sim.delegate('B', 'shared', { paths: ['*/*'], keys: [stranger] });
    sim.signers.set(
      'shared',
      (sim.signers.get('shared') ?? []).filter((key) => key !== stranger),
    );
    sim.addTarget('shared', 'a/1', utf8('x'));
    sim.addTarget('shared', 'b/1', utf8('x'));
    sim.publish('targets');
    const updater = host.updater();
    t.equal((await updater.find('a/1'))?.role, 'shared');
    // B trusts another key: that the file is here, verified for A, says nothing.
    await t.rejects(updater.find('b/1'), { code: 'E_THRESHOLD' });
  },
);

t.test('GHSA-77hh-43cm-v8j6: a delegation does not reach a top-level role', async (t) => {
  for (const name of ['root', 'targets', 'snapshot', 'timestamp', '']) {
    const host = new Host();
    host.sim.delegate('targets', 'x', { paths: ['*'] });
    const role = host.sim.targets.delegations?.roles?.[0];
    if (role !== undefined) role.name = name;
    host.sim.publish('targets');
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, JSON.stringify(name));
  }
});

t.test('sigstore-rust #174: * and ? do not cross a slash', async (t) => {
  const host = new Host();
  host.sim.delegate('targets', 'A', { paths: ['a/*', 'b?c'] });
  for (const path of ['a/x', 'a/x/y', 'b/c', 'bxc']) host.sim.addTarget('A', path, utf8(path));
  host.sim.publish('targets');
  t.ok(await host.find('a/x'));
  t.ok(await host.find('bxc'));
  t.equal(await host.find('a/x/y'), undefined);
  t.equal(await host.find('b/c'), undefined);
});

t.test(
  'CVE-2026-6967: a delegated role has an expiry, a version, a length and hashes like targets',
  async (t) => {
    const made = (edit: (host: Host) => void): Host => {
      const host = new Host();
      host.sim.withHashes = true;
      host.sim.delegate('targets', 'A', { paths: ['*'] });
      host.sim.addTarget('A', 'file', utf8('x'));
      host.sim.publish('targets');
      edit(host);
      return host;
    };
    const expired = made(({ sim }) => {
      sim.role('A').expires = sim.expiry(-1);
      sim.publish('A');
    });
    await t.rejects(expired.find('file'), { code: 'E_EXPIRED' });
    const other = made(({ sim }) => {
      // Signed by the right key, and not what the snapshot describes.
      sim.role('A').note = 'x';
    });
    await t.rejects(other.find('file'), { code: 'E_TOO_LARGE' }, 'longer than the snapshot says');
    const same = made(({ sim }) => {
      sim.role('A').expires = sim.expiry(91);
    });
    await t.rejects(same.find('file'), { code: 'E_HASH' });
    const version = made(({ sim }) => {
      sim.withHashes = false;
      sim.publish('A');
      sim.overrides.set('metadata/2.A.json', sim.fileOf('A'));
      sim.role('A').version = 1;
      sim.overrides.set('metadata/2.A.json', sim.fileOf('A'));
    });
    await t.rejects(version.find('file'), { code: 'E_MIX_AND_MATCH' });
  },
);

t.test(
  'CVE-2020-6173: a chain of delegations without end costs a bounded number of requests',
  async (t) => {
    const host = new Host();
    const { sim } = host;
    let last = 'targets';
    for (let i = 0; i < 60; i++) {
      sim.delegate(last, `r${i}`, { paths: ['*'] });
      last = `r${i}`;
    }
    sim.addTarget(last, 'file', utf8('x'));
    sim.publish('targets');
    await t.rejects(host.find('file'), { code: 'E_DELEGATION' });
    t.ok(sim.requests.length < 45, `${sim.requests.length} requests`);
  },
);
