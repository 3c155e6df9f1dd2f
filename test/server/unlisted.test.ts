/** What nothing lists any more, of histories that are written down file by file. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { unlistedTargets } from '../../server/retention/unlisted.ts';
import { utf8 } from '../../shared/bytes.ts';
import { tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { sealCanonical, targetEntry } from '../../shared/tuf/build.ts';
import { canonicalSnapshot } from '../../shared/tuf/canonical-snapshot.ts';
import { RoleVersions } from '../../shared/tuf/role-versions.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import {
  sha256,
  signedRole,
  signedTargets,
  testOperators,
  testVendor,
} from '../support/repository.ts';
import { temporaryHome } from './support.ts';

const acme = testVendor('acme');
const MOVED = 'acme/edu/1.0.0/moved.js';
const DROPPED = 'acme/edu/1.0.0/dropped.js';

const entryOf = (path: string) => {
  const bytes = utf8(path);
  return [path, targetEntry({ length: bytes.length, sha256: sha256(bytes) })] as const;
};
const placeOf = (path: string): string => tree.target(path, sha256(utf8(path)));

/** A tree whose snapshots list these versions of roles; each role, by version, lists these paths. */
async function history(
  t: Test,
  snapshots: readonly Record<string, number>[],
  roles: Record<string, readonly (readonly string[])[]>,
) {
  const folder = temporaryHome(t);
  mkdirSync(join(folder, tree.metadataFolder), { recursive: true });
  const put = (role: string, version: number, bytes: Uint8Array): void =>
    writeFileSync(join(folder, tree.metadata(role, version)), bytes);
  const retention = { window: 30 * DAY, grace: DAY };
  put('targets', 1, await signedTargets(await testOperators(folder), 1, [acme], { retention }));
  for (const [role, versions] of Object.entries(roles))
    for (const [at, paths] of versions.entries())
      put(
        role,
        at + 1,
        await signedRole(acme, at + 1, [], { entries: new Map(paths.map(entryOf)) }),
      );
  let last = new Uint8Array();
  for (const [at, listed] of snapshots.entries()) {
    const versions = new Map(Object.entries({ targets: 1, ...listed }));
    const expires = TODAY + (at + 7) * DAY;
    const signed = canonicalSnapshot(at + 1, expires, new RoleVersions(new Map(), versions));
    last = new Uint8Array(await sealCanonical(platformCrypto, signed, [testKey('snapshot')]));
    put('snapshot', at + 1, last);
  }
  return { folder, snapshot: parseSnapshot(last) };
}

t.test('what one role gave up and another lists is listed', async (t) => {
  const published = await history(t, [{ acme: 1 }, { acme: 2, 'acme.b1-0': 1 }], {
    acme: [[MOVED, DROPPED], []],
    'acme.b1-0': [[MOVED]],
  });
  const unlisted = await unlistedTargets(published);
  t.same([...unlisted.keys()], [placeOf(DROPPED)]);
  const until = TODAY + 37 * DAY;
  const [one] = unlisted.values();
  t.match(one, { path: DROPPED, vendor: 'acme', listed: TODAY + 7 * DAY, until, gap: 0 });
});

t.test('also in the role that comes first by its name', async (t) => {
  const published = await history(t, [{ 'acme.z': 1 }, { 'acme.z': 2, acme: 1 }], {
    'acme.z': [[MOVED], []],
    acme: [[MOVED]],
  });
  t.same([...(await unlistedTargets(published)).keys()], []);
});

t.test('a role that only a later snapshot may list is not given up', async (t) => {
  const published = await history(t, [{ acme: 1 }, { acme: 2 }], {
    acme: [[MOVED, DROPPED], [DROPPED], [MOVED]],
  });
  t.same([...(await unlistedTargets(published)).keys()], []);
});
