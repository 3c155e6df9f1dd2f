/**
 * One run: `FOLDER parse` reads the snapshot, `FOLDER trust` makes it trusted, from its bytes, after root
 * and timestamp were. Says what it took.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { TrustedMetadata } from '../../shared/verify/trusted.ts';

const [folder = '', work] = process.argv.slice(2);
const [root, timestamp, snapshot] = ['root', 'timestamp', 'snapshot'].map(
  (role) => new Uint8Array(readFileSync(join(folder, `${role}.json`))),
) as [Uint8Array, Uint8Array, Uint8Array];
const trusted = new TrustedMetadata({ crypto: platformCrypto, now: systemClock(), root });
trusted.updateTimestamp(timestamp, 'network');
const read = (): { readonly size: number } => {
  if (work === 'parse') return parseSnapshot(snapshot).roles;
  trusted.updateSnapshot(snapshot, 'network');
  return trusted.snapshot().roles;
};
const [before, began] = [process.cpuUsage(), performance.now()];
const { size } = read();
const [took, { user, system }] = [performance.now() - began, process.cpuUsage(before)];
console.log(
  JSON.stringify({
    roles: size,
    wallSeconds: took / 1000,
    cpuSeconds: (user + system) / 1e6,
  }),
);
