/**
 * Judges the roles below a vendor's own that were submitted, one in memory at a time: hash bins, with
 * verdicts that are about all of them, or nested roles.
 */

import { IronError } from '../../shared/errors.ts';
import { BIN_LIMITS } from '../../shared/limits.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import { delegatesAlike, keysBelow, rolesBelow } from '../../shared/tuf/nested.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { binsOf } from './branch.ts';
import { type Check, judge, type Subject, some } from './check.ts';
import { bin } from './checks/bin.ts';
import { blobs } from './checks/blobs.ts';
import { deniedKeys } from './checks/denied-keys.ts';
import { expiry } from './checks/expiry.ts';
import { namespace } from './checks/namespace.ts';
import { nested } from './checks/nested.ts';
import { sizes } from './checks/sizes.ts';
import { threshold } from './checks/threshold.ts';
import { unchanged } from './checks/unchanged.ts';
import { version } from './checks/version.ts';
import {
  type Examination,
  type ExaminedRole,
  examinedRole,
  type RoleBelow,
  readRoleBlob,
  subjectOf,
} from './examine.ts';
import type { Judgements } from './judge-submission.ts';

type Checks = readonly (readonly [name: string, check: Check])[];

const CHECKS: Checks = [
  ['threshold', threshold],
  ['denied-keys', deniedKeys],
  ['version', version],
  ['expiry', expiry],
  ['namespace', namespace],
  ['sizes', sizes],
  ['unchanged', unchanged],
  ['blobs', blobs],
];

/** What is different about bins and nested roles. */
interface Kind {
  /** What the verdicts begin with, and how one and many of them are called. */
  readonly prefix: string;
  readonly one: string;
  readonly checks: Checks;
  /** The name of a verdict that refuses, of the role `name`. */
  readonly refusal: (name: string) => string;
}

const BINS: Kind = {
  prefix: 'bins',
  one: 'bin',
  checks: [['bin', bin], ...CHECKS],
  refusal: () => 'bins',
};

const NESTED: Kind = {
  prefix: 'nested',
  one: 'nested role',
  checks: [['paths', nested], ...CHECKS],
  refusal: (name) => name,
};

/**
 * Every role that was submitted. Ends at the first one that is refused: there may be thousands. One
 * that only lacks signatures ends it not: others may give them yet, and a draft waits for them unless
 * something is wrong that no signature can help.
 */
export async function judgeBelow(
  examination: Examination,
  judgements: Judgements,
): Promise<ExaminedRole[]> {
  const { submission, own, seen } = examination;
  const { below = [] } = submission;
  const kind = binsOf(own) === undefined ? NESTED : BINS;
  const complete = judge(kind.prefix, () => demandComplete(examination, kind));
  if (!judgements.add(complete)) return [];
  const roles: ExaminedRole[] = [];
  /** Failed by some role, and no reason to end. */
  const short = new Set<string>();
  for (const uploaded of below) {
    let found: { subject: Subject; role: ExaminedRole } | undefined;
    await judgements.lookup(`blob ${uploaded.role}`, async () => {
      found = await readBelow(examination, uploaded);
      return 'is here';
    });
    // What holds is said once, at the end, for all of them.
    if (found === undefined) return [];
    judgements.verdicts.pop();
    const failed = judgeOne(judgements, kind, found.subject, short);
    if (failed.some((name) => name !== 'threshold')) return [];
    for (const name of failed) short.add(name);
    roles.push(found.role);
    if (seen.size <= BIN_LIMITS.moved) continue;
    judgements.add(judge(kind.prefix, () => refuseMoving()));
    return [];
  }
  if (roles.length > 0)
    for (const [name] of kind.checks.filter(([name]) => !short.has(name)))
      judgements.add(judge(`${kind.prefix}: ${name}`, () => `holds for ${nameSome(kind, below)}`));
  return short.size === 0 ? roles : [];
}

function nameSome(kind: Kind, below: readonly RoleBelow[]): string {
  if (kind === BINS || below.length > 4) return some(below.length, kind.one);
  return below.map(({ role }) => role).join(', ');
}

/** They are below the vendor's role, each once; and none is missing that a reader would be sent to. */
function demandComplete(
  { submission: { vendor, below = [] }, own, current, moved }: Examination,
  kind: Kind,
): string {
  const all = rolesBelow(own);
  if (all.length === 0 && below.length > 0)
    throw new IronError('E_DELEGATION', `${vendor} delegates to no role of its own`, {
      hint: 'nothing was changed; `ironport split` divides it into bins, `ironport nest` nests a role',
    });
  const names = new Set(below.map(({ role }) => role));
  if (names.size !== below.length)
    throw new IronError('E_SCHEMA', `a ${kind.one} was submitted twice`);
  const foreign = [...names].find((role) => keysBelow(own, role) === undefined);
  if (foreign !== undefined)
    throw new IronError('E_NOT_AUTHORISED', `${foreign} is no ${kind.one} of ${vendor}`);
  // A reader that finds the delegation must find the role, signed by the keys that it names.
  const missing = moved
    ? all.find((role) => !names.has(role) && !delegatesAlike(current, own, role))
    : undefined;
  if (missing !== undefined)
    throw new IronError('E_DELEGATION', `the ${kind.one} ${missing} was not submitted`, {
      why: `${vendor} delegates to it otherwise than before, or for the first time: it must be signed with it`,
      hint: 'nothing was changed; sign and submit both together',
      context: { role: missing },
    });
  return `${some(below.length, kind.one)} of ${all.length}`;
}

async function readBelow(
  examination: Examination,
  uploaded: RoleBelow,
): Promise<{ subject: Subject; role: ExaminedRole }> {
  const { submission, shelves, published, own } = examination;
  const { role, sha256 } = uploaded;
  const bytes = await readRoleBlob(shelves, submission.vendor, uploaded);
  const subject = await subjectOf(examination, role, parseTargets(bytes, role), bytes.length);
  const keys = keysBelow(own, role);
  if (keys === undefined) throw new IronError('E_INTERNAL', `nobody delegates to ${role}`);
  // TAP 15: all bins have the keys of their description; the paths are those of who describes it.
  const { scope } = published.delegation(submission.vendor) ?? { scope: { paths: [] } };
  const delegation: DelegatedRole =
    'scope' in keys ? (keys as DelegatedRole) : { ...keys, name: role, terminating: true, scope };
  const below = { ...subject, delegation, delegationKeys: keys.table, parent: own };
  return { subject: below, role: examinedRole(below, { sha256, length: bytes.length }) };
}

/**
 * The checks that fail: of a nested role all, of a bin the first that is not about signatures, and that
 * once for all bins.
 */
function judgeOne(
  judgements: Judgements,
  kind: Kind,
  subject: Subject,
  short: ReadonlySet<string>,
): string[] {
  const failed: string[] = [];
  for (const [name, check] of kind.checks) {
    const judged = judge(`${kind.refusal(subject.role)}: ${name}`, () => check(subject));
    if (judged.error === undefined) continue;
    if (kind !== BINS || !short.has(name)) judgements.add(judged);
    failed.push(name);
    if (kind === BINS && name !== 'threshold') break;
  }
  return failed;
}

function refuseMoving(): string {
  throw new IronError('E_TOO_LARGE', `more than ${BIN_LIMITS.moved} targets would move at once`, {
    hint: 'nothing was changed; keep the number of bins that there is',
  });
}
