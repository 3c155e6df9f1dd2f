/** The bins of a split role with a new date and nothing else, so many at once that memory holds. */

import { IronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { PUBLISHER_LIMITS } from '../shared/limits.ts';
import { beside } from '../shared/node/beside.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { binNames, type SuccinctRoles } from '../shared/tuf/delegations.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { loadBelow } from './rebase/below.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import type { Session } from './session.ts';
import { type SignedBelow, signBins } from './sign-below.ts';
import type { Api } from './upload/api.ts';
import { BatchSender } from './upload/batch.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';

/**
 * Renews every bin. `E_CONFLICT` when one says something else than was signed here, before any of its
 * group is signed; groups before it are published and stay good.
 */
export async function renewBins(
  session: Session,
  api: Api,
  base: Base,
  succinct: SuccinctRoles,
  expires: Instant,
  adopt: boolean,
): Promise<number> {
  const log = await BinLog.load(session.dir);
  const fetcher = new RepositoryFetcher(session.repository);
  const names = binNames(succinct);
  const progress = session.context.ui.progress('renewing bins', names.length);
  /** The group before, which the service judges while the next one is read and signed here. */
  let before: Promise<void> = Promise.resolve();
  for (let at = 0; at < names.length; at += PUBLISHER_LIMITS.binsAtOnce) {
    const group = names.slice(at, at + PUBLISHER_LIMITS.binsAtOnce);
    const found = new Map<string, JsonObject>();
    const renewing = beside(group, async (name) => {
      const bin = await loadBelow(crypto, fetcher, base, succinct, name);
      if (!adopt && !log.knows(name, digestOf(crypto, bin.envelope.tree))) throw foreign(name);
      found.set(name, renewedRole(bin, expires));
    });
    // What was handed in comes to its end, whatever this group is refused for.
    await Promise.allSettled([before, renewing]);
    await before;
    await renewing;
    const signed = await signBins(session, succinct, found, log);
    before = handInGroup(session, api, signed).then(() => progress.advance(signed.length));
    // Its failure is met above or below; it is none of nobody's until then.
    before.catch(() => {});
  }
  await before;
  progress.done();
  return names.length;
}

async function handInGroup(
  session: Session,
  api: Api,
  signed: readonly SignedBelow[],
): Promise<void> {
  const sender = new BatchSender(api);
  for (const { sha256, bytes } of signed) await sender.add({ sha256, bytes });
  await sender.flush();
  await handIn(session, api, undefined, { bins: signed });
}

function foreign(name: string): IronError {
  return new IronError('E_CONFLICT', `the bin ${name} says what was not signed in this folder`, {
    why: 'to renew it would be to vouch for what this machine has not seen before',
    hint: 'look at what is published; give --adopt if it is yours',
  });
}
