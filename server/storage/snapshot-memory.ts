/**
 * Snapshots that were read already. One that lists the bins of a large vendor has thousands of
 * entries, and a publication reads it several times: to see what stands, and as each of the clients
 * of preflight. What is read is a function of the bytes alone; every signature, hash and version is
 * verified by each of them as ever.
 */

import { toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { settled } from '../../shared/crypto/digest-memory.ts';
import { parseSnapshot, type Snapshot } from '../../shared/tuf/snapshot.ts';
import type { SnapshotReader } from '../../shared/verify/trusted.ts';

/** What stands, what follows it, and one that was refused. */
const KEPT = 3;

/** A `parseSnapshot` with a memory, by the digest of the bytes. */
export function rememberingSnapshots(crypto: Crypto): SnapshotReader {
  const kept = new Map<string, Snapshot>();
  return (bytes, length) => {
    // Too long for this caller, whoever read it before.
    if (bytes.length > length) return parseSnapshot(bytes, length);
    const digest = toHex(crypto.sha256(bytes));
    const [, last] = [...kept].at(-1) ?? [];
    const snapshot = kept.get(digest) ?? parseSnapshot(bytes, length, last);
    // Each that verifies its signatures is given these very bytes.
    settled(snapshot.envelope.signedBytes());
    kept.delete(digest);
    kept.set(digest, snapshot);
    const [oldest] = kept.keys();
    if (kept.size > KEPT && oldest !== undefined) kept.delete(oldest);
    return snapshot;
  };
}
