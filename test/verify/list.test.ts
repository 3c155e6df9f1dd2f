// The table of contents says of no path more than a search for it would.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { listTargets, type TargetList } from '../../shared/verify/list.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import type { Simulator } from '../support/simulator.ts';

async function list(edit: (sim: Simulator) => void): Promise<{ host: Host; found: TargetList }> {
  const host = new Host();
  edit(host.sim);
  host.sim.publish('targets');
  return { host, found: await host.updater().run(listTargets) };
}

const names = ({ targets }: TargetList): string[] =>
  targets.map(({ entry, role }) => `${role}: ${entry.path}`);

t.test('every path by the role that speaks for it, each asked for once', async (t) => {
  const { host, found } = await list((sim) => {
    sim.addTarget('targets', 'top', utf8('x'));
    sim.delegate('targets', 'A', { paths: ['a/*', 'shared/*'], terminating: true });
    sim.delegate('targets', 'B', { paths: ['b/*', 'shared/*'] });
    sim.delegate('A', 'A.sub', { paths: ['a/sub-*'] });
    sim.addTarget('A', 'a/1', utf8('x'));
    sim.addTarget('A', 'b/1', utf8('outside its delegation'));
    sim.addTarget('A.sub', 'a/sub-1', utf8('x'));
    sim.addTarget('A.sub', 'a/other', utf8('outside'));
    sim.addTarget('B', 'b/1', utf8('x'));
    sim.addTarget('B', 'shared/1', utf8('behind a terminating delegation'));
  });
  t.strictSame(names(found), ['targets: top', 'A: a/1', 'A.sub: a/sub-1', 'B: b/1']);
  t.equal(found.failed.size, 0);
  const asked = host.sim.takeRequests().slice(4).sort();
  t.strictSame(asked, ['1.A.json', '1.A.sub.json', '1.B.json']);
  for (const { entry, role } of found.targets) {
    t.equal((await host.find(entry.path))?.role, role, 'as a search has it');
  }
});

t.test(
  'a role that cannot be used hides nobody else, and what it could say is not listed',
  async (t) => {
    const { found } = await list((sim) => {
      sim.delegate('targets', 'expired', { paths: ['e/*'] });
      sim.delegate('targets', 'forged', { paths: ['f/*'] });
      sim.delegate('targets', 'good', { paths: ['g/*', 'f/*'] });
      for (const [role, path] of [
        ['expired', 'e/1'],
        ['forged', 'f/1'],
        ['good', 'g/1'],
        ['good', 'f/2'],
      ] as const) {
        sim.addTarget(role, path, utf8(path));
      }
      sim.role('expired').expires = sim.expiry(-1);
      sim.signers.set('forged', [testKey('stranger')]);
    });
    // f/2 may be the forged role's to say, whose word cannot be had: it is nobody's.
    t.strictSame(names(found), ['good: g/1']);
    t.strictSame([...found.failed].map(([role, { code }]) => [role, code]).sort(), [
      ['expired', 'E_EXPIRED'],
      ['forged', 'E_THRESHOLD'],
    ]);
  },
);

t.test('cycles, diamonds and bins', async (t) => {
  const { found } = await list((sim) => {
    sim.delegate('targets', 'A', { paths: ['*'] });
    sim.delegate('A', 'B', { paths: ['*'] });
    sim.delegate('B', 'A', { paths: ['*'] });
    sim.delegate('targets', 'B', { paths: ['*'] });
    sim.addTarget('A', 'a', utf8('x'));
    sim.addTarget('B', 'b', utf8('x'));
  });
  t.strictSame(names(found), ['A: a', 'B: b']);
  const bins = await list((sim) => {
    const all = sim.delegateBins('targets', 2, 'bin');
    // Every bin lists every path; each path is one bin's to say.
    for (const bin of all) for (const path of ['p', 'q', 'r']) sim.addTarget(bin, path, utf8(path));
  });
  t.equal(bins.found.targets.length, 3);
  t.equal(new Set(bins.found.targets.map(({ entry }) => entry.path)).size, 3);
});

t.test('more bins than anybody lists', async (t) => {
  await t.rejects(
    list((sim) => {
      sim.delegateBins('targets', 1, 'bin');
      const succinct = sim.targets.delegations?.succinct_roles;
      if (succinct !== undefined) succinct.bit_length = 32;
    }),
    { code: 'E_TOO_LARGE' },
  );
});

t.test(
  'a vendor whose paths and patterns cost minutes is left out, and hides nobody',
  async (t) => {
    const paths = Array.from({ length: 2000 }, (_, i) => `evil/${'a'.repeat(200)}/${i}/b`);
    const host = new Host();
    host.sim.delegate('targets', 'evil', { paths: ['evil/*/*/*'], terminating: true });
    host.sim.delegate('targets', 'good', { paths: ['good/*/*/*'], terminating: true });
    // Each pattern goes back once for each letter of the path.
    const patterns = Array.from({ length: 50 }, (_, i) => `evil/*${'a'.repeat(60)}c${i}/*/*`);
    host.sim.delegate('evil', 'evil.sub', { paths: patterns });
    for (const path of paths) host.sim.addTarget('evil.sub', path, utf8('x'));
    host.sim.addTarget('good', 'good/x/1/y', utf8('x'));
    host.sim.publish('targets');
    const steps = { all: 3_000_000, branch: 2_000_000 };
    const found = await host.updater().run((trusted) => listTargets(trusted, { steps }));
    t.strictSame(names(found), ['good: good/x/1/y']);
    t.strictSame(
      [...found.failed].map(([role, { code }]) => [role, code]),
      [['evil', 'E_TOO_LARGE']],
    );

    // What all of them spend is bounded as well, whatever each was given.
    const all = { all: 1000, branch: 2_000_000 };
    const none = await host.updater().run((trusted) => listTargets(trusted, { steps: all }));
    t.strictSame(names(none), []);
    t.strictSame([...none.failed.keys()].sort(), ['evil', 'good']);
  },
);

t.test('only the branches that are asked for are looked into', async (t) => {
  const host = new Host();
  for (const vendor of ['a', 'b']) {
    host.sim.delegate('targets', vendor, { paths: [`${vendor}/*`], terminating: true });
    host.sim.addTarget(vendor, `${vendor}/1`, utf8('x'));
  }
  host.sim.publish('targets');
  const branches = (role: string): boolean => role === 'b';
  const found = await host.updater().run((trusted) => listTargets(trusted, { branches }));
  t.strictSame(names(found), ['b: b/1']);
  t.notMatch(host.sim.takeRequests().join(' '), '1.a.json');
});

t.test(
  'a path is sent where a search sends it, also past patterns with wildcards first',
  async (t) => {
    const { host, found } = await list((sim) => {
      sim.delegate('targets', 'any', { paths: ['*/x'] });
      sim.delegate('targets', 'a', { paths: ['a/*', 'c/*'] });
      sim.delegate('targets', 'hashed', { prefixes: ['0', '1', '2', '3', '4', '5', '6', '7'] });
      for (const role of ['any', 'a', 'hashed'])
        for (const path of ['a/x', 'a/y', 'c/z', 'q', 'r', 's'])
          sim.addTarget(role, path, utf8(path));
    });
    t.ok(found.targets.length >= 3);
    for (const { entry, role } of found.targets)
      t.equal((await host.find(entry.path))?.role, role, entry.path);
  },
);
