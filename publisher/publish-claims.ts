/** From claims about artifacts to what hosts can fetch: the way of one artifact, or of thousands. */

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { LIFETIMES } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { onPath } from '../shared/node/file-system.ts';
import { withEntry } from '../shared/product/change-index.ts';
import type { ProductIndex } from '../shared/product/index-file.ts';
import type { FileMeta } from '../shared/tuf/build.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import { publishedBranch, rolesWords, type SignedBranch, sendRoles, signChange } from './branch.ts';
import { isComplete, leaveWaiting, type Waiting } from './co-sign.ts';
import { type Attested, attestArtifact, type Claim, measureArtifact } from './evidence.ts';
import { evidenceSigner } from './evidence-signer.ts';
import { handIn, type Published } from './hand-in.ts';
import { type IndexFile, indexFile, loadIndex, rememberIndex } from './product-index.ts';
import type { Base } from './rebase/base.ts';
import type { PublishedBranch } from './rebase/published-branch.ts';
import { indexEntry, type Released } from './release.ts';
import { apiOf, isOwnWork, type Session, verifiedBase } from './session.ts';
import type { Api } from './upload/api.ts';
import { BatchSender, SMALL } from './upload/batch.ts';
import { uploadBlob } from './upload/blob.ts';

/** An artifact with what was made for it. */
export interface Made {
  readonly claim: Claim;
  readonly measured: FileMeta;
  readonly attested: Attested;
}

export interface Outcome {
  readonly base: Base;
  readonly made: readonly Made[];
  readonly signed: SignedBranch;
  /** Undefined when more signatures are needed: all bytes are uploaded, the role waits. */
  readonly published: Published | undefined;
  readonly waiting: Waiting | undefined;
}

/**
 * Attests, signs, uploads and hands in `claims` together: one version of each role they go into.
 * `floors` are generation floors that rise with them, by product.
 */
export async function publishClaims(
  session: Session,
  claims: readonly Claim[],
  released: Released,
  floors: ReadonlyMap<string, number> = new Map(),
): Promise<Outcome> {
  const { context, signers, dir } = session;
  // Whatever is published: without a key for evidence nothing is measured.
  await signers.one('evidence');
  const measured: FileMeta[] = [];
  for (const claim of claims) measured.push(await measureArtifact(context, claim.file));
  context.ui.stage('verifying the published state from the pinned root');
  const base = await verifiedBase(session);
  await isOwnWork(session, base);
  const signer = await evidenceSigner(session, base);
  const made: Made[] = [];
  for (const [i, claim] of claims.entries())
    made.push(await make(claim, measured[i] as FileMeta, signer));
  const branch = publishedBranch(session, base);
  const entries = entriesOf(made);
  const indexes = await nextIndexes(session, branch, made, released);
  for (const { file } of indexes) entries.set(file.path, file.entry);
  const signed = await signChange(session, branch, {
    entries,
    evidenceKeys: [signer.key],
    floors,
    expires: systemClock() + LIFETIMES.vendor,
  });
  const standing = signed.own?.role ?? base.role;
  if (standing !== undefined && signed.bins.length === 0)
    context.ui.stage(`signed ${rolesWords(session.config.vendor, signed, standing)}, at home`);
  const api = await apiOf(session);
  await uploadAll(session, api, made, signed, indexes);
  const isWhole = isComplete(signed);
  const waiting = isWhole ? undefined : await leaveWaiting(session, api, signed);
  const published = isWhole ? await handIn(session, api, signed.own, signed) : undefined;
  for (const { product, file } of published === undefined ? [] : indexes)
    await rememberIndex(dir, product, file);
  return { base, made, signed, published, waiting };
}

async function make(claim: Claim, measured: FileMeta, signer: Signer): Promise<Made> {
  return { claim, measured, attested: await attestArtifact(claim, measured, signer) };
}

interface NextIndex {
  readonly product: string;
  readonly file: IndexFile;
}

/** The index of every product that is touched, one revision later, with all that is new in it. */
async function nextIndexes(
  session: Session,
  branch: PublishedBranch,
  made: readonly Made[],
  released: Released,
): Promise<NextIndex[]> {
  const { vendor } = session.config;
  const products = new Map<string, Made[]>();
  for (const one of made) {
    const { product } = parseArtifactPath(one.claim.path);
    products.set(product, [...(products.get(product) ?? []), one]);
  }
  const indexes: NextIndex[] = [];
  for (const [product, artifacts] of products) {
    const before = await loadIndex(session, branch, product);
    let index = before;
    for (const { claim, measured } of artifacts)
      index = withEntry(index, { vendor, product }, indexEntry(claim, measured, released));
    const revision = (before?.revision ?? 0) + 1;
    indexes.push({ product, file: indexFile({ ...(index as ProductIndex), revision }) });
  }
  return indexes;
}

function entriesOf(made: readonly Made[]): Map<string, JsonObject> {
  const entries = new Map<string, JsonObject>();
  for (const { attested, claim } of made) {
    if (entries.has(claim.path))
      throw new IronError('E_USAGE', `${claim.path} stands twice in the list`, {
        hint: 'nothing was signed',
      });
    for (const [path, entry] of attested.entries) entries.set(path, entry);
  }
  return entries;
}

/** Small files together, sidecars first; then each large one by itself, resumable. */
async function uploadAll(
  { context }: Session,
  api: Api,
  made: readonly Made[],
  signed: SignedBranch,
  indexes: readonly NextIndex[],
): Promise<void> {
  const sender = new BatchSender(api);
  for (const { file } of indexes)
    if (file.length <= SMALL) await sender.add(file);
    else await uploadBlob(api, { source: { bytes: file.bytes }, ...file });
  const large: Made[] = [];
  for (const one of made) {
    for (const { sha256, bytes } of one.attested.sidecars)
      if (bytes.length <= SMALL) await sender.add({ sha256, bytes });
      else await uploadBlob(api, { source: { bytes }, length: bytes.length, sha256 });
    const { claim, measured } = one;
    if (measured.length > SMALL) large.push(one);
    else await sender.add({ sha256: measured.sha256, bytes: await readMeasured(claim, measured) });
  }
  // What waits for signatures brings its files along, and they will be other bytes.
  if (isComplete(signed)) await sendRoles(api, sender, [...signed.bins, ...signed.nested]);
  await sender.flush();
  for (const { claim, measured } of large) {
    const progress = context.ui.progress(`uploading ${basename(claim.file)}`, measured.length);
    await uploadBlob(api, { source: { file: claim.file }, ...measured }, (count) =>
      progress.advance(count),
    );
    progress.done();
  }
}

/** The bytes of a small artifact; the service refuses them if they are not those that were measured. */
async function readMeasured({ file }: Claim, { length }: FileMeta): Promise<Uint8Array> {
  const bytes = await onPath(file, () => readFile(file));
  if (bytes.length === length) return bytes;
  throw new IronError('E_HASH', `${file} was changed while it was published`, {
    hint: 'nothing was published; publish a file that nobody writes to',
  });
}
