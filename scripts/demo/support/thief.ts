/** What an attacker with stolen keys can write: well-formed, well-signed, and not true. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '../../../shared/bytes.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { data, tree } from '../../../shared/layout.ts';
import { METADATA_LIMITS } from '../../../shared/limits.ts';
import { platformCrypto } from '../../../shared/node/crypto.ts';
import { loadFileSigner } from '../../../shared/node/signers/file.ts';
import { DAY } from '../../../shared/time.ts';
import { formatMetadata, sign, snapshotTree, timestampTree } from '../../../shared/tuf/build.ts';
import { type Envelope, parseEnvelope } from '../../../shared/tuf/envelope.ts';
import { parseSnapshot, type Snapshot } from '../../../shared/tuf/snapshot.ts';
import { parseTimestamp, type Timestamp } from '../../../shared/tuf/timestamp.ts';
import { type Scene, treeOf } from '../scene.ts';
import type { Lie } from './hostile-server.ts';

export interface Published {
  readonly timestamp: Timestamp;
  readonly snapshot: Snapshot;
}

/** The newest state of a scene's tree. */
export async function publishedState(scene: Scene): Promise<Published> {
  const timestamp = parseTimestamp(await readTree(scene, tree.timestamp));
  const snapshot = parseSnapshot(
    await readTree(scene, tree.metadata('snapshot', timestamp.snapshot.version)),
  );
  return { timestamp, snapshot };
}

export function readTree(scene: Scene, path: string): Promise<Uint8Array> {
  return readFile(join(treeOf(scene), path));
}

/** The newest published file of a role. */
export async function readRole(
  scene: Scene,
  role: string,
): Promise<{ bytes: Uint8Array; version: number; envelope: Envelope }> {
  const version = (await publishedState(scene)).snapshot.roles.get(role)?.version ?? 0;
  const bytes = await readTree(scene, tree.metadata(role, version));
  return { bytes, version, envelope: parseEnvelope(bytes, METADATA_LIMITS.targets, role) };
}

/** Signs a tree with a key file, as its thief would. */
export async function signWith(signed: JsonObject, ...keyFiles: string[]): Promise<Uint8Array> {
  const signers = await Promise.all(keyFiles.map((file) => loadFileSigner(file)));
  return formatMetadata(signed, await sign(platformCrypto, signed, signers));
}

/**
 * Timestamp and snapshot signed with the stolen online keys, which list `roles` at the versions
 * given; by default the versions follow the published ones.
 */
export async function forgeOnline(
  scene: Scene,
  now: number,
  roles: ReadonlyMap<string, number>,
  versions?: { readonly timestamp: number; readonly snapshot: number },
): Promise<Map<string, Lie>> {
  const { timestamp, snapshot } = await publishedState(scene);
  const listed = new Map([...snapshot.roles].map(([role, file]) => [role, file.version]));
  for (const [role, version] of roles) listed.set(role, version);
  const next = versions ?? { timestamp: timestamp.version + 1, snapshot: snapshot.version + 1 };
  const key = (role: 'snapshot' | 'timestamp'): string =>
    join(scene.repository, data.onlineKey(role));
  const snapshotBytes = await signWith(
    snapshotTree(next.snapshot, now + 7 * DAY, listed),
    key('snapshot'),
  );
  const meta = {
    version: next.snapshot,
    length: snapshotBytes.length,
    sha256: toHex(platformCrypto.sha256(snapshotBytes)),
  };
  const timestampBytes = await signWith(
    timestampTree(next.timestamp, now + DAY, meta),
    key('timestamp'),
  );
  return new Map<string, Lie>([
    [tree.metadata('snapshot', next.snapshot), snapshotBytes],
    [tree.timestamp, timestampBytes],
  ]);
}
