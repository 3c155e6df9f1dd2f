/** Judges the bins of a submission, one in memory at a time; verdicts are about all of them. */

import type { UploadedRole } from '../../shared/api/upload.ts';
import { IronError } from '../../shared/errors.ts';
import { BIN_LIMITS } from '../../shared/limits.ts';
import { binNames, isBin, type SuccinctRoles } from '../../shared/tuf/delegations.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { binsOf } from './branch.ts';
import { type Check, judge, type Subject, some } from './check.ts';
import { bin } from './checks/bin.ts';
import { blobs } from './checks/blobs.ts';
import { deniedKeys } from './checks/denied-keys.ts';
import { expiry } from './checks/expiry.ts';
import { namespace } from './checks/namespace.ts';
import { sizes } from './checks/sizes.ts';
import { threshold } from './checks/threshold.ts';
import { unchanged } from './checks/unchanged.ts';
import { version } from './checks/version.ts';
import {
  type Examination,
  type ExaminedRole,
  examinedRole,
  readRoleBlob,
  subjectOf,
} from './examine.ts';
import type { Judgements } from './judge-submission.ts';

const CHECKS: readonly (readonly [name: string, check: Check])[] = [
  ['bin', bin],
  ['threshold', threshold],
  ['denied-keys', deniedKeys],
  ['version', version],
  ['expiry', expiry],
  ['namespace', namespace],
  ['sizes', sizes],
  ['unchanged', unchanged],
  ['blobs', blobs],
];

/** Every bin that was submitted. Ends at the first refusal: there may be thousands. */
export async function judgeBins(
  examination: Examination,
  judgements: Judgements,
): Promise<ExaminedRole[]> {
  const { submission, own, moved, seen } = examination;
  const { vendor, bins = [] } = submission;
  const succinct = binsOf(own);
  const complete = judge('bins', () => demandBins(vendor, succinct, bins, moved));
  if (!judgements.add(complete) || succinct === undefined) return [];
  const roles: ExaminedRole[] = [];
  for (const uploaded of bins) {
    let found: { subject: Subject; role: ExaminedRole } | undefined;
    await judgements.lookup(`blob ${uploaded.role}`, async () => {
      found = await readBin(examination, succinct, uploaded);
      return 'is here';
    });
    // What holds is said once, at the end, for all of them.
    if (found !== undefined) judgements.verdicts.pop();
    if (found === undefined || !judgeBin(judgements, found.subject)) return [];
    roles.push(found.role);
    if (seen.size <= BIN_LIMITS.moved) continue;
    judgements.add(judge('bins', () => refuseMoving()));
    return [];
  }
  for (const [name] of CHECKS)
    judgements.add(judge(`bins: ${name}`, () => `holds for ${some(bins.length, 'bin')}`));
  return roles;
}

/** The bins are those of the vendor's role, each once; all of them when they are new. */
function demandBins(
  vendor: string,
  succinct: SuccinctRoles | undefined,
  bins: readonly UploadedRole[],
  moved: boolean,
): string {
  if (succinct === undefined)
    throw new IronError('E_DELEGATION', `${vendor} is not split into bins`, {
      hint: 'nothing was changed; `ironport split` splits it',
    });
  const names = new Set(bins.map(({ role }) => role));
  if (names.size !== bins.length) throw new IronError('E_SCHEMA', 'a bin was submitted twice');
  const foreign = [...names].find((role) => !isBin(succinct, role));
  if (foreign !== undefined)
    throw new IronError('E_NOT_AUTHORISED', `${foreign} is no bin of ${vendor}`);
  // A reader that finds the delegation must find every bin, signed by the keys that it names.
  const missing = moved ? binNames(succinct).find((role) => !names.has(role)) : undefined;
  if (missing !== undefined)
    throw new IronError('E_DELEGATION', `the bin ${missing} was not submitted`, {
      why: `${vendor} delegates to other bins than before, or to other keys: all of them must be signed with it`,
      hint: 'nothing was changed; sign and submit all bins together',
    });
  return `${some(bins.length, 'bin')} of ${2 ** succinct.bitLength}`;
}

async function readBin(
  examination: Examination,
  succinct: SuccinctRoles,
  uploaded: UploadedRole,
): Promise<{ subject: Subject; role: ExaminedRole }> {
  const { submission, shelves, published } = examination;
  const { role, sha256 } = uploaded;
  const bytes = await readRoleBlob(shelves, submission.vendor, uploaded);
  const subject = await subjectOf(examination, role, parseTargets(bytes, role), bytes.length);
  const { scope } = published.delegation(submission.vendor) ?? { scope: { paths: [] } };
  const binned: Subject = {
    ...subject,
    // TAP 15: all bins have the keys of their description; the paths are those of who describes it.
    delegation: { ...succinct, name: role, terminating: true, scope },
    delegationKeys: succinct.table,
    bins: succinct,
  };
  return { subject: binned, role: examinedRole(binned, { sha256, length: bytes.length }) };
}

function judgeBin(judgements: Judgements, subject: Subject): boolean {
  for (const [name, check] of CHECKS) {
    const judged = judge(`bins: ${name}`, () => check(subject));
    if (judged.error !== undefined) return judgements.add(judged);
  }
  return true;
}

function refuseMoving(): string {
  throw new IronError('E_TOO_LARGE', `more than ${BIN_LIMITS.moved} targets would move at once`, {
    hint: 'nothing was changed; keep the number of bins that there is',
  });
}
