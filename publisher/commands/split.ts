/** `split`: the own role into hash bins, into another number of them, or back into one file. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { keyIdentity, type PublicKey } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { BIN_LIMITS, LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import type { DelegatedKeys, SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { nestedRole, rolesBelow } from '../../shared/tuf/nested.ts';
import { keyIdentities } from '../../shared/tuf/role.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { apart, publishedBranch, sendRoles } from '../branch.ts';
import { countOf, isComplete, leaveWaiting, waitingData, waitingText } from '../co-sign.ts';
import { fittingBits } from '../fitting-bins.ts';
import { handIn, signRole } from '../hand-in.ts';
import type { Base } from '../rebase/base.ts';
import { loadBelow } from '../rebase/below.ts';
import { BinLog, lineOf } from '../rebase/bin-log.ts';
import { nextSigning, type Signing, type Survey, surveyBins } from '../rekey-bins.ts';
import { makeRoleFolder } from '../role-folder.ts';
import {
  apiOf,
  isOwnWork,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { demandSome, type RoleToSign, signBelow } from '../sign-below.ts';
import { folderText } from '../sign-folder.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { divide, entriesOf, rekeyed } from '../split-role.ts';
import { BatchSender } from '../upload/batch.ts';
import { RepositoryFetcher } from '../upload/fetcher.ts';

export const split: CommandSpec = {
  name: 'split',
  summary:
    'divide the own role, or a nested one, into hash bins, so that a publication costs the same at any size',
  description:
    'With N bins (TAP 15) a publication signs and sends the bins that change and nothing else. N is a power of two; --targets chooses it by how large the role will become, so that snapshot and bins together are short. N of 1 puts everything back into one file. Bins of an earlier number stay in the snapshot for ever. With the number that there is, the bins are signed anew by the keys that are here, once after an exchange of keys. What other keys must sign, too, waits at the service (`ironport pending`), up to 512 files together; where more bins than that go over to new keys, it says what comes next, and is run once more when `ironport renew` has had them signed. A division into more than that goes around with --out.',
  options: [
    { flags: '--bins <n>', description: 'how many bins: 1, 2, 4 … 16384' },
    {
      flags: '--targets <n>',
      description: 'in place of --bins: as many as suit a role of that many targets',
    },
    { flags: '--role <name>', description: 'a nested role, in place of the own one: VENDOR.NAME' },
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    {
      flags: '-o, --out <folder>',
      description:
        'write role and bins to FOLDER and hand in nothing: for other signers, who sign it in turn with `ironport sign FOLDER`; the last one hands it in',
    },
    { flags: '--adopt', description: 'divide what is published although it was not signed here' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport split --bins 256 --repository http://127.0.0.1:8080 --dir acme',
    'ironport split --targets 100000 --repository http://127.0.0.1:8080 --dir acme',
  ],
  schema: 'ironport/split/v1',
  run: (context) => withSession(context, splitRole),
};

async function splitRole(session: Session): Promise<CommandResult> {
  const { context, config, dir } = session;
  const { vendor } = config;
  const bits = wantedBits(context.text('bins'), context.text('targets'));
  const it = await toDivide(session);
  const { name, file, base } = it;
  const nested = file.delegations?.roles ?? [];
  if (nested.length > 0)
    throw new IronError('E_DELEGATION', `${name} has nested roles`, {
      why: `a role has nested roles or hash bins, and not both: ${nested.map((one) => one.name).join(', ')}`,
      hint: 'nothing was signed; `ironport unnest` takes them back first',
    });
  const here = it.signers.map((signer) => signer.key);
  const bins = file.delegations?.succinct;
  if ((bins?.bitLength ?? 0) === bits && (bins === undefined || haveKeysOf(it, bins, here)))
    throw new IronError('E_NOTHING_TO_DO', `${name} is divided so already`);
  if (bins?.bitLength === bits && here.length < it.keys.threshold) {
    const wanted = { keys: keysOfRole(it), threshold: it.keys.threshold };
    const survey = await surveyBins(session, base, bins, wanted);
    if (!survey.fits && context.text('out') === undefined)
      return await rekey(session, it, bins, wanted, survey);
  }
  const entries = await publishedEntries(session, it);
  // Where too few are here, bins are signed by those that sign the role, wherever they are.
  const { threshold } = it.keys;
  const keys = here.length >= threshold ? here : keysOfRole(it);
  const listed = base.trusted.snapshot().roles;
  const division = divide({
    ...{ role: name, base: file, entries, bits, keys, threshold },
    expires: systemClock() + LIFETIMES.vendor,
    listed: (role) => listed.get(role)?.version ?? 0,
  });
  const { own: tree, succinct } = division;
  const below = new Map<string, RoleToSign>();
  if (name !== vendor) below.set(name, { tree, keys: it.keys });
  if (succinct !== undefined)
    for (const [role, bin] of division.bins) below.set(role, { tree: bin, keys: succinct });
  const signed = await signBelow(session, below, await BinLog.load(dir));
  demandSome(signed);
  const own = name === vendor ? await signRole(session, base, tree) : undefined;
  const count = succinct === undefined ? 1 : division.bins.size;
  const version = tree.version as number;
  const facts = { role: name, version, bins: count, targets: entries.size };
  const together = { own, ...apart(signed) };
  const out = context.text('out');
  if (out !== undefined) {
    const ofOwn = own === undefined ? [] : [{ role: name, version, bytes: own.bytes }];
    await makeRoleFolder(out, [...ofOwn, ...signed]);
    const signatures = countOf(together);
    return {
      data: { ...facts, signatures, published: false, folder: out },
      text: folderText(out, signatures),
    };
  }
  const api = await apiOf(session);
  if (!isComplete(together)) {
    const waiting = await leaveWaiting(session, api, together);
    return {
      data: { ...facts, ...waitingData(waiting) },
      text: waitingText(waiting, countOf(together)),
    };
  }
  const sender = new BatchSender(api);
  await sendRoles(api, sender, signed);
  await sender.flush();
  const { snapshot, timestamp } = await handIn(session, api, own, together);
  return {
    data: { ...facts, snapshot, timestamp },
    text:
      succinct === undefined
        ? `${entries.size} targets are back in ${name} ${version}`
        : `${name} ${version} is divided into ${count} bins, ${entries.size} targets in all`,
  };
}

/** The role alone: which keys may sign its bins. It waits for those who must sign it besides. */
async function rekey(
  session: Session,
  { name, base, file, keys: ofRole }: ToDivide,
  bins: SuccinctRoles,
  wanted: Signing,
  survey: Survey,
): Promise<CommandResult> {
  const { vendor } = session.config;
  const { after, ...signing } = nextSigning(bins, wanted, survey);
  const expires = systemClock() + LIFETIMES.vendor;
  const tree = rekeyed({ role: name, base: file, bits: bins.bitLength, expires, ...signing });
  const below = new Map(name === vendor ? [] : [[name, { tree, keys: ofRole }] as const]);
  const nested = await signBelow(session, below);
  demandSome(nested);
  const own = name === vendor ? await signRole(session, base, tree) : undefined;
  const together = { own, nested };
  const waiting = await leaveWaiting(session, await apiOf(session), together);
  const { targets } = survey;
  const facts = { role: name, version: tree.version, bins: 2 ** bins.bitLength, targets };
  return {
    data: { ...facts, ...waitingData(waiting) },
    text: [waitingText(waiting, countOf(together)), after].join('\n'),
  };
}

/** A role that is to be divided: the vendor's own, or a nested one. */
interface ToDivide {
  readonly name: string;
  readonly base: Base;
  /** What is published of it, and who signs it. */
  readonly file: Targets;
  readonly keys: DelegatedKeys;
  /** Those of its keys that vendor.json names and that are here. At least one. */
  readonly signers: readonly Signer[];
}

/** What is published, known to this folder or adopted. */
async function toDivide(session: Session): Promise<ToDivide> {
  const { context, config, dir, signers } = session;
  const { vendor } = config;
  const base = await verifiedBase(session);
  const isOurs = await isOwnWork(session, base);
  if (base.role === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${vendor} has published nothing yet`, {
      hint: 'nothing was signed; `ironport publish` makes the first version',
    });
  const given = context.text('role');
  const name = given === undefined ? vendor : nestedRole(vendor, given);
  const branch = publishedBranch(session, base);
  const file = name === vendor ? base.role : await branch.below(name);
  const log = await BinLog.load(dir);
  const isKnown = name === vendor ? isOurs : log.knows(lineOf(crypto, name, file));
  if (!isKnown && !context.flag('adopt'))
    throw new IronError('E_CONFLICT', `what ${name} says was not signed in this folder last`, {
      hint: 'nothing was signed; look at what is published, and give --adopt if it is yours',
    });
  if (name === vendor) {
    const keys = { ...base.delegation, table: base.keys };
    return { name, base, file, keys, signers: await signers.here('tuf') };
  }
  const keys = await branch.keys(name);
  const here = await signers.ofNested(name);
  if (keys === undefined || here.length === 0)
    throw new IronError('E_KEY', `no key of ${name} is in this folder`, {
      why: 'its own keys sign it, and the bins into which it is divided',
      hint: `nothing was signed; divide it in a folder whose vendor.json names keys of ${name}`,
    });
  return { name, base, file, keys, signers: here };
}

/** Every key that may sign the role. */
function keysOfRole({ keys }: ToDivide): PublicKey[] {
  return keys.keyids.flatMap((id) => keys.table.get(id)?.publicKey ?? []);
}

/** Whether the bins want the keys of the role, those here included: not so after an exchange. */
function haveKeysOf({ keys }: ToDivide, bins: SuccinctRoles, here: readonly PublicKey[]): boolean {
  const ofRole = keyIdentities(keys.table, keys);
  const ofBins = keyIdentities(bins.table, bins);
  return (
    bins.threshold === keys.threshold &&
    [...ofBins].every((key) => ofRole.has(key)) &&
    here.every((key) => ofBins.has(keyIdentity(key)))
  );
}

/** The length of the bins' numbers, given as --bins or by way of --targets. `E_USAGE`. */
function wantedBits(bins: string | undefined, targets: string | undefined): number {
  if (bins === undefined && targets !== undefined) {
    if (/^\d{1,10}$/.test(targets)) return fittingBits(Number(targets));
    throw new IronError('E_USAGE', `not a number of targets: ${targets}`, {
      hint: 'nothing was signed; give how many the role will list, such as 100000',
    });
  }
  if (bins === undefined || targets !== undefined)
    throw new IronError('E_USAGE', 'how many bins is said once, by --bins or by --targets', {
      hint: 'nothing was signed; --targets 100000 chooses what suits so many',
    });
  const bits = Math.log2(Number(bins));
  if (/^\d{1,6}$/.test(bins) && Number.isInteger(bits) && bits <= BIN_LIMITS.bits) return bits;
  throw new IronError('E_USAGE', `not a number of bins: ${bins}`, {
    hint: `nothing was signed; give a power of two, at most ${2 ** BIN_LIMITS.bits}`,
  });
}

/** Every entry, from the role or from all of its bins, each verified. */
async function publishedEntries(
  session: Session,
  { base, file }: ToDivide,
): Promise<Map<string, JsonObject>> {
  const entries = new Map(entriesOf(file));
  const succinct = file.delegations?.succinct;
  if (succinct === undefined) return entries;
  const fetcher = new RepositoryFetcher(session.repository);
  for (const name of rolesBelow(file)) {
    const bin = await loadBelow(crypto, fetcher, base, succinct, name);
    for (const [path, entry] of entriesOf(bin)) entries.set(path, entry);
  }
  return entries;
}
