// The hand-over record: verified again by somebody who trusts neither the network nor the client.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import {
  formatRecord,
  type HandoffFile,
  type HandoffRecord,
  parseRecord,
  type RecordTrust,
  verifyRecord,
} from '../../shared/handoff/record.ts';
import { HANDOFF_LIMITS, METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { type Floors, NO_FLOORS } from '../../shared/verify/floors.ts';
import { TODAY } from '../support/clock.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import { digest, Simulator, signFile } from '../support/simulator.ts';

const PATH = 'acme/edu/1.0.0/edu.js';
const SIDECAR = `${PATH}.ceiling.json`;
const ARTIFACT = utf8('the driver');
const CEILING = utf8('its ceiling');

function repository(): Simulator {
  const sim = new Simulator();
  sim.delegate('targets', 'acme', { paths: ['acme/*/*/*'], terminating: true });
  sim.delegate('targets', 'evil', { paths: ['evil/*/*/*'], terminating: true });
  sim.addTarget('acme', PATH, ARTIFACT);
  sim.addTarget('acme', SIDECAR, CEILING);
  sim.publish('targets');
  return sim;
}

const describe = (path: string, bytes: Uint8Array): HandoffFile => ({
  path,
  length: bytes.length,
  sha256: digest('sha256', bytes),
});

/** The record that an honest client writes. */
async function record(host: Host): Promise<HandoffRecord> {
  const updater = host.updater();
  await updater.refresh();
  for (const path of [PATH, SIDECAR]) await updater.find(path);
  const { roots, roles } = updater.files;
  const file = (role: string): Uint8Array => roles.get(role) as Uint8Array;
  return {
    artifact: describe(PATH, ARTIFACT),
    sidecars: [describe(SIDECAR, CEILING)],
    roots,
    timestamp: file('timestamp'),
    snapshot: file('snapshot'),
    roles: new Map(['targets', 'acme'].map((role) => [role, file(role)])),
  };
}

function trust(sim: Simulator, more: Partial<RecordTrust> = {}): RecordTrust {
  return {
    crypto: platformCrypto,
    now: TODAY,
    root: sim.roots.get(1) as Uint8Array,
    floors: NO_FLOORS,
    ...more,
  };
}

t.test('an honest record is written, read and verified', async (t) => {
  const sim = repository();
  sim.nextRoot(() => sim.rotateKeys('root'));
  const bytes = formatRecord(await record(new Host(sim)));
  const verified = verifyRecord(parseRecord(bytes), trust(sim));
  t.equal(verified.artifact.role, 'acme');
  t.strictSame(verified.artifact.chain, ['targets', 'acme']);
  t.equal(verified.sidecars.length, 1);
  t.strictSame([...verified.newRoots.keys()], [2]);
  t.match(verified.floors, { root: 2, timestamp: 2, snapshot: 2 });
  t.equal(verified.floors.roles.get('acme'), 1);
});

t.test(
  'a record that begins at a later root needs the roots that the verifier knows',
  async (t) => {
    const sim = repository();
    sim.nextRoot();
    sim.nextRoot();
    const late = new Host(sim, sim.roots.get(3));
    const shortened = await record(late);
    t.throws(
      () =>
        verifyRecord(
          { ...shortened, roots: [] },
          trust(sim, { floors: { ...NO_FLOORS, root: 3 } }),
        ),
      { code: 'E_ROLLBACK' },
    );
    const knownRoots = (version: number) => sim.roots.get(version);
    t.equal(verifyRecord(shortened, trust(sim, { knownRoots })).trusted.root.version, 3);
  },
);

t.test('handoff-replayed: an older record, validly signed, after a newer one', async (t) => {
  const sim = repository();
  const old = await record(new Host(sim));
  sim.publish('acme');
  const { floors } = verifyRecord(await record(new Host(sim)), trust(sim));
  t.throws(() => verifyRecord(old, trust(sim, { floors })), { code: 'E_ROLLBACK' });
  verifyRecord(await record(new Host(sim)), trust(sim, { floors }));
  t.pass('the same record again is fine');
  const dropped: Floors = { ...floors, roles: new Map([...floors.roles, ['gone', 1]]) };
  t.throws(() => verifyRecord(old, trust(sim, { floors: dropped })), { code: 'E_ROLLBACK' });
});

t.test('a record that lay too long', async (t) => {
  const sim = repository();
  const old = await record(new Host(sim));
  t.throws(() => verifyRecord(old, trust(sim, { now: TODAY + 2 * 86_400 })), { code: 'E_EXPIRED' });
});

t.test('the digests that a record claims must be those that were signed', async (t) => {
  const sim = repository();
  const honest = await record(new Host(sim));
  const other = utf8('the dr1ver');
  const cases: [Partial<HandoffRecord>, string][] = [
    [{ artifact: describe(PATH, other) }, 'E_HASH'],
    [{ artifact: { ...honest.artifact, length: 11 } }, 'E_LENGTH'],
    [{ sidecars: [describe(SIDECAR, other)] }, 'E_LENGTH'],
    [{ sidecars: [{ ...describe(SIDECAR, CEILING), sha256: '0'.repeat(64) }] }, 'E_HASH'],
    [{ artifact: describe('acme/edu/1.0.0/other.js', ARTIFACT) }, 'E_TARGET_UNKNOWN'],
    [{ sidecars: [describe('acme/edu/1.0.0/other.js', CEILING)] }, 'E_TARGET_UNKNOWN'],
  ];
  for (const [change, code] of cases) {
    t.throws(() => verifyRecord({ ...honest, ...change }, trust(sim)), { code });
  }
});

t.test('an entry without SHA-256 cannot be handed over', async (t) => {
  const sim = repository();
  const entry = sim.role('acme').targets[PATH];
  if (entry !== undefined) entry.hashes = { sha512: digest('sha512', ARTIFACT) };
  const honest = await record(new Host(sim));
  t.throws(() => verifyRecord(honest, trust(sim)), { code: 'E_HASH' });
});

t.test('handoff-tampered: files that are not the signed ones', async (t) => {
  const sim = repository();
  const honest = await record(new Host(sim));
  const stranger = [testKey('stranger')];
  const forged = signFile(sim.role('acme'), stranger);
  const cases: [Partial<HandoffRecord>, string | RegExp][] = [
    [{ timestamp: signFile(sim.timestamp, stranger) }, 'E_THRESHOLD'],
    [{ snapshot: signFile(sim.snapshot, stranger) }, 'E_THRESHOLD'],
    [
      { roles: new Map([...honest.roles, ['targets', signFile(sim.targets, stranger)]]) },
      'E_THRESHOLD',
    ],
    [{ roles: new Map([...honest.roles, ['acme', forged]]) }, 'E_THRESHOLD'],
    [{ roles: new Map([...honest.roles].slice(0, 1)) }, 'E_NETWORK'],
    [{ roles: new Map() }, 'E_NETWORK'],
    [{ timestamp: utf8('{}') }, 'E_SCHEMA'],
    [{ snapshot: honest.timestamp }, /^E_(SCHEMA|THRESHOLD)$/],
    [{ timestamp: new Uint8Array(METADATA_LIMITS.timestamp + 1) }, 'E_TOO_LARGE'],
    [{ roots: [utf8('{')] }, 'E_JSON'],
  ];
  for (const [change, code] of cases) {
    t.throws(() => verifyRecord({ ...honest, ...change }, trust(sim)), { code }, String(code));
  }
});

t.test("the record's roots count only as they follow from the verifier's own", async (t) => {
  const sim = repository();
  const honest = await record(new Host(sim));
  const thief = new Simulator();
  thief.rotateKeys('root');
  thief.root.version = 2;
  const stolen = thief.publishRoot();
  t.throws(() => verifyRecord({ ...honest, roots: [...honest.roots, stolen] }, trust(sim)), {
    code: 'E_THRESHOLD',
  });
  const other = new Simulator(TODAY, 'other');
  t.throws(() => verifyRecord(honest, trust(sim, { root: other.roots.get(1) as Uint8Array })), {
    code: /^E_(THRESHOLD|VERSION)$/,
  });
});

t.test('rotated online keys free a verifier from fast-forwarded floors', async (t) => {
  const sim = repository();
  const floors: Floors = {
    root: 1,
    timestamp: 2 ** 53 - 2,
    snapshot: 2 ** 53 - 2,
    roles: new Map(),
  };
  t.throws(() => verifyRecord({} as never, trust(sim)), 'nonsense is no record');
  const before = await record(new Host(sim));
  t.throws(() => verifyRecord(before, trust(sim, { floors })), { code: 'E_ROLLBACK' });
  sim.nextRoot(() => sim.rotateKeys('timestamp'));
  const after = verifyRecord(await record(new Host(sim)), trust(sim, { floors }));
  t.match(after.floors, { root: 2, timestamp: 2, snapshot: 2 });
});

t.test('records of hostile shapes', async (t) => {
  const honest = JSON.parse(
    new TextDecoder().decode(formatRecord(await record(new Host(repository())))),
  );
  const bad: [string, unknown][] = [
    ['another schema', { ...honest, schema: 'ironport.handoff/v2' }],
    ['an unknown field', { ...honest, note: 1 }],
    [
      'a path that leaves',
      { ...honest, artifact: { ...honest.artifact, path: '../../etc/passwd' } },
    ],
    ['an absolute path', { ...honest, artifact: { ...honest.artifact, path: '/etc/passwd' } }],
    ['a length below 0', { ...honest, artifact: { ...honest.artifact, length: -1 } }],
    [
      'an upper-case digest',
      { ...honest, artifact: { ...honest.artifact, sha256: 'A'.repeat(64) } },
    ],
    ['no sidecars', { ...honest, sidecars: undefined }],
    [
      'too many sidecars',
      { ...honest, sidecars: Array(HANDOFF_LIMITS.sidecars + 1).fill(honest.artifact) },
    ],
    ['roots that are no base64', { ...honest, metadata: { ...honest.metadata, roots: ['!'] } }],
    ['too many roots', { ...honest, metadata: { ...honest.metadata, roots: Array(300).fill('') } }],
    [
      'too many roles',
      {
        ...honest,
        metadata: {
          ...honest.metadata,
          roles: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`r${i}`, ''])),
        },
      },
    ],
    ['null', null],
    ['an array', []],
  ];
  for (const [name, value] of bad) {
    t.throws(() => parseRecord(utf8(JSON.stringify(value))), { code: /^E_(SCHEMA|NAME)$/ }, name);
  }
  const text = JSON.stringify(honest);
  for (const cut of [0, 1, text.length >> 1, text.length - 1]) {
    t.throws(() => parseRecord(utf8(text.slice(0, cut))), { code: 'E_JSON' }, `cut at ${cut}`);
  }
  t.throws(() => parseRecord(utf8(text.replace('"schema"', '"schema":"x","schema"'))), {
    code: 'E_JSON',
  });
  t.throws(() => parseRecord(new Uint8Array(HANDOFF_LIMITS.record + 1)), { code: 'E_TOO_LARGE' });
});

t.test('a role named __proto__ is carried like any other', async (t) => {
  const honest = await record(new Host(repository()));
  const roles = new Map([...honest.roles, ['__proto__', utf8('x')]]);
  t.strictSame(parseRecord(formatRecord({ ...honest, roles })).roles.get('__proto__'), utf8('x'));
});
