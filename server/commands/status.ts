/** `status`: what the tree of a repository says, read on the machine itself. */

import { join } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { data } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { formatInstant, formatSpan, type Instant } from '../../shared/time.ts';
import { TOP_LEVEL_ROLES } from '../../shared/tuf/names.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { CurrentTree, type Published } from '../storage/published.ts';
import { runningService } from './hand-in.ts';

export const status: CommandSpec = {
  name: 'status',
  summary: 'show roles, versions, expiries and vendors of a repository',
  options: [DIR_OPTION],
  examples: ['ironport-repo status --dir repo-data'],
  schema: 'ironport-repo/status/v1',
  async run(context) {
    const home = homeOf(context);
    const published = await new CurrentTree(join(home, data.tree), platformCrypto).need();
    const service = await runningService(home);
    const now = systemClock();
    const roles = TOP_LEVEL_ROLES.map((role) => ({
      role,
      version: published[role].version,
      expires: formatInstant(published[role].expires),
      expired: published[role].expires <= now,
      threshold: published.root.roles[role].threshold,
      keys: published.root.roles[role].keyids,
    }));
    const vendors = await vendorsOf(published, now);
    const rows = [
      ...roles.map(({ role, version, threshold, keys }) => [
        role,
        String(version),
        validity(published[role].expires, now),
        `${threshold} of ${keys.length} keys`,
      ]),
      ...vendors.map(({ vendor, version, targets }) => [
        vendor,
        String(version),
        vendorValidity(vendors, vendor, now),
        `${targets} targets`,
      ]),
    ];
    const expired = roles.some((role) => role.expired);
    return {
      data: {
        home,
        service: service?.url ?? null,
        roles,
        vendors: vendors.map(({ until: _until, ...vendor }) => vendor),
      },
      text: [
        table([['ROLE', 'VERSION', 'VALID', ''], ...rows]),
        service === undefined ? 'no service runs' : `served at ${service.url}`,
      ].join('\n'),
      ...(expired ? { exit: 11 } : {}),
    };
  },
};

interface VendorStatus {
  readonly vendor: string;
  readonly version: number;
  readonly targets: number;
  readonly expires: string | null;
  readonly expired: boolean;
  readonly until: Instant | undefined;
}

async function vendorsOf(published: Published, now: Instant): Promise<VendorStatus[]> {
  const list: VendorStatus[] = [];
  for (const { name } of published.delegations?.roles ?? []) {
    const file = (await published.role(name))?.targets;
    const until = file?.expires;
    list.push({
      vendor: name,
      version: published.version(name),
      targets: file?.paths().length ?? 0,
      expires: until === undefined ? null : formatInstant(until),
      expired: until !== undefined && until <= now,
      until,
    });
  }
  return list;
}

function vendorValidity(vendors: readonly VendorStatus[], name: string, now: Instant): string {
  const until = vendors.find(({ vendor }) => vendor === name)?.until;
  return until === undefined ? 'nothing published yet' : validity(until, now);
}

function validity(expires: Instant, now: Instant): string {
  return expires <= now
    ? `EXPIRED ${formatSpan(now - expires)} ago`
    : `for ${formatSpan(expires - now)}`;
}
