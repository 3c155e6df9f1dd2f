/** `renew`: the own role with a new date and nothing else. */

import type { CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { CODES, IronError } from '../../shared/errors.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { writeFileExclusive } from '../../shared/node/files.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import type { Targets } from '../../shared/tuf/targets.ts';
import { binsOf } from '../branch.ts';
import { countOfDraft, leaveWaiting, waitingData, waitingText } from '../co-sign.ts';
import { handIn, signRole } from '../hand-in.ts';
import { renewedRole } from '../next-role.ts';
import type { Base } from '../rebase/base.ts';
import { noteSigned } from '../rebase/note-signed.ts';
import { type RenewedBins, renewBins } from '../renew-bins.ts';
import { exchanged } from '../renew-exchanged.ts';
import { type Left, renewNested } from '../renew-nested.ts';
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
import { DIR_OPTION, PASSPHRASE_OPTION } from '../signers.ts';
import { type WaitsAlready, waitingAlready, waitsWords } from '../waiting-already.ts';

export const renew: CommandSpec = {
  name: 'renew',
  summary: 'sign the own role again with a new date, and nothing else',
  description:
    'Its bins, and those nested roles whose keys are in this folder, are renewed with it; where none of the TUF keys is here, the nested roles alone. A nested role that was not signed in this folder last, or on which none of its keys here counts, is left, and the exit status says so. Refuses when what is published says something else than what was signed in this folder last; look at the difference that it prints, and go on with --adopt if it is yours.',
  options: [
    DIR_OPTION,
    REPOSITORY_OPTION,
    ROOT_OPTION,
    {
      flags: '-o, --out <file>',
      description:
        'write it to FILE, with its bins, and hand in nothing: for the operators who exchange your keys',
    },
    { flags: '--adopt', description: 'renew what is published although it was not signed here' },
    PASSPHRASE_OPTION,
  ],
  examples: ['ironport renew --dir acme --repository http://127.0.0.1:8080'],
  schema: 'ironport/renew/v1',
  run: (context) => withSession(context, renewRole),
};

async function renewRole(session: Session): Promise<CommandResult> {
  const { context, config } = session;
  const base = await verifiedBase(session);
  const isOurs = await isOwnWork(session, base);
  if (base.role === undefined) {
    throw new IronError('E_NOTHING_TO_DO', `${config.vendor} has published nothing yet`, {
      hint: 'nothing was signed; `ironport publish` makes the first version',
    });
  }
  const isOther = context.text('out') === undefined && !(await hasOwnKeys(session));
  if (isOther) return await renewNestedOnly(session, base);
  if (!isOurs && !context.flag('adopt')) {
    throw new IronError('E_CONFLICT', 'what is published was not signed in this folder last', {
      why: 'to renew it would be to vouch for what this machine has not seen before',
      hint: 'nothing was signed; look at the difference above, and give --adopt if it is yours',
    });
  }
  const expires = systemClock() + LIFETIMES.vendor;
  const out = context.text('out');
  if (out !== undefined)
    return await writeOnly(session, { ...base, role: base.role }, expires, out);
  const api = await apiOf(session);
  // A date must not lapse because something waits; who waits for it is to hear of it.
  const beside = await waitingAlready(session, api, base);
  for (const one of beside) context.ui.warn(waitsWords(one));
  const signed = await signRole(session, base, renewedRole(base.role, expires));
  const succinct = binsOf(base);
  const adopt = context.flag('adopt');
  if (signed.have < signed.need) {
    const { role } = signed;
    const bins =
      succinct === undefined
        ? undefined
        : await renewBins(session, api, base, succinct, {
            ...{ expires, adopt },
            own: { own: signed, nested: [] },
          });
    const [waiting, ...others] = bins?.waiting ?? [
      await leaveWaiting(session, api, { own: signed, nested: [] }),
    ];
    if (waiting === undefined) throw new IronError('E_INTERNAL', 'the own role was left nowhere');
    const { renewed: nested, left } = await renewNested(session, api, base, expires);
    return {
      data: {
        role: config.vendor,
        version: role.version,
        expires: formatInstant(role.expires),
        was: formatInstant(base.role.expires),
        bins: bins?.renewed ?? 0,
        nested: nested.map(({ data }) => data),
        left: left.map(leftData),
        ...besideData(beside),
        ...waitingData(waiting),
        ...(bins === undefined ? {} : { also_pending: others.map(({ draft }) => draft.id) }),
      },
      ...exitFor(left, bins),
      text: [
        ...[waiting, ...others].map((one) => waitingText(one, countOfDraft(one.draft))),
        ...nested.map(({ text }) => text),
      ].join('\n'),
    };
  }
  const published = await handIn(session, api, signed);
  const { renewed: nested, left } = await renewNested(session, api, base, expires);
  // The delegation to them is the same: they are renewed after it, some at a time.
  const renewedBins =
    succinct === undefined
      ? undefined
      : await renewBins(session, api, base, succinct, { expires, adopt });
  const bins = renewedBins?.renewed ?? 0;
  const waiting = renewedBins?.waiting ?? [];
  return {
    data: {
      role: config.vendor,
      version: signed.role.version,
      expires: formatInstant(signed.role.expires),
      was: formatInstant(base.role.expires),
      bins,
      nested: nested.map(({ data }) => data),
      left: left.map(leftData),
      ...besideData(beside),
      ...published,
      ...(waiting.length === 0 ? {} : { also_pending: waiting.map(({ draft }) => draft.id) }),
    },
    ...exitFor(left, renewedBins),
    text: [
      ...waiting.map((one) => waitingText(one, countOfDraft(one.draft))),
      `${bins === 0 ? '' : `${bins} bins and `}${roleWords(config.vendor, signed.role)}, where it was ${formatInstant(base.role.expires)}`,
      ...nested.map(({ text }) => text),
    ].join('\n'),
  };
}

/** Whether a TUF key is here; a team that signs a nested role has none. */
async function hasOwnKeys({ signers, config }: Session): Promise<boolean> {
  if (config.nested === undefined || config.nested.size === 0) return true;
  return (await signers.among('tuf')).length > 0;
}

/** A timer is to hear that something was left, before it expires; what others renew is none of its own. */
function exitFor(left: readonly Left[], bins?: RenewedBins): { exit?: number } {
  if (bins !== undefined && bins.left > 0) return { exit: CODES.E_QUOTA.exit };
  return left.every(({ why }) => why === 'elsewhere') ? {} : { exit: CODES.E_CONFLICT.exit };
}

function besideData(beside: readonly WaitsAlready[]): object {
  return beside.length === 0 ? {} : { beside };
}

function leftData({ role, why, expires }: Left): object {
  return { role, why, ...(expires !== undefined && { expires: formatInstant(expires) }) };
}

async function renewNestedOnly(session: Session, base: Base): Promise<CommandResult> {
  const expires = systemClock() + LIFETIMES.vendor;
  const { renewed, left } = await renewNested(session, await apiOf(session), base, expires);
  const strange = left.filter(({ why }) => why === 'unknown').map(({ role }) => role);
  if (renewed.length === 0 && strange.length > 0)
    throw new IronError(
      'E_CONFLICT',
      `what ${strange.join(' and ')} says was not signed in this folder last`,
      {
        why: 'to renew it would be to vouch for what this machine has not seen before',
        hint: 'nothing was signed; look at what is published, and give --adopt if it is yours',
      },
    );
  if (renewed.length === 0)
    throw new IronError('E_KEY', 'there is no key here that signs anything of this vendor', {
      hint: 'nothing was signed; vendor.json names the keys of this folder',
    });
  return {
    data: { role: null, nested: renewed.map(({ data }) => data), left: left.map(leftData) },
    ...exitFor(left),
    text: renewed.map(({ text }) => text).join('\n'),
  };
}

/** Whose signatures count, the operators' next targets will say, and not those that stand. */
async function writeOnly(
  session: Session,
  base: Base & { readonly role: Targets },
  expires: Instant,
  out: string,
): Promise<CommandResult> {
  const { config, dir, context } = session;
  const made = await exchanged(session, base, expires, { adopt: context.flag('adopt') });
  const { role, own, bytes, bins, left } = made;
  await noteSigned(dir, config.vendor, { bytes: own, role });
  await writeFileExclusive(out, bytes);
  if (left > 0)
    context.ui.warn(
      `${left} bins still name the old keys, as more keys must sign them than are here: until \`ironport split --bins ${left}\` has them signed by the new ones, nothing can be published, and the old keys could change them`,
    );
  const withBins = bins === 0 ? '' : `, with its ${bins} bins`;
  return {
    data: {
      role: config.vendor,
      version: role.version,
      expires: formatInstant(role.expires),
      was: formatInstant(base.role.expires),
      bins,
      file: out,
    },
    text: `${out} is ${roleWords(config.vendor, role)}${withBins}; give it to the operators, who publish it together with your new keys`,
  };
}
