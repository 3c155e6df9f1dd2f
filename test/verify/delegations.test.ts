// TUF 5.6.7: who speaks for a path. Graphs, and what is made of them by somebody who owns one role.

import t from 'tap';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { drive } from '../../shared/verify/drive.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { findTarget, type Request, refresh } from '../../shared/verify/workflow.ts';
import { TODAY } from '../support/clock.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import { digest, Simulator, signFile } from '../support/simulator.ts';

/** A host after its refresh, whose further requests are those of the walk. */
async function refreshed(edit: (sim: Simulator) => void): Promise<Host> {
  const host = new Host();
  edit(host.sim);
  host.sim.publish('targets');
  await host.refresh();
  host.sim.takeRequests();
  return host;
}

/** The delegated roles that a search asked for, in order. */
function visited(host: Host): string[] {
  return host.sim
    .takeRequests()
    .filter((name) => !/^([0-9]+\.)?(root|timestamp|snapshot|targets)\.json$/.test(name))
    .map((name) => name.replace(/^[0-9]+\.(.*)\.json$/, '$1'));
}

/** Edges as `delegator>role`, with `!` behind a terminating one. */
function graph(sim: Simulator, ...edges: string[]): void {
  for (const edge of edges) {
    const [from = '', to = ''] = edge.split('>');
    sim.delegate(from, to.replace('!', ''), { terminating: to.endsWith('!') });
  }
}

t.test('the walk is pre-order and depth first, in the order of the files', async (t) => {
  const cases: [edges: string[], order: string[]][] = [
    [['targets>A'], ['A']],
    [
      ['targets>A', 'targets>B'],
      ['A', 'B'],
    ],
    [
      ['targets>A', 'targets>B', 'A>C', 'A>D'],
      ['A', 'C', 'D', 'B'],
    ],
    [
      ['targets>A', 'targets>B', 'A>C', 'C>D'],
      ['A', 'C', 'D', 'B'],
    ],
    // Terminating: nothing after it, at any height, but everything below it.
    [
      ['targets>A', 'targets>B', 'A>C!', 'A>D'],
      ['A', 'C'],
    ],
    [
      ['targets>A', 'targets>B', 'A>C!', 'C>D'],
      ['A', 'C', 'D'],
    ],
    [
      ['targets>A!', 'targets>B', 'A>C', 'A>D'],
      ['A', 'C', 'D'],
    ],
    // Cycles, and a role that delegates to itself or back to its delegator.
    [
      ['targets>A', 'targets>B', 'B>C', 'C>D', 'D>B'],
      ['A', 'B', 'C', 'D'],
    ],
    [['targets>A', 'A>A'], ['A']],
    [
      ['targets>A', 'A>B', 'B>A'],
      ['A', 'B'],
    ],
    // A diamond: by the delegator that comes first.
    [
      ['targets>A', 'targets>B', 'B>C', 'A>C'],
      ['A', 'C', 'B'],
    ],
  ];
  for (const [edges, order] of cases) {
    const host = await refreshed((sim) => graph(sim, ...edges));
    t.equal(await host.find('missing'), undefined);
    t.strictSame(visited(host), order, edges.join(' '));
  }
});

t.test('the first role that lists the path speaks, and nobody after it is asked', async (t) => {
  const host = await refreshed((sim) => {
    graph(sim, 'targets>A', 'A>B', 'targets>C');
    sim.addTarget('B', 'file', utf8('by B'));
    sim.addTarget('C', 'file', utf8('by C'));
  });
  const found = await host.find('file');
  t.equal(found?.role, 'B');
  t.strictSame(found?.chain, ['targets', 'A', 'B']);
  t.equal(found?.entry.hashes.get('sha256'), digest('sha256', utf8('by B')));
  t.strictSame(visited(host), ['A', 'B']);
});

t.test('wrong vendor: a role that lists a path outside its namespace is not heard', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'acme', { paths: ['acme/*/*/*'], terminating: true });
    sim.delegate('targets', 'evil', { paths: ['evil/*/*/*'], terminating: true });
    sim.addTarget('evil', 'acme/nic/1.0/nic.ko', utf8('malware'));
  });
  t.equal(await host.find('acme/nic/1.0/nic.ko'), undefined);
  t.strictSame(visited(host), ['acme']);
});

t.test('a path must be delegated by every role on the way to it', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'A', { paths: ['a/*'] });
    sim.delegate('A', 'B', { paths: ['*', 'b/*', 'a/*'] });
    sim.addTarget('B', 'b/file', utf8('x'));
    sim.addTarget('B', 'a/file', utf8('y'));
  });
  t.equal(await host.find('b/file'), undefined);
  t.strictSame(visited(host), []);
  t.equal((await host.find('a/file'))?.role, 'B');
});

t.test(
  'each edge has its own keys: a role is verified against whom it is reached by (TOB-SIGSTORE-14)',
  async (t) => {
    // `shared` is delegated to by A (its true owner) and by B, with another key.
    const host = await refreshed((sim) => {
      sim.delegate('targets', 'A', { paths: ['a/*'] });
      sim.delegate('targets', 'B', { paths: ['b/*'] });
      sim.delegate('A', 'shared', { paths: ['a/*'], keys: [testKey('owner')] });
      sim.delegate('B', 'shared', { paths: ['b/*'], keys: [testKey('somebody else')] });
      sim.signers.set('shared', [testKey('owner')]);
      sim.addTarget('shared', 'a/file', utf8('a'));
      sim.addTarget('shared', 'b/file', utf8('b'));
    });
    t.equal((await host.find('a/file'))?.role, 'shared');
    await t.rejects(host.find('b/file'), { code: 'E_THRESHOLD' }, 'stored, but not for this edge');
    // Also within one run of one updater.
    const updater = host.updater();
    await updater.refresh();
    t.equal((await updater.find('a/file'))?.role, 'shared');
    await t.rejects(updater.find('b/file'), { code: 'E_THRESHOLD' });
    t.equal(
      (await updater.find('a/file'))?.role,
      'shared',
      'and the first edge is as good as before',
    );
  },
);

t.test('two walks at once: an edge has the keys of the very file that made it', async (t) => {
  // A and B both delegate to `shared`, each with a key of its own: that can be two files.
  const sim = new Simulator();
  sim.delegate('targets', 'A', { paths: ['a/*'] });
  sim.delegate('targets', 'B', { paths: ['b/*'] });
  sim.delegate('A', 'shared', { paths: ['a/*'], keys: [testKey('owner')] });
  sim.delegate('B', 'shared', { paths: ['b/*'], keys: [testKey('thief')] });
  sim.delegate('shared', 'deep', { paths: ['*/*'] });
  sim.addTarget('deep', 'a/file', utf8('malware'));
  sim.publish('targets');
  /** `shared` by one of the two, in which the key id `k` is a key of theirs. */
  const sharedBy = (name: string): Uint8Array => {
    const draft = structuredClone(sim.role('shared'));
    const [edge] = draft.delegations?.roles ?? [];
    if (draft.delegations === undefined || edge === undefined) throw new Error('it is there');
    draft.delegations.keys = { k: keyObject(testKey(`${name}, deep`).key) };
    edge.keyids = ['k'];
    return signFile(draft, [testKey(name)]);
  };
  const key = testKey('thief, deep');
  const forged = utf8(fromUtf8(signFile(sim.role('deep'), [key])).replace(key.keyid, 'k'));
  const mirror =
    (name: string) =>
    (request: Request): Uint8Array | undefined => {
      if (request.kind !== 'fetch') return undefined;
      if (request.role === 'shared') return sharedBy(name);
      if (request.role === 'deep') return forged;
      return sim.serve(
        request.version === undefined
          ? tree.timestamp
          : tree.metadata(request.role, request.version),
      );
    };
  const root = sim.roots.get(1) as Uint8Array;
  const trusted = new TrustedMetadata({ crypto: platformCrypto, now: TODAY, root });
  drive(refresh(trusted), mirror('owner'));

  const walk = findTarget(trusted, 'a/file');
  let step = walk.next();
  const waits = (request: Request): boolean => 'role' in request && request.role === 'deep';
  while (!step.done && !waits(step.value)) step = walk.next(mirror('owner')(step.value));
  // While the first walk waits for `deep`, another one meets the thief's `shared`.
  t.equal(drive(findTarget(trusted, 'b/file'), mirror('thief')), undefined);
  t.throws(
    () => {
      while (!step.done) step = walk.next(mirror('owner')(step.value));
    },
    { code: 'E_THRESHOLD' },
  );
});

t.test('more delegations in one file than a call has room for arguments', async (t) => {
  const sim = new Simulator();
  const roles = Array.from({ length: 60_000 }, (_, i) => ({
    name: i.toString(36),
    keyids: [],
    threshold: 1,
    terminating: false,
    paths: ['*'],
  }));
  sim.targets.delegations = { keys: {}, roles };
  const host = new Host(sim);
  const trusted = await host.refresh();
  // As in a browser's worker, where the stack is smaller: half of ours is used already.
  const deeper = (frames: number): unknown =>
    frames === 0 ? findTarget(trusted, 'file').next() : [deeper(frames - 1)];
  t.throws(() => deeper(6000), { code: 'E_MIX_AND_MATCH' }, 'the snapshot lists none of them');
});

t.test('forged role: signed by a stranger, or by too few', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'A', { keys: [testKey('one'), testKey('two')], threshold: 2 });
    sim.addTarget('A', 'file', utf8('x'));
  });
  host.sim.signers.set('A', [testKey('one')]);
  await t.rejects(host.find('file'), { code: 'E_THRESHOLD' });
  host.sim.signers.set('A', [testKey('one'), testKey('stranger')]);
  await t.rejects(host.find('file'), { code: 'E_THRESHOLD' });
  t.equal(await host.stored('A'), 0);
  host.sim.signers.set('A', [testKey('one'), testKey('two')]);
  t.equal((await host.find('file'))?.role, 'A');
});

t.test('the delegator may raise the threshold of a role that is stored already', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'A', { keys: [testKey('one')] });
    sim.addTarget('A', 'file', utf8('x'));
  });
  await host.find('file');
  const [edge] = host.sim.targets.delegations?.roles ?? [];
  if (edge === undefined) throw new Error('the delegation is there');
  edge.threshold = 2;
  host.sim.publish('targets');
  await t.rejects(host.find('file'), { code: 'E_THRESHOLD' });
});

t.test(
  'delegated roles are held to version, expiry and hash like targets (CVE-2026-6967)',
  async (t) => {
    const make = (): Promise<Host> =>
      refreshed((sim) => {
        sim.delegate('targets', 'A');
        sim.addTarget('A', 'file', utf8('x'));
      });
    const expired = await make();
    expired.sim.role('A').expires = expired.sim.expiry(-1);
    await t.rejects(expired.find('file'), { code: 'E_EXPIRED' });
    t.equal(await expired.stored('A'), 0);

    const stale = await make();
    await stale.find('file');
    stale.clock.days(100);
    for (const draft of [stale.sim.timestamp, stale.sim.snapshot])
      draft.expires = stale.sim.expiry(300);
    stale.sim.publish();
    await t.rejects(stale.find('file'), { code: 'E_EXPIRED' }, 'stored and expired since');
    stale.sim.role('A').expires = stale.sim.expiry(300);
    stale.sim.publish('A');
    t.equal((await stale.find('file'))?.targets.version, 2, 'a newer one is taken');

    const other = await make();
    other.sim.overrides.set(
      'metadata/1.A.json',
      (() => {
        const draft = { ...other.sim.role('A'), version: 2 };
        return signFile(draft, other.sim.signers.get('A') ?? []);
      })(),
    );
    await t.rejects(other.find('file'), { code: 'E_MIX_AND_MATCH' });

    const swapped = await make();
    swapped.sim.withHashes = true;
    swapped.sim.publish('A');
    const good = swapped.sim.signers.get('A') ?? [];
    swapped.sim.overrides.set(
      'metadata/2.A.json',
      signFile({ ...swapped.sim.role('A'), expires: swapped.sim.expiry(60) }, good),
    );
    await t.rejects(swapped.find('file'), { code: 'E_HASH' });

    const rolledBack = await make();
    rolledBack.sim.publish('A');
    await rolledBack.find('file');
    rolledBack.sim.role('A').version = 1;
    rolledBack.sim.publish();
    await t.rejects(rolledBack.find('file'), { code: 'E_ROLLBACK' });
  },
);

t.test('a role that the snapshot does not list cannot be loaded', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'A');
    sim.addTarget('A', 'file', utf8('x'));
    sim.roles.delete('A');
    delete sim.snapshot.meta['A.json'];
  });
  await t.rejects(host.find('file'), { code: 'E_MIX_AND_MATCH' });
});

t.test('so many roles and no more: a deep chain, and a wide one', async (t) => {
  const roles = Array.from({ length: METADATA_LIMITS.delegations + 1 }, (_, i) => `r${i}`);
  const fits = roles.slice(0, -1);
  const deep = (names: string[]) => (sim: Simulator) => {
    graph(sim, ...names.map((name, i) => `${names[i - 1] ?? 'targets'}>${name}`));
    sim.addTarget(names.at(-1) as string, 'file', utf8('x'));
  };
  const wide = (names: string[]) => (sim: Simulator) => {
    graph(sim, ...names.map((name) => `targets>${name}`));
    sim.addTarget(names.at(-1) as string, 'file', utf8('x'));
  };
  for (const shape of [deep, wide]) {
    t.equal((await (await refreshed(shape(fits))).find('file'))?.role, fits.at(-1));
    await t.rejects((await refreshed(shape(roles))).find('file'), { code: 'E_DELEGATION' });
  }
});

t.test('path_hash_prefixes send a path by the SHA-256 of its name', async (t) => {
  const hash = digest('sha256', utf8('some/file'));
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'no', { prefixes: [hash.slice(0, 7) + (hash[7] === '0' ? '1' : '0')] });
    sim.delegate('targets', 'inside', { prefixes: [hash.slice(1, 9), ` ${hash}`, `${hash}0`] });
    sim.delegate('targets', 'yes', { prefixes: ['zz', hash.slice(0, 8)] });
    sim.addTarget('no', 'some/file', utf8('no'));
    sim.addTarget('yes', 'some/file', utf8('yes'));
  });
  t.equal((await host.find('some/file'))?.role, 'yes');
  t.strictSame(visited(host), ['yes']);
});

t.test('succinct hash bins (TAP 15)', async (t) => {
  for (const [bits, prefix] of [
    [1, 'b'],
    [4, 'bins'],
    [5, 'x.y'],
    [9, '__proto__'],
  ] as const) {
    const host = new Host();
    const names = host.sim.delegateBins('targets', bits, prefix);
    const hash = digest('sha256', utf8('some/file'));
    const number = Number.parseInt(hash.slice(0, 8), 16) >>> (32 - bits);
    const bin = names[number] as string;
    host.sim.addTarget(bin, 'some/file', utf8('x'));
    host.sim.publish('targets');
    await host.refresh();
    host.sim.takeRequests();
    t.equal((await host.find('some/file'))?.role, bin);
    t.strictSame(visited(host), [bin], `${bits} bits`);
    t.equal(await host.find('elsewhere'), undefined);
  }
});

t.test('a search ends in its bin (TAP 15: bins are terminating)', async (t) => {
  const host = await refreshed((sim) => {
    graph(sim, 'targets>A', 'targets>B');
    sim.delegateBins('A', 1, 'bin');
    sim.addTarget('B', 'file', utf8('x'));
  });
  t.equal(await host.find('file'), undefined);
  t.equal(visited(host).includes('B'), false);
});

t.test('succinct bins: bit lengths that are none', async (t) => {
  for (const bits of [0, 33, -1]) {
    const host = new Host();
    host.sim.delegateBins('targets', 1, 'b');
    const succinct = host.sim.targets.delegations?.succinct_roles;
    if (succinct !== undefined) succinct.bit_length = bits;
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, `${bits}`);
  }
});

t.test('roles with names that are somebody else, or look like it', async (t) => {
  for (const name of [
    '__proto__',
    'constructor',
    '..',
    '../targets',
    '?',
    '#',
    '/a',
    'a b',
    'é',
    '1.root',
  ]) {
    const host = await refreshed((sim) => {
      sim.delegate('targets', name);
      sim.addTarget(name, 'file', utf8('x'));
    });
    t.equal((await host.find('file'))?.role, name);
    t.strictSame(visited(host), [encodeURIComponent(name).replace(/[!'()*]/g, '')], name);
    t.equal(await host.stored(name), 1);
  }
});

t.test('target paths with such names', async (t) => {
  for (const path of ['__proto__', 'constructor', 'toString', 'a/__proto__']) {
    const host = await refreshed((sim) => sim.addTarget('targets', path, utf8('x')));
    t.equal((await host.find(path))?.entry.length, 1);
    const empty = await refreshed(() => {});
    t.equal(await empty.find(path), undefined, `${path} is not there by itself`);
  }
});

t.test('a delegation to a top-level role', async (t) => {
  for (const name of ['root', 'targets', 'snapshot', 'timestamp', '']) {
    const host = new Host();
    host.sim.delegate('targets', 'A');
    const [edge] = host.sim.targets.delegations?.roles ?? [];
    if (edge !== undefined) edge.name = name;
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, name);
  }
});

t.test('delegations of a form that the format does not have', async (t) => {
  const edits: [string, (sim: Simulator) => void][] = [
    ['a role twice', (sim) => graph(sim, 'targets>A', 'targets>A')],
    ['threshold 0', (sim) => sim.delegate('targets', 'A', { threshold: 0 })],
    [
      'both paths and prefixes',
      (sim) => {
        sim.delegate('targets', 'A');
        for (const edge of sim.targets.delegations?.roles ?? []) edge.path_hash_prefixes = ['00'];
      },
    ],
    [
      'neither',
      (sim) => {
        sim.delegate('targets', 'A');
        for (const edge of sim.targets.delegations?.roles ?? []) delete edge.paths;
      },
    ],
    [
      'both roles and bins',
      (sim) => {
        sim.delegateBins('targets', 1, 'b');
        sim.delegate('targets', 'A');
      },
    ],
    [
      'null',
      (sim) => {
        Object.assign(sim.targets, { delegations: null });
      },
    ],
  ];
  for (const [name, edit] of edits) {
    const host = new Host();
    edit(host.sim);
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, name);
  }
});

t.test('a target entry is read when it is used, and then strictly', async (t) => {
  const entries = [
    { length: 1 },
    { hashes: { sha256: '0'.repeat(64) } },
    { length: -1, hashes: { sha256: '0'.repeat(64) } },
    { length: 1, hashes: {} },
    { length: 1, hashes: { md5: '0'.repeat(32) } },
    { length: 1, hashes: { sha256: 'x' } },
    null,
    [],
  ];
  for (const entry of entries) {
    const host = await refreshed((sim) => {
      sim.addTarget('targets', 'good', utf8('x'));
      Object.assign(sim.targets.targets, { bad: entry });
    });
    await t.rejects(host.find('bad'), { code: 'E_SCHEMA' }, JSON.stringify(entry));
    t.equal((await host.find('good'))?.entry.length, 1);
  }
});

t.test('paths that are none of ours to ask for', async (t) => {
  const host = await refreshed(() => {});
  for (const path of [
    '',
    '/etc/passwd',
    '../x',
    'a/../b',
    'a//b',
    'a\\b',
    'a\u0000b',
    'x'.repeat(2000),
  ]) {
    await t.rejects(host.find(path), { code: 'E_NAME' }, JSON.stringify(path.slice(0, 20)));
  }
  t.strictSame(visited(host), []);
});

t.test('a stored delegated file serves again, and only while the snapshot names it', async (t) => {
  const host = await refreshed((sim) => {
    sim.delegate('targets', 'A');
    sim.addTarget('A', 'file', utf8('x'));
  });
  await host.find('file');
  t.strictSame(visited(host), ['A']);
  await host.find('file');
  t.strictSame(visited(host), []);
  host.sim.publish('A');
  await host.find('file');
  t.strictSame(visited(host), ['A']);
  t.strictSame(host.unusable, [], 'an old version is no damage');
});
