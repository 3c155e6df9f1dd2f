/** Signing and publishing a changed index: what `promote` and `withdraw` have in common. */

import type { CommandResult } from '../shared/cli/command.ts';
import { IronError } from '../shared/errors.ts';
import { LIFETIMES } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { entriesOf, entryJson, type ProductIndex } from '../shared/product/index-file.ts';
import { formatInstant } from '../shared/time.ts';
import { parseArtifactPath } from '../shared/tuf/names.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { publishedBranch, rolesWords, sendRoles, signChange } from './branch.ts';
import { countOf, isComplete, leaveWaiting, waitingData, waitingText } from './co-sign.ts';
import { handIn } from './hand-in.ts';
import { indexFile, loadIndex, rememberIndex } from './product-index.ts';
import { apiOf, isOwnWork, type Session, verifiedBase } from './session.ts';
import { BatchSender } from './upload/batch.ts';
import { uploadBlob } from './upload/blob.ts';

export interface Release {
  readonly product: string;
  readonly version: string;
}

/** `PRODUCT@VERSION`; a vendor before it must be one's own. */
export function readRelease(text: string, vendor: string): Release {
  const [, own, product, version] = /^(?:([^/@]*)\/)?([^/@]+)@([^/@]+)$/.exec(text) ?? [];
  if (product === undefined || version === undefined || (own ?? vendor) !== vendor) {
    throw new IronError(
      'E_USAGE',
      `not a version of a product of ${vendor}: ${text.slice(0, 80)}`,
      {
        hint: 'write PRODUCT@VERSION: edu@1.0.0',
      },
    );
  }
  parseArtifactPath(`${vendor}/${product}/${version}/x`);
  return { product, version };
}

/**
 * Verifies what is published, changes the index of the product, and publishes the role with it.
 * With `remove`, the artifacts of the version and what stands beside them are listed no longer.
 */
export async function publishIndex(
  session: Session,
  { product, version }: Release,
  change: (index: ProductIndex) => ProductIndex,
  remove = false,
): Promise<CommandResult> {
  const { context, dir, config } = session;
  context.ui.stage('verifying the published state from the pinned root');
  const base = await verifiedBase(session);
  await isOwnWork(session, base);
  const branch = publishedBranch(session, base);
  const before = await loadIndex(session, branch, product);
  if (before === undefined) {
    throw new IronError('E_TARGET_UNKNOWN', `${config.vendor}/${product} has no index`, {
      why: 'nothing of this product was published with one',
      hint: 'nothing was signed; `ironport publish` makes it',
    });
  }
  const index = change(before);
  const file = indexFile(index);
  const entries = entriesOf(index, version);
  const removed = remove ? await branch.pathsOf(entries.map(({ path }) => path)) : [];
  const branched = await signChange(session, branch, {
    entries: new Map([[file.path, file.entry]]),
    removed,
    evidenceKeys: [],
    expires: systemClock() + LIFETIMES.vendor,
  });
  const { own, bins, nested } = branched;
  // Only roles below it may have changed.
  const signed = own ?? { role: base.role as Targets, have: 0, need: 0 };
  context.ui.stage(`signed ${rolesWords(config.vendor, branched, signed.role)}, at home`);
  const api = await apiOf(session);
  await uploadBlob(api, { source: { bytes: file.bytes }, ...file });
  const sender = new BatchSender(api);
  // What waits for signatures brings its files along, and they will be other bytes.
  if (isComplete(branched)) await sendRoles(api, sender, [...bins, ...nested]);
  await sender.flush();
  const facts = {
    index: file.path,
    revision: index.revision,
    versions: entries.map(entryJson),
    removed,
    role: config.vendor,
    version: signed.role.version,
    expires: formatInstant(signed.role.expires),
    signatures: { have: signed.have, need: signed.need },
    bins: bins.map(({ role, version }) => ({ role, version })),
    nested: nested.map(({ role, version }) => ({ role, version })),
  };
  if (!isComplete(branched)) {
    const waiting = await leaveWaiting(session, api, branched);
    const text = waitingText(waiting, countOf(branched));
    return { data: { ...facts, ...waitingData(waiting) }, text };
  }
  const published = await handIn(session, api, own, branched);
  await rememberIndex(dir, product, file);
  const words = entries.map((entry) =>
    entry.withdrawn === undefined
      ? `${entry.path}: ${entry.channel}, ${entry.rolloutPercent} % of the hosts`
      : `${entry.path}: withdrawn, ${entry.withdrawn.reason}`,
  );
  return {
    data: { ...facts, published: true, ...published },
    text: [
      ...words,
      `  ${rolesWords(config.vendor, branched, signed.role)}, in snapshot ${published.snapshot}`,
    ].join('\n'),
  };
}
