/** What the real client says about a tree now, expiry included, role by role. */

import type { Crypto } from '../../../shared/crypto/crypto.ts';
import { asIronError, isIronError } from '../../../shared/errors.ts';
import { revocations } from '../../../shared/layout.ts';
import type { Clock } from '../../../shared/time.ts';
import { BranchWalk } from '../../../shared/tuf/branch-walk.ts';
import type { Published } from '../../storage/published.ts';
import { type ExpectedRole, preflight } from '../preflight.ts';
import type { Findings } from './findings.ts';

/** Roles that one client is asked about. */
const TOGETHER = 128;

export interface AsClient {
  readonly folder: string;
  readonly findings: Findings;
  readonly crypto: Crypto;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Every role that is delegated to. */
export async function askClient(options: AsClient, published: Published): Promise<void> {
  const { folder, findings, crypto, clock, signal } = options;
  const vendors = (published.delegations?.roles ?? [])
    .map(({ name }) => name)
    .filter((name) => name !== revocations.role && published.version(name) > 0);
  const found = findings.all.length;
  const input = { crypto, clock, layers: [folder], published };
  await findings.guard('tree', () => preflight({ ...input, roles: [], renewsRevocations: true }));
  // What a client refuses before it comes to any vendor is one finding.
  if (findings.all.length > found) return;
  // One vendor's expiry is one finding, and so is that of one role below it.
  const roles: ExpectedRole[] = [];
  for (const vendor of vendors) {
    const read = async (role: string) =>
      (await findings.guard(role, () => published.role(role)))?.targets;
    roles.push({ vendor, role: vendor, fresh: [] });
    await findings.guard(vendor, async () => {
      for await (const role of new BranchWalk(crypto, vendor, read).names()) {
        signal?.throwIfAborted();
        roles.push({ vendor, role, fresh: [] });
      }
    });
  }
  for (let at = 0; at < roles.length; at += TOGETHER)
    await askAbout(options, published, roles.slice(at, at + TOGETHER));
}

/** Many roles with one client; when one is refused, each by itself, to know which. */
async function askAbout(
  { folder, findings, crypto, clock }: AsClient,
  published: Published,
  some: readonly ExpectedRole[],
): Promise<void> {
  const check = (roles: readonly ExpectedRole[]): Promise<void> =>
    preflight({ crypto, clock, layers: [folder], published, roles });
  try {
    await check(some);
  } catch (error) {
    if (!isIronError(error) || error.code === 'E_INTERNAL') throw asIronError(error);
    for (const one of some) await findings.guard(one.role, () => check([one]));
  }
}
