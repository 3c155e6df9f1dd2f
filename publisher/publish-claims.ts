/** From claims about artifacts to what hosts can fetch: the way of one artifact, or of thousands. */

import { basename } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { CommandContext } from '../shared/cli/command.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { LIFETIMES } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { onPath } from '../shared/node/file-system.ts';
import { promptFiles } from '../shared/node/prompt-files.ts';
import { withEntry } from '../shared/product/change-index.ts';
import type { ProductIndex } from '../shared/product/index-file.ts';
import type { FileMeta } from '../shared/tuf/build.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import { publishedBranch, rolesWords, type SignedBranch, sendRoles, signChange } from './branch.ts';
import { isComplete, leaveWaiting, type Waiting } from './co-sign.ts';
import {
  type Attested,
  attestArtifact,
  type Claim,
  measureArtifact,
  readArtifact,
} from './evidence.ts';
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
  /** Whether its bytes went out with the small ones. */
  readonly isSent: boolean;
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
  const sizes = await sizesOf(claims);
  context.ui.stage('verifying the published state from the pinned root');
  const base = await verifiedBase(session);
  await isOwnWork(session, base);
  const signer = await evidenceSigner(session, base);
  const branch = publishedBranch(session, base);
  const before = await standingIndexes(session, branch, claims);
  await demandNew(context, before, claims, released);
  const api = await apiOf(session);
  const sender = new BatchSender(api);
  const made: Made[] = [];
  for (const claim of claims) {
    made.push(await make({ context, sender, signer }, claim, sizes.get(claim.file) ?? 0));
    // The service takes what is ready while the next ones are made.
    if (made.length % MADE_A_TURN === 0) await setImmediate();
  }
  const entries = entriesOf(made);
  const indexes = nextIndexes(session, before, made, released);
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
  await uploadRest(session, { api, sender }, { made, signed, indexes });
  const isWhole = isComplete(signed);
  const waiting = isWhole ? undefined : await leaveWaiting(session, api, signed);
  const published = isWhole ? await handIn(session, api, signed.own, signed) : undefined;
  for (const { product, file } of published === undefined ? [] : indexes)
    await rememberIndex(dir, product, file);
  return { base, made, signed, published, waiting };
}

/** Artifacts that are made between two turns of the event loop, in which requests go on. */
const MADE_A_TURN = 4;

/** Bytes of each file, as its name says now. `E_NOT_FOUND` before anything is made. */
async function sizesOf(claims: readonly Claim[]): Promise<ReadonlyMap<string, number>> {
  const sizes = new Map<string, number>();
  for (const { file } of claims) {
    const { size } = await onPath(file, () => promptFiles.stat(file), 'E_NOT_FOUND');
    sizes.set(file, size);
  }
  return sizes;
}

interface Making {
  readonly context: CommandContext;
  readonly sender: BatchSender;
  readonly signer: Signer;
}

/** Measures, attests, and sends what is small: nothing rests on it before the role is handed in. */
async function make(
  { context, sender, signer }: Making,
  claim: Claim,
  size: number,
): Promise<Made> {
  const { file } = claim;
  const isSmall = size <= SMALL;
  const { measured, bytes } = isSmall
    ? await readArtifact(file, SMALL)
    : { measured: await measureArtifact(context, file), bytes: undefined };
  const attested = await attestArtifact(claim, measured, signer, bytes);
  for (const { sha256, bytes } of attested.sidecars)
    if (bytes.length <= SMALL) await sender.add({ sha256, bytes });
  if (bytes !== undefined) await sender.add({ sha256: measured.sha256, bytes });
  return { claim, measured, attested, isSent: isSmall };
}

interface NextIndex {
  readonly product: string;
  readonly file: IndexFile;
}

type Indexes = ReadonlyMap<string, ProductIndex | undefined>;

/** What is published of the index of every product that is touched. */
async function standingIndexes(
  session: Session,
  branch: PublishedBranch,
  claims: readonly Claim[],
): Promise<Indexes> {
  const indexes = new Map<string, ProductIndex | undefined>();
  for (const { path } of claims) {
    const { product } = parseArtifactPath(path);
    if (!indexes.has(product)) indexes.set(product, await loadIndex(session, branch, product));
  }
  return indexes;
}

/** The index of every product that is touched, one revision later, with all that is new in it. */
function nextIndexes(
  { config }: Session,
  before: Indexes,
  made: readonly Made[],
  released: Released,
): NextIndex[] {
  const { vendor } = config;
  const next = new Map(before);
  for (const { claim, measured } of made) {
    const { product } = parseArtifactPath(claim.path);
    const entry = indexEntry(claim, measured, released);
    next.set(product, withEntry(next.get(product), { vendor, product }, entry));
  }
  return [...next].map(([product, index]) => {
    const revision = (before.get(product)?.revision ?? 0) + 1;
    return { product, file: indexFile({ ...(index as ProductIndex), revision }) };
  });
}

/** Not measured yet: what an index says of an artifact decides, but for its digest. */
const UNMEASURED: FileMeta = { length: 0, sha256: '' };

/** Refuses what no index would take, before anything is signed or sent; what `withEntry` throws, and `E_USAGE`. */
async function demandNew(
  context: CommandContext,
  before: Indexes,
  claims: readonly Claim[],
  released: Released,
): Promise<void> {
  const seen = new Set<string>();
  const next = new Map(before);
  for (const claim of claims) {
    const { path, file } = claim;
    if (seen.has(path))
      throw new IronError('E_USAGE', `${path} stands twice in the list`, {
        hint: 'nothing was signed',
      });
    seen.add(path);
    const { vendor, product } = parseArtifactPath(path);
    const isListed = before.get(product)?.entries.some((entry) => entry.path === path) === true;
    // Whether it is the very same is said of one that is listed already.
    const measured = isListed ? await measureArtifact(context, file) : UNMEASURED;
    const entry = indexEntry(claim, measured, released);
    next.set(product, withEntry(next.get(product), { vendor, product }, entry));
  }
}

function entriesOf(made: readonly Made[]): Map<string, JsonObject> {
  return new Map(made.flatMap(({ attested }) => [...attested.entries]));
}

/** What depends on all of them, and each large file by itself, resumable. */
async function uploadRest(
  { context }: Session,
  { api, sender }: { readonly api: Api; readonly sender: BatchSender },
  { made, signed, indexes }: UploadedTogether,
): Promise<void> {
  for (const { file } of indexes)
    if (file.length <= SMALL) await sender.add(file);
    else await uploadBlob(api, { source: { bytes: file.bytes }, ...file });
  for (const { attested } of made)
    for (const { sha256, bytes } of attested.sidecars)
      if (bytes.length > SMALL)
        await uploadBlob(api, { source: { bytes }, length: bytes.length, sha256 });
  // What waits for signatures brings its files along, and they will be other bytes.
  if (isComplete(signed)) await sendRoles(api, sender, [...signed.bins, ...signed.nested]);
  await sender.flush();
  for (const { claim, measured, isSent } of made) {
    if (isSent) continue;
    const progress = context.ui.progress(`uploading ${basename(claim.file)}`, measured.length);
    await uploadBlob(api, { source: { file: claim.file }, ...measured }, (count) =>
      progress.advance(count),
    );
    progress.done();
  }
}

interface UploadedTogether {
  readonly made: readonly Made[];
  readonly signed: SignedBranch;
  readonly indexes: readonly NextIndex[];
}
