// TUF 4.2, 4.3, 5.3.4: what counts towards a threshold. The one mistake that every implementation
// has made at least once.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import { type RoleDraft, Simulator } from '../support/simulator.ts';

/** A host whose pinned root asks for two snapshot keys, made as `edit` says. */
function twoOf(edit: (sim: Simulator, role: RoleDraft) => void): Host {
  const sim = new Simulator();
  const role = sim.root.roles.snapshot as RoleDraft;
  role.threshold = 2;
  edit(sim, role);
  sim.publishRoot();
  return new Host(sim);
}

t.test('two keys make two', async (t) => {
  const host = twoOf((sim) => sim.addKey('snapshot'));
  await host.refresh();
  t.equal(await host.stored('snapshot'), 1);
  const [check] = host.checks.filter(({ rule }) => rule.startsWith('TUF 5.5'));
  t.strictSame(check?.keys, host.sim.root.roles.snapshot?.keyids, 'the verdict names both');
});

t.test('one key does not', async (t) => {
  const host = twoOf((sim) => {
    sim.addKey('snapshot');
    sim.signers.get('snapshot')?.pop();
  });
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD', context: { signed: 1, threshold: 2 } });
});

t.test('the same key under two ids counts once (GO-2022-1004, go-tuf#733)', async (t) => {
  const host = twoOf((sim) => {
    const [key] = sim.signers.get('snapshot') ?? [];
    if (key === undefined) throw new Error('the simulator has a snapshot key');
    sim.addKey('snapshot', key, 'another-id');
    sim.signers.set('snapshot', [key]);
  });
  const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('snapshot')));
  file.signatures.push({ keyid: 'another-id', sig: file.signatures[0].sig });
  host.sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD', why: /the same key again/ });
});

t.test('two texts of one PEM key count once', async (t) => {
  const key = testKey('pem', 'ecdsa-sha2-nistp256');
  const host = twoOf((sim, role) => {
    role.keyids = [];
    sim.signers.set('snapshot', [key]);
    sim.addKey('snapshot', key, 'one');
    sim.addKey('snapshot', key, 'two');
    sim.signers.set('snapshot', [key]);
    const second = structuredClone(sim.root.keys.two) as { keyval: { public: string } };
    second.keyval.public = second.keyval.public.replaceAll('\n', '\r\n');
    sim.root.keys.two = second;
  });
  const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('snapshot')));
  const [{ sig }] = file.signatures;
  file.signatures = [
    { keyid: 'one', sig },
    { keyid: 'two', sig },
  ];
  host.sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD', context: { signed: 1 } });
});

t.test('a signature given twice (CVE-2020-6174, CVE-2020-15093, CVE-2026-6966)', async (t) => {
  const host = twoOf((sim) => sim.addKey('snapshot'));
  const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('snapshot')));
  file.signatures[1] = file.signatures[0];
  host.sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
  await t.rejects(host.refresh(), { code: 'E_SCHEMA' });
});

t.test('a key id given twice in a role', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    const role = host.sim.root.roles.snapshot as RoleDraft;
    role.keyids.push(role.keyids[0] as string);
    role.threshold = 2;
  });
  await t.rejects(host.refresh(), { code: 'E_SCHEMA' });
});

t.test('a valid signature under the wrong key id counts for nobody', async (t) => {
  const host = twoOf((sim) => sim.addKey('snapshot'));
  const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('snapshot')));
  const [a, b] = file.signatures;
  [a.sig, b.sig] = [b.sig, a.sig];
  host.sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
  await t.rejects(host.refresh(), { code: 'E_THRESHOLD', context: { signed: 0 } });
});

t.test(
  'signatures that do not verify, of unknown keys, or no signatures, are passed over',
  async (t) => {
    const good = new Host();
    const file = JSON.parse(new TextDecoder().decode(good.sim.fileOf('snapshot')));
    const [{ keyid, sig }] = file.signatures;
    const serve = (signatures: unknown): Host => {
      const host = new Host();
      host.sim.overrides.set(
        'metadata/1.snapshot.json',
        utf8(JSON.stringify({ ...file, signatures })),
      );
      return host;
    };
    await serve([
      { keyid: 'unknown', sig: '00' },
      { keyid, sig },
    ]).refresh();
    await serve([
      { keyid: 'empty', sig: '' },
      { keyid, sig, extra: 1 },
    ]).refresh();
    for (const bad of [
      '',
      '00',
      `${sig}00`,
      sig.toUpperCase(),
      sig.replace(/^../, 'zz'),
      `00${sig.slice(2)}`,
    ]) {
      await t.rejects(serve([{ keyid, sig: bad }]).refresh(), { code: 'E_THRESHOLD' }, bad);
    }
    await t.rejects(serve([]).refresh(), { code: 'E_THRESHOLD' });
    for (const bad of [null, {}, [null], [{ keyid }], [{ sig }], [{ keyid: 1, sig }]]) {
      await t.rejects(serve(bad).refresh(), { code: 'E_SCHEMA' }, JSON.stringify(bad));
    }
    const many = Array.from({ length: 300 }, (_, i) => ({ keyid: `k${i}`, sig }));
    await t.rejects(serve(many).refresh(), { code: 'E_SCHEMA' }, 'we do not count for ever');
  },
);

t.test('keys of unknown kinds and broken keys stop nobody, and count for nobody', async (t) => {
  const strange = [
    { keytype: 'xmss', scheme: 'xmss', keyval: { public: 'ab' } },
    { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: '00' } },
    { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: '01'.padEnd(64, '0') } },
    { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: 'no PEM' } },
    { keytype: '__proto__', scheme: 'constructor', keyval: { public: '' } },
  ];
  for (const key of strange) {
    const host = new Host();
    host.sim.nextRoot(() => {
      host.sim.root.keys.strange = key;
      host.sim.root.roles.snapshot?.keyids.push('strange');
    });
    await host.refresh();
    host.sim.nextRoot(() => {
      (host.sim.root.roles.snapshot as RoleDraft).threshold = 2;
    });
    await t.rejects(host.refresh(), { code: 'E_THRESHOLD' }, JSON.stringify(key));
  }
});

t.test('key ids are opaque (TAP 12)', async (t) => {
  const host = new Host();
  host.sim.nextRoot(() => {
    const role = host.sim.root.roles.timestamp as RoleDraft;
    const [key] = host.sim.signers.get('timestamp') ?? [];
    if (key === undefined) throw new Error('the simulator has a timestamp key');
    const hostile = '__proto__';
    host.sim.root.keys[hostile] = host.sim.root.keys[key.keyid];
    role.keyids = [hostile];
    const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('timestamp')));
    file.signatures[0].keyid = hostile;
    host.sim.overrides.set('metadata/timestamp.json', utf8(JSON.stringify(file)));
  });
  await host.refresh();
  t.equal(await host.stored('timestamp'), 1);
});

t.test('every kind of key that a role may have', async (t) => {
  for (const scheme of ['ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384'] as const) {
    const host = new Host();
    host.sim.nextRoot(() => {
      (host.sim.root.roles.targets as RoleDraft).keyids = [];
      host.sim.signers.set('targets', []);
      host.sim.addKey('targets', testKey('kinds', scheme));
    });
    await host.refresh();
    t.equal(await host.stored('targets'), 1, scheme);
    host.sim.signers.set('targets', [testKey('other', scheme)]);
    host.sim.publish('targets');
    await t.rejects(host.refresh(), { code: 'E_THRESHOLD' }, scheme);
  }
});
