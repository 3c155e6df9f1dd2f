/** `split`: the own role into hash bins, into another number of them, or back into one file. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { BIN_LIMITS, LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { binNames, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { binsOf } from '../branch.ts';
import { countOf, isComplete, leaveWaiting, waitingData, waitingText } from '../co-sign.ts';
import { handIn, signRole } from '../hand-in.ts';
import type { Base } from '../rebase/base.ts';
import { loadBelow } from '../rebase/below.ts';
import { BinLog } from '../rebase/bin-log.ts';
import {
  apiOf,
  isOwnWork,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { type SignedBelow, signBins } from '../sign-below.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { divide, entriesOf } from '../split-role.ts';
import { BatchSender } from '../upload/batch.ts';
import { RepositoryFetcher } from '../upload/fetcher.ts';

export const split: CommandSpec = {
  name: 'split',
  summary: 'divide the own role into hash bins, so that a publication costs the same at any size',
  description:
    'With N bins (TAP 15) a publication signs and sends the bins that change and nothing else. N is a power of two; about a hundred targets a bin are good. N of 1 puts everything back into one file. Bins of an earlier number stay in the snapshot for ever. With the number that there is, the bins are signed anew by the keys that are here, once after an exchange of keys. What other keys must sign, too, waits at the service (`ironport pending`), up to 512 files together.',
  options: [
    { flags: '--bins <n>', description: 'how many bins: 1, 2, 4 … 16384', required: true },
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    { flags: '--adopt', description: 'divide what is published although it was not signed here' },
    PASSPHRASE_OPTION,
  ],
  examples: ['ironport split --bins 256 --repository http://127.0.0.1:8080 --dir acme'],
  schema: 'ironport/split/v1',
  run: (context) => withSession(context, splitRole),
};

async function splitRole(session: Session): Promise<CommandResult> {
  const { context, config, dir, signers } = session;
  const { vendor } = config;
  const bits = bitsOf(context.need('bins'));
  const base = await verifiedBase(session);
  const isOurs = await isOwnWork(session, base);
  const { role } = base;
  if (role === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${vendor} has published nothing yet`, {
      hint: 'nothing was signed; `ironport publish` makes the first version',
    });
  if (!isOurs && !context.flag('adopt'))
    throw new IronError('E_CONFLICT', 'what is published was not signed in this folder last', {
      hint: 'nothing was signed; look at the difference above, and give --adopt if it is yours',
    });
  const nested = role.delegations?.roles ?? [];
  if (nested.length > 0)
    throw new IronError('E_DELEGATION', `${vendor} has nested roles`, {
      why: `a role has nested roles or hash bins, and not both: ${nested.map(({ name }) => name).join(', ')}`,
      hint: 'nothing was signed; `ironport unnest` takes them back first',
    });
  const here = (await signers.here('tuf')).map((signer) => signer.key);
  const bins = binsOf(base);
  if ((bins?.bitLength ?? 0) === bits && (bins === undefined || haveKeysOf(base, bins, here)))
    throw new IronError('E_NOTHING_TO_DO', `${vendor} is divided so already`);
  const entries = await publishedEntries(session, base, role);
  // Where too few are here, bins are signed by those that sign the role, wherever they are.
  const { threshold } = base.delegation;
  const keys = here.length >= threshold ? here : keysOfRole(base);
  const listed = base.trusted.snapshot().roles;
  const division = divide({
    ...{ vendor, base: role, entries, bits, keys, threshold },
    expires: systemClock() + LIFETIMES.vendor,
    listed: (name) => listed.get(name)?.version ?? 0,
  });
  const { own, succinct } = division;
  let signedBins: SignedBelow[] = [];
  if (succinct !== undefined)
    signedBins = await signBins(session, succinct, division.bins, await BinLog.load(dir));
  const signed = await signRole(session, base, own);
  const count = succinct === undefined ? 1 : signedBins.length;
  const facts = { role: vendor, version: signed.role.version, bins: count, targets: entries.size };
  const api = await apiOf(session);
  const together = { own: signed, nested: [], bins: signedBins };
  if (!isComplete(together)) {
    const waiting = await leaveWaiting(session, api, together);
    return {
      data: { ...facts, ...waitingData(waiting) },
      text: waitingText(waiting, countOf(together)),
    };
  }
  const sender = new BatchSender(api);
  for (const { sha256, bytes } of signedBins) await sender.add({ sha256, bytes });
  await sender.flush();
  const { snapshot, timestamp } = await handIn(session, api, signed, { bins: signedBins });
  return {
    data: { ...facts, snapshot, timestamp },
    text:
      succinct === undefined
        ? `${entries.size} targets are back in ${vendor} ${signed.role.version}`
        : `${vendor} ${signed.role.version} is divided into ${count} bins, ${entries.size} targets in all`,
  };
}

/** Every key that may sign the role, as the operators' targets list them. */
function keysOfRole({ keys, delegation }: Base): PublicKey[] {
  return delegation.keyids.flatMap((id) => keys.get(id)?.publicKey ?? []);
}

/** Whether the bins want the keys of the role, those here included: not so after an exchange. */
function haveKeysOf(base: Base, bins: SuccinctRoles, here: readonly PublicKey[]): boolean {
  const ofRole = keyIdentities(base.keys, base.delegation);
  const ofBins = keyIdentities(bins.table, bins);
  return (
    bins.threshold === base.delegation.threshold &&
    [...ofBins].every((key) => ofRole.has(key)) &&
    here.every((key) => ofBins.has(keyIdentity(key)))
  );
}

/** The length of the bins' numbers. `E_USAGE`. */
function bitsOf(text: string): number {
  const bits = Math.log2(Number(text));
  if (/^\d{1,6}$/.test(text) && Number.isInteger(bits) && bits <= BIN_LIMITS.bits) return bits;
  throw new IronError('E_USAGE', `not a number of bins: ${text}`, {
    hint: `nothing was signed; give a power of two, at most ${2 ** BIN_LIMITS.bits}`,
  });
}

/** Every entry, from the role or from all of its bins, each verified. */
async function publishedEntries(
  session: Session,
  base: Base,
  role: Targets,
): Promise<Map<string, JsonObject>> {
  const entries = new Map(entriesOf(role));
  const succinct = binsOf(base);
  if (succinct === undefined) return entries;
  const fetcher = new RepositoryFetcher(session.repository);
  for (const name of binNames(succinct)) {
    const bin = await loadBelow(crypto, fetcher, base, succinct, name);
    for (const [path, entry] of entriesOf(bin)) entries.set(path, entry);
  }
  return entries;
}
