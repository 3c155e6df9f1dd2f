/**
 * `revocations init`, by which operators name the security team, and `revocations renew`, which a
 * timer calls on a machine apart from the service.
 */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { YES_OPTION } from '../../shared/cli/confirm.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { revocations as place } from '../../shared/layout.ts';
import { LIFETIMES, METADATA_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../../shared/node/files.ts';
import { revocationDiff } from '../../shared/revocation/diff.ts';
import type { RevocationFloors } from '../../shared/revocation/floors.ts';
import { floorsOf, type VerifiedList, verifyList } from '../../shared/revocation/signed-list.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import { formatMetadata, sign, withFields } from '../../shared/tuf/build.ts';
import { diffText } from '../../shared/tuf/diff/trust-diff.ts';
import { parseRevocationTrust, type RevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { verifyThreshold } from '../../shared/tuf/role.ts';
import { isComplete } from '../../shared/tuf/standing.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { expiryFor } from '../ceremony/expiry.ts';
import { loadTargets, maybeRoot, writeSigned } from '../ceremony/files.ts';
import { listingTree, withRevocations } from '../ceremony/revocations.ts';
import {
  KEY_OPTION,
  PASSPHRASE_OPTION,
  participants,
  publicKeyOf,
  signersOf,
} from '../ceremony/signers.ts';
import {
  confirmSigning,
  nextStep,
  showChanges,
  signAndCount,
  unsignedFile,
} from '../ceremony/signing.ts';
import { listsThatWait } from './drafts.ts';
import { loadList, loadTrust, TARGETS_OPTION } from './revocations.ts';

export const revocationsInit: CommandSpec = {
  name: 'revocations init',
  summary: 'make targets that name the security team, or another one',
  description:
    'Writes the next version of the targets. With --new-epoch, floors begin anew with the first list of the new team: for a team whose keys were lost or abused. Submit it together with that list and the role that lists it.',
  options: [
    { flags: '--targets <file>', description: 'the targets in force now', required: true },
    { flags: '--root <file>', description: 'the root in force: it says whose signatures count' },
    {
      flags: '--security-key <key>',
      description: 'a key of the team: its public half, or a signer URI',
      repeatable: true,
      required: true,
    },
    { flags: '--security-threshold <n>', description: 'how many must sign', default: '1' },
    {
      flags: '--renewal-key <key>',
      description: 'the key of the machine that renews the list',
      required: true,
    },
    { flags: '--new-epoch', description: 'floors begin anew' },
    {
      flags: '--expires-in <span>',
      description: 'how long the targets are valid',
      default: '182d',
    },
    ...[KEY_OPTION, { flags: '-o, --out <file>', description: 'file to write', required: true }],
    ...[YES_OPTION, PASSPHRASE_OPTION],
  ],
  examples: [
    'ironport-repo revocations init --targets 7.targets.json --root 1.root.json --key t1.json --security-key s1.pub.json --security-key s2.pub.json --security-threshold 2 --renewal-key renewal.pub.json --out 8.targets.json',
  ],
  schema: 'ironport-repo/revocations-init/v1',
  async run(context) {
    const targets = await loadTargets(context.need('targets'));
    const root = await maybeRoot(context.text('root'));
    const team = await participants(context, context.list('security-key'));
    const before = parseRevocationTrust(targets.envelope.signed)?.epoch;
    const epoch = before === undefined ? 1 : before + (context.flag('new-epoch') ? 1 : 0);
    const trust = {
      epoch,
      keys: team.map(({ key }) => key),
      threshold: context.number('security-threshold', 1) ?? 1,
    };
    const renewal = await publicKeyOf(context, context.need('renewal-key'));
    const now = systemClock();
    const expires = expiryFor(context, 'targets', now);
    const next = withFields(withRevocations(crypto, targets.envelope.tree, trust, renewal), {
      version: targets.version + 1,
      expires: formatInstant(expires),
    });
    const file = unsignedFile(next, 'targets');
    const signers = await signersOf(context);
    const changes = showChanges(context.ui, file, { type: 'targets', file: targets }, now);
    await confirmSigning(context, `targets ${targets.version + 1}`, signers);
    const signed = await signAndCount(file, root, signers);
    const out = context.need('out');
    await writeSigned(out, signed.bytes);
    return {
      data: {
        ...{ file: out, version: targets.version + 1, epoch, expires: formatInstant(expires) },
        changes,
        signatures: signed.standings,
        complete: signed.standings.length > 0 && isComplete(signed.standings),
      },
      text: nextStep(out, signed),
    };
  },
};

export const revocationsRenew: CommandSpec = {
  name: 'revocations renew',
  summary: 'sign that a list still stands: what a timer calls every few days',
  description:
    'Refuses a list that the security team named in the targets did not sign. --role is the file that the last run wrote, and is replaced; while more than half of its time is left and it lists the same list, nothing is signed, and it can be submitted again. With --url a newer list that waits at the service with all of its signatures is taken up: it replaces the file of --list.',
  options: [
    { flags: '--list <file>', description: 'the list in force', required: true },
    TARGETS_OPTION,
    { flags: '--role <file>', description: 'the file to write, and to follow', required: true },
    KEY_OPTION,
    { flags: '--version <n>', description: 'the version to sign, when the last file is lost' },
    { flags: '--url <url>', description: 'the service where a newer list may wait' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo revocations renew --list list.json --targets targets.json --role revocations.json --key renewal.json --url https://drivers.example',
  ],
  schema: 'ironport-repo/revocations-renew/v1',
  run: renew,
};

async function renew(context: CommandContext): Promise<CommandResult> {
  const trust = await loadTrust(context);
  const listPath = context.need('list');
  let list = await loadList(listPath);
  // The hot key vouches for nothing that hosts would refuse.
  let standing = verifyList(crypto, list, trust, undefined);
  const waiting = await waitingList(context, trust, standing);
  if (waiting !== undefined) {
    const said = revocationDiff(standing.list, waiting.verified.list);
    context.ui.stage(
      `list ${waiting.verified.list.version} waits whole, and is taken up:\n${diffText(said)}`,
    );
    ({ bytes: list, verified: standing } = waiting);
    await writeFileAtomic(listPath, list);
  }
  const said = standing.list;
  const path = context.need('role');
  const now = systemClock();
  const last = await loadLast(path);
  const version = context.number('version', 1) ?? (last?.version ?? 0) + 1;
  const isGood = last !== undefined && lists(last, list) && isFresh(last.expires, now);
  if (isGood && context.text('version') === undefined)
    return result(path, last.version, last.expires, said.version, false);
  const expires = now + LIFETIMES.revocations;
  const tree = listingTree(crypto, list, version, expires);
  const bytes = formatMetadata(tree, await sign(crypto, tree, await signersOf(context)));
  await requireCounts(context, bytes);
  await writeFileAtomic(path, bytes);
  return result(path, version, expires, said.version, true);
}

/**
 * The newest list that waits at `--url` and holds on hosts that know the one in force. The team's
 * signatures decide; a service that cannot be asked keeps nobody from renewing what is at hand.
 */
async function waitingList(
  context: CommandContext,
  trust: RevocationTrust,
  { list, sha256 }: VerifiedList,
): Promise<{ readonly bytes: Uint8Array; readonly verified: VerifiedList } | undefined> {
  const url = context.text('url');
  if (url === undefined) return undefined;
  try {
    const found = [];
    for (const bytes of await listsThatWait(context, { url, token: undefined })) {
      const verified = heldTo(bytes, trust, floorsOf({ list, sha256 }));
      if (verified !== undefined && verified.list.version > list.version)
        found.push({ bytes, verified });
    }
    return found.sort((a, b) => b.verified.list.version - a.verified.list.version)[0];
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw error;
    context.ui.warn(`no list is taken up from ${url}: ${error.message}`);
    return undefined;
  }
}

/** Undefined for one that lacks signatures, or that hosts would refuse. */
function heldTo(
  bytes: Uint8Array,
  trust: RevocationTrust,
  before: RevocationFloors,
): VerifiedList | undefined {
  try {
    return verifyList(crypto, bytes, trust, before);
  } catch (error) {
    if (isIronError(error, 'E_REVOCATIONS', 'E_ROLLBACK')) return undefined;
    throw error;
  }
}

async function loadLast(path: string): Promise<Targets | undefined> {
  try {
    return parseTargets(await readFileCapped(path, METADATA_LIMITS.targets), place.role);
  } catch (error) {
    if (error instanceof IronError && error.code === 'E_NOT_FOUND') return undefined;
    throw error;
  }
}

const isFresh = (expires: Instant, now: Instant): boolean =>
  expires - now > LIFETIMES.revocations / 2 && expires - now <= LIFETIMES.revocations;

function lists(role: Targets, list: Uint8Array): boolean {
  const sha256 = Buffer.from(crypto.sha256(list)).toString('hex');
  return role.entry(place.list)?.hashes.get('sha256') === sha256;
}

/** `E_THRESHOLD` when the key is not the one that the targets delegate to. */
async function requireCounts(context: CommandContext, bytes: Uint8Array): Promise<void> {
  const { delegations } = await loadTargets(context.need('targets'));
  const edge = delegations?.roles.find(({ name }) => name === place.role);
  if (delegations === undefined || edge === undefined)
    throw new IronError('E_NOT_FOUND', `the targets delegate to no role ${place.role}`);
  const { envelope } = parseTargets(bytes, place.role);
  verifyThreshold(crypto, envelope, delegations.keys, edge, place.role);
}

function result(
  file: string,
  version: number,
  expires: Instant,
  list: number,
  signed: boolean,
): CommandResult {
  const until = formatInstant(expires);
  return {
    data: { file, version, expires: until, list, signed },
    text: `${signed ? 'signed' : 'still good'}: ${file}, ${place.role} ${version} with list ${list}, until ${until}`,
  };
}
