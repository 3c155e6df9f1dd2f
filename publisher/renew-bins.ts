/** The bins of a split role with a new date and nothing else, so many at once that memory holds. */

import { IronError } from '../shared/errors.ts';
import type { JsonObject } from '../shared/json/value.ts';
import { PUBLISHER_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import type { Instant } from '../shared/time.ts';
import { binNames, type SuccinctRoles } from '../shared/tuf/delegations.ts';
import { signBins } from './branch.ts';
import { handIn } from './hand-in.ts';
import { renewedRole } from './next-role.ts';
import type { Base } from './rebase/base.ts';
import { BinLog, digestOf } from './rebase/bin-log.ts';
import { loadBin } from './rebase/bins.ts';
import type { Session } from './session.ts';
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
  for (let at = 0; at < names.length; at += PUBLISHER_LIMITS.binsAtOnce) {
    const trees = new Map<string, JsonObject>();
    for (const name of names.slice(at, at + PUBLISHER_LIMITS.binsAtOnce)) {
      const bin = await loadBin(crypto, fetcher, base, succinct, name);
      if (!adopt && !log.knows(name, digestOf(crypto, bin.envelope.tree))) throw foreign(name);
      trees.set(name, renewedRole(bin, expires));
    }
    const signed = await signBins(session, succinct, trees, log);
    const sender = new BatchSender(api);
    for (const { sha256, bytes } of signed) await sender.add({ sha256, bytes });
    await sender.flush();
    await handIn(session, api, undefined, signed);
    progress.advance(signed.length);
  }
  progress.done();
  return names.length;
}

function foreign(name: string): IronError {
  return new IronError('E_CONFLICT', `the bin ${name} says what was not signed in this folder`, {
    why: 'to renew it would be to vouch for what this machine has not seen before',
    hint: 'look at what is published; give --adopt if it is yours',
  });
}
