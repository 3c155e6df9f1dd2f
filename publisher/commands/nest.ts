/** `nest` and `unnest`: some of the own paths to a role with keys of its own, and back. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { formatInstant } from '../../shared/time.ts';
import type { RoleSpec } from '../../shared/tuf/build.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { nestedRole, parentRole, patternsOf } from '../../shared/tuf/nested.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
import { publishedBranch, sendRoles, toSign } from '../branch.ts';
import {
  countOf,
  isComplete,
  leaveWaiting,
  showRole,
  waitingData,
  waitingText,
} from '../co-sign.ts';
import { handIn, signRole } from '../hand-in.ts';
import { nestKeys } from '../nest-keys.ts';
import { isNestedSo, type Nested, type NestInput, type Nesting, renest } from '../nest-role.ts';
import { BinLog, lineOf } from '../rebase/bin-log.ts';
import type { PublishedBranch } from '../rebase/published-branch.ts';
import {
  apiOf,
  isOwnWork,
  REPOSITORY_OPTION,
  ROOT_OPTION,
  roleWords,
  type Session,
  verifiedBase,
  withSession,
} from '../session.ts';
import { demandSome, type SignedBelow, signBelow } from '../sign-below.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { BatchSender } from '../upload/batch.ts';

const NAME = {
  name: 'name',
  description: 'of the role: NAME is the role VENDOR.NAME, and A.B a role in VENDOR.A',
} as const;
const ADOPT = {
  flags: '--adopt',
  description: 'build on what is published although it was not signed here',
} as const;

export const nest: CommandSpec = {
  name: 'nest',
  summary: 'give some of the own paths, or of a nested role, to a role with keys of its own',
  description:
    'The entries of these paths move into the role VENDOR.NAME, which its own keys sign from then on; hardware ids, evidence keys and floors stay those of the vendor. Role and delegation become visible in one snapshot. For a role that is nested already it changes what is given: other keys, another threshold, other paths. What is signed elsewhere waits at the service (`ironport pending`). A role has nested roles or hash bins, not both. Of a nested role a part is given on by its own keys, three deep at the most.',
  arguments: [NAME],
  options: [
    {
      flags: '--path <pattern>',
      description:
        'VENDOR/PRODUCT/VERSION/*, where product and version may end in *; needed for a new role',
      repeatable: true,
    },
    {
      flags: '--key <signer>',
      description:
        'who signs it: a signer URI, a file, or the public half of a key of somebody else',
      repeatable: true,
    },
    { flags: '--make-keys <n>', description: 'make so many new keys in this folder' },
    { flags: '--threshold <n>', description: 'how many of the keys must sign' },
    REPOSITORY_OPTION,
    DIR_OPTION,
    ROOT_OPTION,
    ADOPT,
    { flags: '--encrypt', description: 'encrypt new keys under a passphrase' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    "ironport nest wifi --path 'acme/wifi-*/*/*' --repository http://127.0.0.1:8080 --dir acme",
    "ironport nest wifi.ax --path 'acme/wifi-ax*/*/*' --repository http://127.0.0.1:8080 --dir wifi-team",
    'ironport nest wifi --key team-1.pub.json --key team-2.pub.json --threshold 2 --repository http://127.0.0.1:8080 --dir acme',
  ],
  schema: 'ironport/nest/v1',
  run: (context) => withSession(context, nestOne),
};

export const unnest: CommandSpec = {
  name: 'unnest',
  summary: 'take the paths of a nested role back into the one in which it is nested',
  description:
    'Its entries move back, and the delegation goes. The name stays in the snapshot for ever, at its version: nested again, it goes on from there.',
  arguments: [NAME],
  options: [REPOSITORY_OPTION, DIR_OPTION, ROOT_OPTION, ADOPT, PASSPHRASE_OPTION],
  examples: ['ironport unnest wifi --repository http://127.0.0.1:8080 --dir acme'],
  schema: 'ironport/unnest/v1',
  run: (context) => withSession(context, unnestOne),
};

async function nestOne(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const role = nestedRole(config.vendor, context.args[0] as string);
  const found = await standing(session, role);
  const { before, parent } = found;
  const given = context.list('path');
  const paths = given.length > 0 ? given : before === undefined ? [] : patternsOf(before);
  if (paths.length === 0)
    throw new IronError('E_USAGE', `${role} is given no paths`, {
      hint: `nothing was signed; say which with --path: ${config.vendor}/PRODUCT/*/*`,
    });
  const planned = await nestKeys(session, role, before);
  const nestingOf = ({ keys, threshold }: RoleSpec): Nesting => ({ role, paths, keys, threshold });
  if (isNestedSo(before, nestingOf(planned)))
    throw new IronError('E_NOTHING_TO_DO', `${role} is nested just so already`, {
      hint: 'nothing was signed',
    });
  const input = inputOf(found, role);
  // What may not be nested is refused here, while this folder is as it was.
  renest({ ...input, nest: nestingOf(planned) });
  const keyed = await planned.keep();
  const next = renest({ ...input, nest: nestingOf(keyed) });
  const facts = {
    nested_role: role,
    nested_in: parent,
    paths,
    threshold: keyed.threshold,
    keys: keyed.keys.map((key) => keyId(crypto, key)),
  };
  return await publishNext(
    keyed.session,
    found,
    next,
    facts,
    `${role} speaks for ${paths.join(', ')}`,
  );
}

async function unnestOne(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const role = nestedRole(config.vendor, context.args[0] as string);
  const found = await standing(session, role);
  if (found.before === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${role} is not nested in ${found.parent}`, {
      hint: 'nothing was signed',
    });
  const next = renest({ ...inputOf(found, role), unnest: role });
  const facts = { nested_role: role, nested_in: found.parent };
  return await publishNext(session, found, next, facts, `${role} is nested no longer`);
}

interface Found {
  readonly branch: PublishedBranch;
  /** The role in which it is nested, or will be, and what that says. */
  readonly parent: string;
  readonly own: Targets;
  /** Patterns that are given to that one. */
  readonly within: readonly string[];
  readonly before: DelegatedRole | undefined;
  readonly file: Targets | undefined;
}

/** What is published, all of it known to this folder or adopted. */
async function standing(session: Session, role: string): Promise<Found> {
  const { context, config, dir } = session;
  const base = await verifiedBase(session);
  const isOurs = await isOwnWork(session, base);
  const branch = publishedBranch(session, base);
  const parent = parentRole(role) ?? config.vendor;
  if (base.role === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${config.vendor} has published nothing yet`, {
      hint: 'nothing was signed; `ironport publish` makes the first version',
    });
  const own = parent === config.vendor ? base.role : await branch.below(parent);
  if (own.delegations?.succinct !== undefined)
    throw new IronError('E_DELEGATION', `${parent} is split into hash bins`, {
      why: 'a role has nested roles or hash bins, and not both',
      hint: 'nothing was signed; `ironport split --bins 1` puts it together first',
    });
  const before = own.delegations?.roles.find(({ name }) => name === role);
  const file = before && (await branch.below(role));
  const above = parent === config.vendor ? base.delegation : await branch.delegation(parent);
  const within = above === undefined ? [] : patternsOf(above);
  const log = await BinLog.load(dir);
  const knows = (name: string, one: Targets | undefined): boolean =>
    one === undefined || log.knows(lineOf(crypto, name, one));
  const isKnown = parent === config.vendor ? isOurs : knows(parent, own);
  const found = { branch, parent, own, within, before, file };
  if ((isKnown && knows(role, file)) || context.flag('adopt')) return found;
  const foreign = isKnown ? role : parent;
  throw new IronError('E_CONFLICT', `what ${foreign} says was not signed in this folder last`, {
    why: 'to move its entries would be to vouch for what this machine has not seen before',
    hint: 'nothing was signed; look at what is published, and give --adopt if it is yours',
    context: { role: foreign },
  });
}

function inputOf({ branch, parent, own, within, file }: Found, role: string): NestInput {
  const listed = branch.base.trusted.snapshot().roles;
  return {
    parent,
    base: own,
    within,
    // No pattern of another nested role overlaps: their entries stay where they are.
    nested: new Map(file === undefined ? [] : [[role, file]]),
    expires: systemClock() + LIFETIMES.vendor,
    listed: (name) => listed.get(name)?.version ?? 0,
  };
}

async function publishNext(
  session: Session,
  { branch, parent, own: before }: Found,
  next: Nested,
  about: object,
  words: string,
): Promise<CommandResult> {
  const { context, config } = session;
  const isOwn = parent === config.vendor;
  const above = isOwn ? [] : await toSign(branch, new Map([[parent, next.own]]));
  const nested = await signBelow(session, new Map([...above, ...next.below]));
  const own = isOwn ? await signRole(session, branch.base, next.own) : undefined;
  const changed = own?.role ?? parsedBelow(nested, parent);
  showRole(context, before, changed, parent);
  const together = { own, nested };
  const count = countOf(together);
  const facts = {
    ...about,
    role: parent,
    version: changed.version,
    expires: formatInstant(changed.expires),
    moved: next.moved,
    nested: nested
      .filter(({ role }) => role !== parent)
      .map(({ role, version }) => ({ role, version })),
    signatures: count,
  };
  const api = await apiOf(session);
  if (!isComplete(together)) {
    const waiting = await leaveWaiting(session, api, together);
    return { data: { ...facts, ...waitingData(waiting) }, text: waitingText(waiting, count) };
  }
  const sender = new BatchSender(api);
  await sendRoles(api, sender, nested);
  await sender.flush();
  const { snapshot, timestamp } = await handIn(session, api, own, together);
  const roles = [
    ...(own === undefined ? [] : [roleWords(config.vendor, own.role)]),
    ...nested.map((one) => roleWords(one.role, one)),
  ];
  return {
    data: { ...facts, published: true, snapshot, timestamp },
    text: [
      `${words}; ${next.moved} entries moved`,
      `  ${roles.join(' and ')}, in snapshot ${snapshot}`,
    ].join('\n'),
  };
}

/** What was signed of the role above; `E_KEY` when no key of it is here. */
function parsedBelow(nested: readonly SignedBelow[], role: string): Targets {
  const signed = nested.filter((one) => one.role === role);
  demandSome(signed);
  return parseTargets((signed[0] as SignedBelow).bytes, role);
}
