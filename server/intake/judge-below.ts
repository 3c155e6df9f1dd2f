/**
 * Judges the roles below a vendor's own that were submitted, one in memory at a time: nested roles, and
 * hash bins, with verdicts that are about all of them.
 */

import { IronError } from '../../shared/errors.ts';
import { BIN_LIMITS, NESTED_LIMITS } from '../../shared/limits.ts';
import type { DelegatedRole } from '../../shared/tuf/delegations.ts';
import {
  delegatesAlike,
  depthOf,
  isBinName,
  keysBelow,
  parentRole,
  rolesBelow,
  tooManyNested,
} from '../../shared/tuf/nested.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';
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
import { StandingBins } from './standing-bins.ts';

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
 * Every role that was submitted, each after the one that delegates to it. Ends at the first one that is
 * refused: there may be thousands. One that only lacks signatures ends it not: others may give them yet,
 * and a draft waits for them unless something is wrong that no signature can help.
 */
export async function judgeBelow(
  examination: Examination,
  judgements: Judgements,
): Promise<ExaminedRole[]> {
  const { submission, own, current, seen } = examination;
  const { vendor, below = [] } = submission;
  if (!judgements.add(judge(kindBelow(own).prefix, () => demandOwnBelow(examination)))) return [];
  const complete = (
    role: string,
    file: Targets | undefined,
    before: Targets | undefined,
  ): Promise<boolean> =>
    judgements.lookup(kindBelow(file).prefix, () =>
      demandComplete(examination, role, file, before),
    );
  if (!(await complete(vendor, own, current))) return [];
  const roles: ExaminedRole[] = [];
  /** Failed by some role, and no reason to end. */
  const short = new Set<string>();
  for (const uploaded of below.toSorted((a, b) => depthOf(a.role) - depthOf(b.role))) {
    const { role } = uploaded;
    const kind = isBinName(role) ? BINS : NESTED;
    let found: { subject: Subject; role: ExaminedRole } | undefined;
    const isLed = await judgements.lookup(kind.prefix, async () => {
      await demandLed(examination, kind, role);
      return 'is delegated to';
    });
    if (!isLed) return [];
    judgements.verdicts.pop();
    await judgements.lookup(`blob ${role}`, async () => {
      found = await readBelow(examination, uploaded);
      return 'is here';
    });
    // What holds is said once, at the end, for all of them.
    if (found === undefined) return [];
    judgements.verdicts.pop();
    const failed = judgeOne(judgements, kind, found.subject, short);
    if (failed.some((name) => name !== 'threshold')) return [];
    for (const name of failed) short.add(`${kind.prefix}: ${name}`);
    roles.push(found.role);
    const { file } = found.subject;
    if (file.delegations !== undefined) {
      const before = await examination.branch.reached(role);
      if (!(await complete(role, file, before))) return [];
    }
    if (seen.size <= BIN_LIMITS.moved) continue;
    judgements.add(judge(kind.prefix, () => refuseMoving()));
    return [];
  }
  for (const kind of [NESTED, BINS]) {
    const names = roles
      .map(({ role }) => role)
      .filter((role) => isBinName(role) === (kind === BINS));
    if (names.length === 0) continue;
    for (const check of kind.checks.map(([name]) => `${kind.prefix}: ${name}`))
      if (!short.has(check))
        judgements.add(judge(check, () => `holds for ${nameSome(kind, names)}`));
  }
  return short.size === 0 ? roles : [];
}

function kindBelow(file: Targets | undefined): Kind {
  return file?.delegations?.succinct === undefined ? NESTED : BINS;
}

function nameSome(kind: Kind, roles: readonly string[]): string {
  return kind === BINS || roles.length > 4 ? some(roles.length, kind.one) : roles.join(', ');
}

/** Each stands below the vendor's role, and once. */
function demandOwnBelow({ submission: { vendor, below = [] }, own }: Examination): string {
  const { one } = kindBelow(own);
  const names = new Set(below.map(({ role }) => role));
  if (rolesBelow(own).length === 0 && below.length > 0)
    throw new IronError('E_DELEGATION', `${vendor} delegates to no role of its own`, {
      hint: 'nothing was changed; `ironport split` divides it into bins, `ironport nest` nests a role',
    });
  const nested = below.filter(({ role }) => !isBinName(role)).length;
  if (nested > NESTED_LIMITS.roles)
    throw tooManyNested(vendor, `${nested} nested roles`, NESTED_LIMITS.roles);
  if (names.size !== below.length) throw new IronError('E_SCHEMA', `a ${one} was submitted twice`);
  const foreign = [...names].find((role) => {
    const isRight = parentRole(role) === vendor;
    return isRight ? keysBelow(own, role) === undefined : !role.startsWith(`${vendor}.`);
  });
  if (foreign === undefined) return `${some(below.length, one)} below ${vendor}`;
  throw new IronError('E_NOT_AUTHORISED', `${foreign} is no ${one} of ${vendor}`);
}

/** None is missing that a reader would be sent to: what finds a delegation must find its role. */
async function demandComplete(
  { submission: { below = [] }, moved, branch, shelves }: Examination,
  role: string,
  file: Targets | undefined,
  before: Targets | undefined,
): Promise<string> {
  const all = rolesBelow(file);
  const { one } = kindBelow(file);
  const names = new Set(below.map((uploaded) => uploaded.role));
  const isLeft = new StandingBins(shelves.crypto, branch, before, file);
  // A reader that finds the delegation must find the role, signed by the keys that it names.
  for (const name of moved ? all : []) {
    if (names.has(name) || delegatesAlike(before, file, name)) continue;
    if (await isLeft.holds(name)) continue;
    throw new IronError('E_DELEGATION', `the ${one} ${name} was not submitted`, {
      why: `${role} delegates to it otherwise than before, or for the first time: it must be signed with it`,
      hint: 'nothing was changed; sign and submit both together',
      context: { role: name },
    });
  }
  const count = all.filter((name) => names.has(name)).length;
  const left = isLeft.count === 0 ? '' : `; ${isLeft.count} that stand hold by its keys already`;
  return `${some(count, one)} of ${all.length}${left}`;
}

/** `E_NOT_AUTHORISED` for a role to which nothing leads, as things will stand. */
async function demandLed({ after }: Examination, kind: Kind, role: string): Promise<void> {
  if ((await after.keys(role)) !== undefined) return;
  const parent = parentRole(role) ?? role;
  throw new IronError('E_NOT_AUTHORISED', `${role} is no ${kind.one} of ${parent}`, {
    why: `no delegation leads to it: ${parent} does not delegate to it, or is delegated to by nobody`,
    context: { role },
  });
}

async function readBelow(
  examination: Examination,
  uploaded: RoleBelow,
): Promise<{ subject: Subject; role: ExaminedRole }> {
  const { submission, shelves, published, after, own } = examination;
  const { role, sha256 } = uploaded;
  const bytes = await readRoleBlob(shelves, submission.vendor, uploaded);
  const subject = await subjectOf(examination, role, parseTargets(bytes, role), bytes.length);
  const keys = await after.keys(role);
  const parent = parentRole(role);
  if (keys === undefined || parent === undefined)
    throw new IronError('E_INTERNAL', `nobody delegates to ${role}`);
  // TAP 15: all bins have the keys of their description; the paths are those of who describes it.
  const { scope } = (parent === submission.vendor
    ? published.delegation(parent)
    : await after.delegation(parent)) ?? { scope: { paths: [] } };
  const delegation: DelegatedRole =
    'name' in keys ? (keys as DelegatedRole) : { ...keys, name: role, terminating: true, scope };
  const above = { parent: await after.read(parent), own };
  const below = { ...subject, delegation, delegationKeys: keys.table, ...above };
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
    if (kind !== BINS || !short.has(`${kind.prefix}: ${name}`)) judgements.add(judged);
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
