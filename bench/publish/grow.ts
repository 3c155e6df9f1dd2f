/**
 * Gives a vendor as many targets as are wanted, at the speed of the disk: role, bins, snapshot and
 * timestamp are signed with the real keys and lie in the tree as the service would have laid them.
 * `fsck` finds nothing wrong with it, and the service makes its index from it at its next start.
 *
 * The artifacts are many names of a few files: their evidence is true of the first one only.
 */

import { linkSync, mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toHex } from '../../shared/bytes.ts';
import { buildEvidenceKeys, ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { data, hashPrefixed, tree } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import {
  formatMetadata,
  sign,
  snapshotTree,
  succinctTree,
  targetsTree,
  timestampTree,
} from '../../shared/tuf/build.ts';
import {
  binFor,
  binNames,
  parseDelegations,
  type SuccinctRoles,
} from '../../shared/tuf/delegations.ts';
import { binPrefix } from '../../shared/tuf/names.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTimestamp } from '../../shared/tuf/timestamp.ts';
import type { Place } from './places.ts';
import { BenchVendor, type Goods } from './vendor.ts';

/** ext4 gives a file 65,000 names; others are made from a further copy. */
const NAMES_A_FILE = 60_000;
/** Artifacts of one version of a product. */
const A_FOLDER = 50;

/** No service may run there, and the vendor may have nothing there yet. */
export async function grow(place: Place, targets: number, bits: number): Promise<void> {
  const vendor = await BenchVendor.open(place.vendor, 'http://127.0.0.1:1');
  try {
    await lay(place.repository, vendor, targets, bits);
  } finally {
    await vendor.close();
  }
}

async function lay(
  repository: string,
  vendor: BenchVendor,
  count: number,
  bits: number,
): Promise<void> {
  const { name, signers } = vendor;
  const at = (path: string): string => join(repository, data.tree, path);
  const put = (path: string, bytes: Uint8Array): void => {
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), bytes, { mode: 0o444 });
  };
  const keys = { keys: [signers.tuf.key], threshold: 1 };
  const delegations = succinctTree(crypto, keys, bits, binPrefix(name, bits));
  const succinct = parseDelegations(new Node(delegations, '')).succinct as SuccinctRoles;
  const bins = new Map(binNames(succinct).map((bin) => [bin, new Map<string, JsonObject>()]));
  const goods = await vendor.make('first', '1.0.0', 4096);
  const layOne = layer(goods, at);
  for (let at = 0; at * 4 < count; at++)
    for (const [path, entry] of layOne(name, at))
      bins.get(binFor(crypto, succinct, path))?.set(path, entry);

  const expires = systemClock() + LIFETIMES.vendor;
  const seal = async (signed: JsonObject): Promise<Uint8Array> =>
    formatMetadata(signed, await sign(crypto, signed, [signers.tuf]));
  const evidence = buildEvidenceKeys({ active: [signers.evidence.key], retired: [] });
  const extra = jsonObject([[ROLE_FIELD, evidence]]);
  put(
    tree.metadata(name, 1),
    await seal(targetsTree(1, expires, { targets: new Map(), delegations, extra })),
  );
  for (const [bin, targets] of bins)
    put(tree.metadata(bin, 1), await seal(targetsTree(1, expires, { targets })));
  await show(repository, [name, ...bins.keys()]);
}

/** Lays the files of the n-th artifact; its entries. */
function layer(
  { blobs, entries }: Goods,
  at: (path: string) => string,
): (vendor: string, number: number) => [string, JsonObject][] {
  // The index of the product comes last, and is left out.
  const files = [...entries].slice(0, -1).map(([path, entry], i) => ({
    suffix: path.slice(path.indexOf('driver.bin') + 'driver.bin'.length),
    entry,
    sha256: blobs[i]?.sha256 as string,
    bytes: blobs[i]?.bytes as Uint8Array,
    from: '',
  }));
  let folder = '';
  return (vendor, number) => {
    const version = `${vendor}/product-${number % 977}/1.${Math.floor(number / 977 / A_FOLDER)}.0`;
    const path = `${version}/driver-${Math.floor(number / 977) % A_FOLDER}.bin`;
    return files.map((file) => {
      const { suffix, entry, sha256, bytes } = file;
      const place = at(`targets/${hashPrefixed(path + suffix, sha256)}`);
      if (folder !== version) mkdirSync(dirname(place), { recursive: true });
      folder = version;
      if (number % NAMES_A_FILE === 0) {
        writeFileSync(place, bytes, { mode: 0o444 });
        file.from = place;
      } else linkSync(file.from, place);
      return [path + suffix, entry];
    });
  };
}

/** The next snapshot and timestamp, which list version 1 of `roles`, too. */
async function show(repository: string, roles: readonly string[]): Promise<void> {
  const at = (path: string): string => join(repository, data.tree, path);
  const before = parseTimestamp(await readFile(at(tree.timestamp)));
  const { version } = before.snapshot;
  const snapshot = parseSnapshot(await readFile(at(tree.metadata('snapshot', version))));
  const listed = new Map([...snapshot.roles].map(([role, meta]) => [role, meta.version]));
  for (const role of roles) listed.set(role, 1);
  const now = systemClock();
  const seal = async (role: 'snapshot' | 'timestamp', signed: JsonObject): Promise<Uint8Array> => {
    const signer = await loadFileSigner(join(repository, data.onlineKey(role)));
    return formatMetadata(signed, await sign(crypto, signed, [signer]));
  };
  const next = await seal('snapshot', snapshotTree(version + 1, now + LIFETIMES.snapshot, listed));
  writeFileSync(at(tree.metadata('snapshot', version + 1)), next, { mode: 0o444 });
  const meta = {
    version: version + 1,
    length: next.length,
    sha256: toHex(crypto.sha256(next)),
  };
  const timestamp = timestampTree(before.version + 1, now + LIFETIMES.timestamp, meta);
  writeFileSync(at(tree.timestamp), await seal('timestamp', timestamp));
}
