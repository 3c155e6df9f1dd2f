/** Digests that are remembered: of which bytes, and how often a publication still hashes a snapshot. */

import { join } from 'node:path';
import t from 'tap';
import { openRepository } from '../../server/repository.ts';
import { readMetadata } from '../../server/storage/published.ts';
import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { rememberingDigests, settled } from '../../shared/crypto/digest-memory.ts';
import { data, tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { formatMetadata, sign, succinctTree, targetsTree } from '../../shared/tuf/build.ts';
import { signedRole } from '../support/repository.ts';
import { madeHome, repositoryOptions } from './support.ts';

/** The platform's, and what it hashed: of each buffer how often. */
function counting() {
  const hashed: { readonly digest: string; readonly bytes: Uint8Array }[] = [];
  const crypto: Crypto = {
    ...platformCrypto,
    sha256(bytes) {
      const digest = platformCrypto.sha256(bytes);
      hashed.push({ digest: toHex(digest), bytes });
      return digest;
    },
  };
  return { hashed, crypto };
}

t.test('only of settled bytes, and of the very object', async (t) => {
  const { hashed, crypto: counted } = counting();
  const crypto = rememberingDigests(counted);
  const bytes = new Uint8Array(8192).fill(7);
  const digest = toHex(crypto.sha256(bytes));
  crypto.sha256(bytes);
  t.equal(hashed.length, 2, 'nobody said that they stay');
  bytes[0] = 8;
  t.not(toHex(crypto.sha256(bytes)), digest);
  hashed.length = 0;

  settled(bytes);
  const first = crypto.sha256(bytes);
  const again = crypto.sha256(bytes);
  t.equal(hashed.length, 1);
  t.same(again, first);
  again.fill(0);
  t.same(crypto.sha256(bytes), first, 'what a caller does with a digest is its own affair');
  t.same(crypto.sha256(bytes.slice()), first);
  t.same(crypto.sha256(bytes.subarray()), first);
  t.equal(hashed.length, 3, 'equal bytes elsewhere are hashed, and so is another view of these');
  t.same(rememberingDigests(counted).sha256(bytes), first);
  t.equal(hashed.length, 4, 'each remembers what it hashed itself');
  const short = settled(new Uint8Array(16));
  crypto.sha256(short);
  crypto.sha256(short);
  t.equal(hashed.length, 6, 'short ones are not worth it');
  t.equal(settled(undefined), undefined);
});

t.test('what is read from the tree again is hashed again', async (t) => {
  const { home } = await madeHome(t);
  const { hashed, crypto: counted } = counting();
  const crypto = rememberingDigests(counted);
  const path = tree.metadata('targets', 1);
  for (let i = 0; i < 2; i++) {
    const bytes = await readMetadata(join(home, data.tree), path, METADATA_LIMITS.targets);
    if (bytes === undefined) throw new Error('no targets');
    crypto.sha256(bytes);
    crypto.sha256(bytes);
  }
  t.ok(new Set(hashed.map(({ bytes }) => bytes)).size === 2);
});

t.test(
  'of a snapshot with many roles: once each time that it is read, and once its signed part',
  async (t) => {
    const made = await madeHome(t);
    const { hashed, crypto } = counting();
    const options = { ...repositoryOptions(made.home, made.clock), crypto };
    const repository = await openRepository(options);
    t.teardown(() => repository.close());
    const { intake, worker, current } = repository;
    const { acme } = made;
    const delegations = succinctTree(
      crypto,
      { keys: acme.tuf.map(({ key }) => key), threshold: 2 },
      8,
      'acme.b8',
    );
    const seal = async (version: number): Promise<Uint8Array> => {
      const signed = targetsTree(version, made.clock.now + 80 * DAY, { targets: new Map() });
      return formatMetadata(signed, await sign(crypto, signed, acme.tuf));
    };
    const names = Array.from(
      { length: 256 },
      (_, i) => `acme.b8-${i.toString(16).padStart(2, '0')}`,
    );
    const publish = async (
      bytes: Uint8Array | undefined,
      roles: readonly string[],
      bin: Uint8Array,
    ) => {
      const sha256 = toHex(crypto.sha256(bin));
      await intake.receiver.receiveBatch('acme', [{ sha256, bytes: bin }]);
      const below = roles.map((role) => ({ role, sha256 }));
      const { id } = await intake.submitRole({ vendor: 'acme', role: 'acme', bytes, below });
      await worker.drain();
      t.match(intake.find(id, 'acme'), { state: 'published' });
    };
    await publish(await signedRole(acme, 1, [], { delegations }), names, await seal(1));
    const before = await current.need();
    hashed.length = 0;
    await publish(undefined, names.slice(0, 3), await seal(2));
    const after = await current.need();

    const count = (bytes: Uint8Array): number[] => {
      const digest = toHex(platformCrypto.sha256(bytes));
      const times = new Map<Uint8Array, number>();
      for (const one of hashed)
        if (one.digest === digest) times.set(one.bytes, (times.get(one.bytes) ?? 0) + 1);
      return [...times.values()];
    };
    const whole = count(after.files.get('snapshot') as Uint8Array);
    t.ok(
      whole.every((times) => times === 1),
      `each reading is hashed once: ${whole}`,
    );
    // As it is signed, by each of the two clients of preflight, and by the service.
    t.equal(whole.length, 4);
    t.same(
      count(after.snapshot.envelope.signedBytes()).filter((times) => times > 1),
      [],
    );
    t.ok(count(after.snapshot.envelope.signedBytes()).length <= 2);
    t.same(
      count(before.files.get('snapshot') as Uint8Array).filter((times) => times > 1),
      [],
    );
  },
);
