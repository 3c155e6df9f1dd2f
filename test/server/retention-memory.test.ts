/** A history of any length is read in the memory of one snapshot. */

import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY } from '../../shared/time.ts';
import { sealCanonical } from '../../shared/tuf/build.ts';
import { canonicalSnapshot } from '../../shared/tuf/canonical-snapshot.ts';
import { RoleVersions } from '../../shared/tuf/role-versions.ts';
import { TODAY } from '../support/clock.ts';
import { testKey } from '../support/keys.ts';
import { temporaryHome } from './support.ts';

t.setTimeout(280_000);

const SNAPSHOTS = 1000;
/** A vendor's bins: read into memory, a snapshot of them is some hundred kilobytes. */
const ROLES = 1000;

t.test('a thousand snapshots, one in memory at a time', async (t) => {
  const folder = temporaryHome(t);
  mkdirSync(join(folder, tree.metadataFolder), { recursive: true });
  const bins = Array.from({ length: ROLES }, (_, bin) => [`acme.b-${bin}`, 1] as const);
  // That they are there is looked at, and not what they say.
  for (const [bin] of [['acme'], ...bins])
    writeFileSync(join(folder, tree.metadata(bin as string, 1)), '');
  const key = testKey('snapshot');
  for (let version = 1; version <= SNAPSHOTS; version++) {
    const roles = new RoleVersions(new Map(), new Map([['acme', 1], ...bins]));
    const signed = canonicalSnapshot(version, TODAY + version * DAY, roles);
    const bytes = await sealCanonical(platformCrypto, signed, [key]);
    writeFileSync(join(folder, tree.metadata('snapshot', version)), bytes);
  }
  const worker = new Worker(new URL('./history-worker.ts', import.meta.url), {
    workerData: { folder, current: SNAPSHOTS },
    resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 },
  });
  const [answer] = await once(worker, 'message');
  t.same(answer, { files: SNAPSHOTS + ROLES + 1, until: Number.POSITIVE_INFINITY });
});
