/**
 * Repositories to measure clients on: real, signed, and the same in every run of the same
 * parameters, so that they are made once and kept in the temporary folder.
 */

import { createHash, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { ed25519Key } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { type JsonObject, type JsonValue, jsonObject } from '../../shared/json/value.ts';
import { tree } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { DAY, type Instant } from '../../shared/time.ts';
import {
  formatMetadata,
  keyTable,
  roleKeys,
  rootTree,
  sign,
  snapshotTree,
  targetEntry,
  targetsTree,
  timestampTree,
} from '../../shared/tuf/build.ts';

/** How the targets lie: all in the top-level role, or in bins by the hash of their path. */
export type Shape = 'one-file' | 'prefix-bins' | 'succinct-bins';

export interface Repository {
  readonly folder: string;
  /** The one target whose bytes are there. */
  readonly target: string;
}

/** Changes whenever what is made here does. */
const FORM = 1;
const BIN_BITS = 8;
const CONTENT = utf8('the one artifact that is fetched\n');

const sha256 = (data: string | Uint8Array): string =>
  createHash('sha256').update(data).digest('hex');

export function targetPath(number: number): string {
  return `acme/product-${number % 977}/1.0.${number}/driver.bin`;
}

/** Makes the repository, unless it is there from an earlier run of today. */
export async function repository(shape: Shape, count: number, now: Instant): Promise<Repository> {
  const day = Math.floor(now / DAY);
  const name = `ironport-bench-${FORM}-${shape}-${count}-${day}`;
  const made: Repository = { folder: join(tmpdir(), name), target: targetPath(count >> 1) };
  if (existsSync(made.folder)) return made;
  const half = `${made.folder}.${process.pid}`;
  await rm(half, { recursive: true, force: true });
  await write(half, shape, count, (day + 365) * DAY, made.target);
  await rename(half, made.folder);
  return made;
}

async function write(
  folder: string,
  shape: Shape,
  count: number,
  expires: Instant,
  fetched: string,
): Promise<void> {
  const keys = Object.fromEntries(
    ['root', 'targets', 'snapshot', 'timestamp', 'bins'].map((role) => [role, makeSigner()]),
  ) as Record<'root' | 'targets' | 'snapshot' | 'timestamp' | 'bins', Signer>;
  const spec = (role: keyof typeof keys) => ({ keys: [keys[role].key], threshold: 1 });
  const put = async (path: string, bytes: Uint8Array): Promise<Uint8Array> => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
    return bytes;
  };
  const publish = async (role: string, signer: Signer, signed: JsonObject) =>
    put(
      role === 'timestamp' ? tree.timestamp : tree.metadata(role, 1),
      formatMetadata(signed, await sign(platformCrypto, signed, [signer])),
    );

  const versions = new Map([['targets', 1]]);
  const bins = sorted(shape, count, fetched);
  for (const [bin, targets] of bins) {
    if (shape === 'one-file') break;
    versions.set(bin, 1);
    await publish(bin, keys.bins, targetsTree(1, expires, { targets }));
  }
  const delegations = delegationsTo(shape, [...bins.keys()], spec('bins'));
  const targets = shape === 'one-file' ? (bins.get('') as Targets) : new Map<string, JsonObject>();
  await publish('targets', keys.targets, targetsTree(1, expires, { targets, delegations }));
  const snapshot = await publish('snapshot', keys.snapshot, snapshotTree(1, expires, versions));
  await publish(
    'timestamp',
    keys.timestamp,
    timestampTree(1, expires, { version: 1, length: snapshot.length, sha256: sha256(snapshot) }),
  );
  await publish(
    'root',
    keys.root,
    rootTree(platformCrypto, 1, expires, {
      root: spec('root'),
      targets: spec('targets'),
      snapshot: spec('snapshot'),
      timestamp: spec('timestamp'),
    }),
  );
  await put(tree.target(fetched, sha256(CONTENT)), CONTENT);
}

type Targets = Map<string, JsonObject>;

/** Targets by bin; with one file, all in the bin without a name. */
function sorted(shape: Shape, count: number, fetched: string): Map<string, Targets> {
  const bins = new Map<string, Targets>();
  if (shape !== 'one-file') for (let i = 0; i < 2 ** BIN_BITS; i++) bins.set(binName(i), new Map());
  else bins.set('', new Map());
  for (let i = 0; i < count; i++) {
    const path = targetPath(i);
    const file =
      path === fetched
        ? { length: CONTENT.length, sha256: sha256(CONTENT) }
        : { length: 1000 + i, sha256: sha256(`content ${i}`) };
    const bin = shape === 'one-file' ? '' : binName(Number.parseInt(sha256(path).slice(0, 2), 16));
    bins.get(bin)?.set(path, targetEntry(file));
  }
  return bins;
}

const binName = (bin: number): string => `bin-${bin.toString(16).padStart(2, '0')}`;

function delegationsTo(
  shape: Shape,
  bins: readonly string[],
  spec: Parameters<typeof roleKeys>[1],
): JsonObject | undefined {
  if (shape === 'one-file') return undefined;
  const held = Object.entries(roleKeys(platformCrypto, spec));
  const keys: [string, JsonValue] = ['keys', keyTable(platformCrypto, spec.keys)];
  if (shape === 'succinct-bins') {
    const succinct = jsonObject([...held, ['bit_length', BIN_BITS], ['name_prefix', 'bin']]);
    return jsonObject([keys, ['succinct_roles', succinct]]);
  }
  const roles = bins.map((name) =>
    jsonObject([
      ['name', name],
      ...held,
      ['terminating', true],
      ['path_hash_prefixes', [name.slice('bin-'.length)]],
    ]),
  );
  return jsonObject([keys, ['roles', roles]]);
}

/** A new Ed25519 key. */
export function makeSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const secret: KeyObject = privateKey;
  return {
    key: ed25519Key(
      new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)),
    ),
    sign: async (message) => new Uint8Array(signBytes(null, message, secret)),
  };
}
