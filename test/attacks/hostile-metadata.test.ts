// Advisories about bytes that nobody signed: they crash nothing, and weaken nothing once signed.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { Host } from '../support/host.ts';
import { signFile } from '../support/simulator.ts';

/** Every file that a host reads before it trusts anything. */
const FILES = ['2.root', 'timestamp', '2.snapshot', '2.targets', '1.A'];

function made(): Host {
  const host = new Host();
  host.sim.delegate('targets', 'A', { paths: ['*'] });
  host.sim.addTarget('A', 'file', utf8('x'));
  host.sim.publish('targets');
  return host;
}

t.test(
  'CVE-2026-23991, go-tuf #749: hostile JSON is refused with a code, before any signature',
  async (t) => {
    const hostile = [
      ...['null', '[]', '0', '"x"', 'true', '{}', '', ' ', '{', '{"signed":'],
      ...['{"signed":null,"signatures":null}', '{"signed":{},"signatures":[null]}'],
      ...['{"signatures":[],"signed":{"_type":null}}', '{"signatures":{},"signed":[]}'],
      '{"signatures":[{"keyid":null,"sig":null}],"signed":{"_type":"root"}}',
      '{"signatures":[],"signed":{"_type":"targets","delegations":null,"targets":null}}',
      '{"signatures":[],"signed":{"__proto__":null,"constructor":1}}',
      '['.repeat(60_000),
      `{"a":${'9'.repeat(10_000)}}`,
      '\ufeff{}',
    ];
    for (const file of FILES) {
      for (const text of hostile) {
        const host = made();
        host.sim.overrides.set(`metadata/${file}.json`, utf8(text));
        const error = await host.find('file').then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        const code = isIronError(error) ? error.code : String(error);
        t.ok(
          ['E_JSON', 'E_SCHEMA', 'E_TOO_LARGE'].includes(code),
          `${file} ${text.slice(0, 40)}: ${code}`,
        );
        t.equal((await host.store.floors()).root <= 1, true, 'and nothing was learned of it');
      }
    }
  },
);

t.test('CVE-2026-23992: a threshold below 1 is no threshold', async (t) => {
  for (const threshold of [0, -1, null, '1']) {
    const host = made();
    host.sim.nextRoot(() => {
      (host.sim.root.roles.timestamp as { threshold: unknown }).threshold = threshold;
    });
    const error = await host.refresh().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isIronError(error, 'E_SCHEMA', 'E_JSON'), `in root: ${threshold}`);
    const other = made();
    const role = other.sim.targets.delegations?.roles?.[0] as { threshold: unknown };
    role.threshold = threshold;
    other.sim.publish('targets');
    const refused = await other.refresh().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isIronError(refused, 'E_SCHEMA', 'E_JSON'), `in a delegation: ${threshold}`);
  }
});

t.test(
  'CVE-2020-6174, CVE-2020-15093, CVE-2026-6966: one signature twice is one signature',
  async (t) => {
    const host = made();
    const { sim } = host;
    const role = sim.targets.delegations?.roles?.[0];
    if (role === undefined) throw new Error('the simulator has no delegation');
    const second = sim.newKey();
    const table = sim.targets.delegations?.keys as Record<string, unknown>;
    table[second.keyid] = keyObject(second.key);
    role.keyids.push(second.keyid);
    role.threshold = 2;
    sim.publish('targets');
    const [first] = sim.signers.get('A') ?? [];
    if (first === undefined) throw new Error('nobody signs A');
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, first, first]));
    const error = await host.find('file').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isIronError(error, 'E_THRESHOLD', 'E_SCHEMA'), String(error));
    sim.overrides.set('metadata/1.A.json', signFile(sim.role('A'), [first, second]));
    t.ok(await host.find('file'), 'two keys are two');
  },
);

t.test('GHSA-3633-5h82-39pq, go-tuf #733: one key under two ids is one key', async (t) => {
  const host = made();
  const { sim } = host;
  const role = sim.targets.delegations?.roles?.[0];
  const [first] = sim.signers.get('A') ?? [];
  if (role === undefined || first === undefined) throw new Error('nobody signs A');
  const alias = 'ab'.repeat(32);
  (sim.targets.delegations?.keys as Record<string, unknown>)[alias] = keyObject(first.key);
  role.keyids.push(alias);
  role.threshold = 2;
  sim.publish('targets');
  const file = JSON.parse(new TextDecoder().decode(signFile(sim.role('A'), [first])));
  file.signatures.push({ ...file.signatures[0], keyid: alias });
  sim.overrides.set('metadata/1.A.json', utf8(JSON.stringify(file)));
  await t.rejects(host.find('file'), { code: 'E_THRESHOLD' });
});

t.test('go-tuf #739: an Ed25519 key or signature of another length verifies nothing', async (t) => {
  for (const cut of [0, 2, 62, 66]) {
    const host = made();
    const file = JSON.parse(new TextDecoder().decode(host.sim.fileOf('timestamp')));
    file.signatures[0].sig = file.signatures[0].sig.padEnd(200, '0').slice(0, cut);
    host.sim.overrides.set('metadata/timestamp.json', utf8(JSON.stringify(file)));
    const error = await host.refresh().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isIronError(error, 'E_THRESHOLD', 'E_SCHEMA'), `${cut} digits: ${String(error)}`);
  }
});

t.test('go-tuf #716: a bit length that makes no bins, or more than anybody has', async (t) => {
  for (const bits of [0, -1, 33, 2 ** 31]) {
    const host = new Host();
    host.sim.delegateBins('targets', 2, 'bin');
    const succinct = host.sim.targets.delegations?.succinct_roles;
    if (succinct !== undefined) succinct.bit_length = bits;
    host.sim.publish('targets');
    await t.rejects(host.refresh(), { code: 'E_SCHEMA' }, String(bits));
  }
});

t.test('go-tuf #721: a target without a digest is no target', async (t) => {
  for (const hashes of [{}, { md5: 'a'.repeat(32) }, null, { sha256: '' }]) {
    const host = new Host();
    host.sim.addTarget('targets', 'file', utf8('x'));
    (host.sim.targets.targets.file as { hashes: unknown }).hashes = hashes;
    host.sim.publish('targets');
    const error = await host.find('file').then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    t.ok(isIronError(error, 'E_SCHEMA', 'E_HASH'), `${JSON.stringify(hashes)}: ${String(error)}`);
  }
});
