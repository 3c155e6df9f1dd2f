/**
 * The index of a product as the vendor goes on from it: the published one, whose digest the
 * vendor's own verified role lists, held against the one that this folder saw published last.
 */

import { join } from 'node:path';
import { equalBytes, toHex } from '../shared/bytes.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { indexPath, toUrlPath, tree, vendorFolder } from '../shared/layout.ts';
import { INDEX_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../shared/node/files.ts';
import { verifyFollows, wasWithdrawn } from '../shared/product/change-index.ts';
import { formatIndex, type ProductIndex, parseIndex } from '../shared/product/index-file.ts';
import { type FileMeta, targetEntry } from '../shared/tuf/build.ts';
import type { PublishedBranch } from './rebase/published-branch.ts';
import type { Session } from './session.ts';

/** An index as a file to upload and to list. */
export interface IndexFile extends FileMeta {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly entry: JsonObject;
}

export function indexFile(index: ProductIndex): IndexFile {
  const bytes = formatIndex(index);
  const measured = { length: bytes.length, sha256: toHex(crypto.sha256(bytes)) };
  const path = indexPath(index.vendor, index.product);
  return { path, bytes, ...measured, entry: targetEntry(measured) };
}

/**
 * The published index of a product; undefined when there is none. Throws `E_WITHDRAWN` when
 * something withdrawn stands in the role again, `E_ROLLBACK` or `E_CONFLICT` when the index does
 * not follow from the one that was last seen here, and what reading it throws.
 */
export async function loadIndex(
  session: Session,
  branch: PublishedBranch,
  product: string,
): Promise<ProductIndex | undefined> {
  const { dir, config } = session;
  const path = indexPath(config.vendor, product);
  const place = join(dir, vendorFolder.lastIndex(product));
  const remembered = await readRemembered(place);
  const entry = await branch.entry(path);
  if (entry === undefined) {
    if (remembered === undefined) return undefined;
    throw new IronError('E_ROLLBACK', `the index of ${config.vendor}/${product} is gone`, {
      why: 'this machine saw it published',
      hint: 'nothing was sent; somebody signed a role without it: find out who before you go on',
      context: { path },
    });
  }
  const sha256 = entry.hashes.get('sha256') ?? '';
  const bytes = await fetchListed(session, path, entry.length, sha256);
  const index = parseIndex(bytes, path);
  await refuseReappeared(branch, index);
  if (remembered !== undefined && !equalBytes(remembered, bytes)) {
    verifyFollows(parseIndex(remembered, path), index);
  }
  await writeFileAtomic(place, bytes, { mode: 0o600 });
  return index;
}

/** Notes an index that is published now. */
export async function rememberIndex(dir: string, product: string, file: IndexFile): Promise<void> {
  await writeFileAtomic(join(dir, vendorFolder.lastIndex(product)), file.bytes, { mode: 0o600 });
}

async function readRemembered(place: string): Promise<Uint8Array | undefined> {
  try {
    return await readFileCapped(place, INDEX_LIMITS.file);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

async function fetchListed(
  { repository, context }: Session,
  path: string,
  length: number,
  sha256: string,
): Promise<Uint8Array> {
  if (length > INDEX_LIMITS.file) {
    throw new IronError('E_TOO_LARGE', `${path} is listed with ${length} bytes`, {
      context: { path, length, limit: INDEX_LIMITS.file },
    });
  }
  const { signal } = context;
  const url = `/${toUrlPath(tree.target(path, sha256))}`;
  const reply = await repository.send({ method: 'GET', path: url, signal });
  if (reply.status !== 200) {
    await reply.drop();
    throw new IronError('E_NETWORK', `the repository answered ${reply.status} for ${path}`, {
      hint: 'nothing was sent; try again later',
    });
  }
  const bytes = await reply.bytes(length);
  // TUF 5.7.2
  if (bytes.length !== length || toHex(crypto.sha256(bytes)) !== sha256) {
    throw new IronError('E_HASH', `${path} is not what the role lists`, {
      hint: 'nothing was sent; ask who runs the repository',
    });
  }
  return bytes;
}

/** What was withdrawn is in no later role, whoever signed it. */
async function refuseReappeared(branch: PublishedBranch, index: ProductIndex): Promise<void> {
  for (const entry of index.entries) {
    if (entry.withdrawn === undefined || (await branch.entry(entry.path)) === undefined) continue;
    throw wasWithdrawn(
      entry,
      'nothing was sent; it stands in the published role again: find out who signed that',
    );
  }
}

/** Text for people from a file; `E_TOO_LARGE` over what an index takes. */
export async function loadNotes(path: string | undefined): Promise<string> {
  if (path === undefined) return '';
  const bytes = await readFileCapped(path, INDEX_LIMITS.notes * 4);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).trim();
  } catch (cause) {
    throw new IronError('E_SCHEMA', `${path} is not UTF-8`, { cause });
  }
}
