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
import { nestedRole, patternsOf } from '../../shared/tuf/nested.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { publishedBranch, sendRoles } from '../branch.ts';
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
import type { Base } from '../rebase/base.ts';
import { BinLog, digestOf } from '../rebase/bin-log.ts';
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
import { signNested } from '../sign-below.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { BatchSender } from '../upload/batch.ts';

const NAME = { name: 'name', description: 'of the role: NAME is the role VENDOR.NAME' } as const;
const ADOPT = {
  flags: '--adopt',
  description: 'build on what is published although it was not signed here',
} as const;

export const nest: CommandSpec = {
  name: 'nest',
  summary: 'give some of the own paths to a role with keys of its own',
  description:
    'The entries of these paths move into the role VENDOR.NAME, which its own keys sign from then on; hardware ids, evidence keys and floors stay those of the vendor. Role and delegation become visible in one snapshot. For a role that is nested already it changes what is given: other keys, another threshold, other paths. What is signed elsewhere waits at the service (`ironport pending`). A role has nested roles or hash bins, not both.',
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
    'ironport nest wifi --key team-1.pub.json --key team-2.pub.json --threshold 2 --repository http://127.0.0.1:8080 --dir acme',
  ],
  schema: 'ironport/nest/v1',
  run: (context) => withSession(context, nestOne),
};

export const unnest: CommandSpec = {
  name: 'unnest',
  summary: 'take the paths of a nested role back into the own role',
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
  const { base, own, before, file } = await standing(session, role);
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
  const input = inputOf(session, base, own, role, file);
  // What may not be nested is refused here, while this folder is as it was.
  renest({ ...input, nest: nestingOf(planned) });
  const keyed = await planned.keep();
  const next = renest({ ...input, nest: nestingOf(keyed) });
  const facts = {
    nested_role: role,
    paths,
    threshold: keyed.threshold,
    keys: keyed.keys.map((key) => keyId(crypto, key)),
  };
  return await publishNext(
    keyed.session,
    base,
    next,
    facts,
    `${role} speaks for ${paths.join(', ')}`,
  );
}

async function unnestOne(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const role = nestedRole(config.vendor, context.args[0] as string);
  const { base, own, before, file } = await standing(session, role);
  if (before === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${role} is not nested in ${config.vendor}`, {
      hint: 'nothing was signed',
    });
  const next = renest({ ...inputOf(session, base, own, role, file), unnest: role });
  const facts = { nested_role: role };
  return await publishNext(session, base, next, facts, `${role} is nested no longer`);
}

/** What is published, all of it known to this folder or adopted. */
async function standing(
  session: Session,
  role: string,
): Promise<{
  readonly base: Base;
  readonly own: Targets;
  readonly before: DelegatedRole | undefined;
  readonly file: Targets | undefined;
}> {
  const { context, config, dir } = session;
  const base = await verifiedBase(session);
  const isOurs = await isOwnWork(session, base);
  const own = base.role;
  if (own === undefined)
    throw new IronError('E_NOTHING_TO_DO', `${config.vendor} has published nothing yet`, {
      hint: 'nothing was signed; `ironport publish` makes the first version',
    });
  if (own.delegations?.succinct !== undefined)
    throw new IronError('E_DELEGATION', `${config.vendor} is split into hash bins`, {
      why: 'a role has nested roles or hash bins, and not both',
      hint: 'nothing was signed; `ironport split --bins 1` puts it together first',
    });
  const before = own.delegations?.roles.find(({ name }) => name === role);
  const file = before && (await publishedBranch(session, base).below(role));
  const log = await BinLog.load(dir);
  const isKnown = file === undefined || log.knows(role, digestOf(crypto, file.envelope.tree));
  if ((isOurs && isKnown) || context.flag('adopt')) return { base, own, before, file };
  const foreign = isOurs ? role : config.vendor;
  throw new IronError('E_CONFLICT', `what ${foreign} says was not signed in this folder last`, {
    why: 'to move its entries would be to vouch for what this machine has not seen before',
    hint: 'nothing was signed; look at what is published, and give --adopt if it is yours',
    context: { role: foreign },
  });
}

function inputOf(
  { config }: Session,
  { delegation, trusted }: Base,
  own: Targets,
  role: string,
  file: Targets | undefined,
): NestInput {
  const listed = trusted.snapshot().roles;
  return {
    vendor: config.vendor,
    base: own,
    within: patternsOf(delegation),
    // No pattern of another nested role overlaps: their entries stay where they are.
    nested: new Map(file === undefined ? [] : [[role, file]]),
    expires: systemClock() + LIFETIMES.vendor,
    listed: (name) => listed.get(name)?.version ?? 0,
  };
}

async function publishNext(
  session: Session,
  base: Base,
  next: Nested,
  about: object,
  words: string,
): Promise<CommandResult> {
  const { context, config } = session;
  const nested = await signNested(session, next.below);
  const own = await signRole(session, base, next.own);
  showRole(context, base.role, own.role, config.vendor);
  const together = { own, nested };
  const count = countOf(together);
  const facts = {
    ...about,
    role: config.vendor,
    version: own.role.version,
    expires: formatInstant(own.role.expires),
    moved: next.moved,
    nested: nested.map(({ role, version }) => ({ role, version })),
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
    roleWords(config.vendor, own.role),
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
