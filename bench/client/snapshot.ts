/** A snapshot of as many roles as there are hash bins at most, the first thing that a process reads. */

import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BIN_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY, type Instant } from '../../shared/time.ts';
import {
  formatMetadata,
  rootTree,
  sign,
  snapshotTree,
  timestampTree,
} from '../../shared/tuf/build.ts';
import { binPrefix } from '../../shared/tuf/names.ts';
import type { Bar } from '../support/bar.ts';
import { inTurn, type Result } from '../support/in-turn.ts';
import { runToEnd } from '../support/measured.ts';
import { makeSigner } from './repository.ts';

export const ROLES = 2 ** BIN_LIMITS.bits;
export const SNAPSHOT_ROW = 'a snapshot of 16,384 roles';
const RUN = fileURLToPath(new URL('./snapshot-run.ts', import.meta.url));

/** Measured inside of the process, which has read nothing of the kind before: no start, no network. */
export async function measureSnapshot(
  now: Instant,
  rounds: number,
  say: (text: string) => void,
): Promise<{ readonly results: readonly Result[]; readonly bars: readonly Bar[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'ironport-bench-snapshot-'));
  try {
    await write(folder, now + DAY);
    const ours = (work: 'parse' | 'trust') => ({
      name: `ours, ${work}`,
      run: async () => {
        const { stdout, peakMiB } = await runToEnd({ args: [RUN, folder, work] });
        const { roles, wallSeconds, cpuSeconds } = JSON.parse(stdout);
        if (roles !== ROLES + 1) throw new Error(`${roles} roles were found`);
        return { wallSeconds, cpuSeconds, peakMiB };
      },
    });
    const results = await inTurn([ours('parse'), ours('trust')], rounds, say);
    const measured = results[0]?.cpuSeconds;
    const what = `${SNAPSHOT_ROW}, parsed: CPU`;
    return { results, bars: [{ what, measured, atMost: 0.1, unit: 's' }] };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function write(folder: string, expires: Instant): Promise<void> {
  const signer = makeSigner();
  const spec = { keys: [signer.key], threshold: 1 };
  const put = async (role: string, signed: Parameters<typeof sign>[1]): Promise<Uint8Array> => {
    const bytes = formatMetadata(signed, await sign(platformCrypto, signed, [signer]));
    await writeFile(join(folder, `${role}.json`), bytes);
    return bytes;
  };
  const versions = new Map([['targets', 1]]);
  for (let i = 0; i < ROLES; i++) {
    const bin = i.toString(16).padStart(Math.ceil(BIN_LIMITS.bits / 4), '0');
    versions.set(`${binPrefix('acme', BIN_LIMITS.bits)}-${bin}`, 1 + (i % 97));
  }
  const snapshot = await put('snapshot', snapshotTree(1, expires, versions));
  const sha256 = createHash('sha256').update(snapshot).digest('hex');
  await put(
    'timestamp',
    timestampTree(1, expires, { version: 1, length: snapshot.length, sha256 }),
  );
  const roles = { root: spec, targets: spec, snapshot: spec, timestamp: spec };
  await put('root', rootTree(platformCrypto, 1, expires, roles));
}
