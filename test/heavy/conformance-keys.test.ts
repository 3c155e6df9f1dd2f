// Keys: what counts towards a threshold, their kinds, and their names.

import { createHash } from 'node:crypto';
import { ml_dsa44, ml_dsa65, ml_dsa87 } from '@noble/post-quantum/ml-dsa.js';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import type { PublicKey, SigningScheme } from '../../shared/crypto/key.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId, keyObject, signedMessage } from '../../shared/tuf/key.ts';
import { Subject } from '../conformance/subject.ts';
import { rsaPair, signEncoded } from '../crypto/rsa-support.ts';
import { TestKey, testKey } from '../support/keys.ts';
import type { RoleDraft, Simulator } from '../support/simulator.ts';

t.test('one key, nine times', async (t) => {
  const ways: Record<string, (sim: Simulator) => void> = {
    'the same id': (sim) => {
      const key = testKey('nine');
      for (let i = 0; i < 9; i++) sim.addKey('snapshot', key);
    },
    'nine ids': (sim) => {
      const key = testKey('nine');
      for (let i = 0; i < 9; i++) sim.addKey('snapshot', key, String(i).repeat(64));
    },
  };
  for (const [name, add] of Object.entries(ways)) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    sim.nextRoot(() => {
      add(sim);
      (sim.root.roles.snapshot as RoleDraft).threshold = 6;
    });
    const file = JSON.parse(Buffer.from(sim.fileOf('snapshot')).toString());
    const { sig } = file.signatures.at(-1);
    const { keyids } = sim.root.roles.snapshot as RoleDraft;
    const distinct = [...new Set(keyids)];
    file.signatures = distinct.map((keyid, i) => (i === 0 ? file.signatures[0] : { keyid, sig }));
    sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 1, name);
    t.notMatch(subject.trusted(), 'snapshot');
    t.match(subject.said, /E_SCHEMA|E_THRESHOLD/);
  }
});

t.test('a signature that stands twice', async (t) => {
  const subject = await Subject.initialised(t);
  const file = JSON.parse(Buffer.from(subject.sim.fileOf('snapshot')).toString());
  file.signatures.push(file.signatures[0]);
  subject.sim.overrides.set('metadata/1.snapshot.json', utf8(JSON.stringify(file)));
  t.equal(await subject.refresh(), 1);
  t.equal(subject.trusted(), 'root 1, timestamp 1');
});

t.test('wrong signatures beside enough right ones stop nobody', async (t) => {
  for (const wrong of ['ab'.repeat(64), '', 'no hexadecimal', 'AB', '0'.repeat(100_001)]) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    const [first] = sim.signers.get('targets') as [TestKey];
    sim.nextRoot(() => sim.addKey('targets'));
    const file = JSON.parse(Buffer.from(sim.fileOf('targets')).toString());
    for (const item of file.signatures) if (item.keyid === first.keyid) item.sig = wrong;
    sim.overrides.set('metadata/1.targets.json', utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 0, JSON.stringify(wrong.slice(0, 20)));
  }
});

t.test(
  'keys of kinds that nobody knows, and broken ones, stop nobody and count nowhere',
  async (t) => {
    const odd = [
      { keytype: 'from the future', scheme: 'x', keyval: { public: '00' } },
      { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: 'zz' } },
      { keytype: 'rsa', scheme: 'rsassa-pss-sha256', keyval: { public: 'no PEM' } },
      { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: '' } },
      { keytype: 'ed25519', scheme: 'rsassa-pss-sha256', keyval: { public: '00'.repeat(32) } },
      { keytype: 'x', scheme: 'x', keyval: {} },
    ];
    for (const key of odd) {
      const subject = await Subject.initialised(t);
      const { sim } = subject;
      sim.nextRoot(() => {
        sim.root.keys.odd = key;
        (sim.root.roles.targets as RoleDraft).keyids.push('odd');
      });
      t.equal(await subject.refresh(), 0, `${key.keytype} ${key.scheme}`);
      sim.nextRoot(() => {
        (sim.root.roles.targets as RoleDraft).threshold = 2;
      });
      sim.publish('targets');
      t.equal(await subject.refresh(), 1, 'it is no second key');
    }
  },
);

t.test('ids of keys are names and nothing more (TAP 12)', async (t) => {
  for (const id of ['x', 'ü/../#', '__proto__', 'A'.repeat(64)]) {
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    const key = testKey('named');
    sim.nextRoot(() => {
      (sim.root.roles.targets as RoleDraft).keyids = [];
      sim.addKey('targets', key, id);
    });
    const file = JSON.parse(Buffer.from(sim.fileOf('targets')).toString());
    file.signatures = [{ keyid: id, sig: file.signatures.at(-1).sig }];
    sim.overrides.set('metadata/1.targets.json', utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 0, id);
  }
});

/** A key of a kind that our own tools do not sign with. */
class OtherKey extends TestKey {
  readonly #sign: (message: Uint8Array) => Uint8Array;
  readonly #kind: PublicKey;

  constructor(key: PublicKey, sign: (message: Uint8Array) => Uint8Array) {
    const { key: stand, keyid } = testKey('stand-in');
    super(keyid, { ...stand, ...(key as PublicKey<SigningScheme>) }, undefined as never);
    this.#kind = key;
    this.#sign = sign;
  }

  override signNow(message: Uint8Array): Uint8Array {
    return this.#sign(signedMessage(platformCrypto, this.#kind, message));
  }
}

function kinds(): TestKey[] {
  const rsa = rsaPair(2048);
  const sets = { 'ml-dsa-44': ml_dsa44, 'ml-dsa-65': ml_dsa65, 'ml-dsa-87': ml_dsa87 } as const;
  return [
    testKey('kind'),
    testKey('kind', 'ecdsa-sha2-nistp256'),
    testKey('kind', 'ecdsa-sha2-nistp384'),
    new OtherKey(rsa.key, (message) => signEncoded(rsa, message)),
    ...Object.entries(sets).map(([scheme, set]) => {
      const seed = createHash('sha256').update(scheme).digest();
      const { publicKey, secretKey } = set.keygen(new Uint8Array(seed));
      const key = { scheme, bytes: publicKey } as PublicKey;
      return new OtherKey(key, (message) => set.sign(message, secretKey));
    }),
  ];
}

t.test('every kind of key, as a second key of the root that must sign', async (t) => {
  for (const key of kinds()) {
    const { scheme } = key.key;
    t.equal(key.keyid, keyId(platformCrypto, key.key));
    const subject = await Subject.initialised(t);
    const { sim } = subject;
    sim.nextRoot(() => {
      sim.addKey('root', key);
      (sim.root.roles.root as RoleDraft).threshold = 2;
    });
    t.equal(await subject.refresh(), 0, scheme);
    t.match(subject.trusted(), 'root 2');
    sim.root.version = 3;
    const file = JSON.parse(Buffer.from(sim.publishRoot()).toString());
    // A true signature of that kind, over something else.
    file.signatures[1].sig = key.signHex(utf8('something else'));
    sim.roots.set(3, utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 1, `${scheme}: a wrong signature`);
    t.match(subject.trusted(), 'root 2');
    t.same(keyObject(key.key), sim.root.keys[key.keyid]);
  }
});
