/** How verdicts look: for people as a table of checks, for programs as data. */

import { table } from '../../shared/cli/table.ts';
import type { PolicyVerdict } from '../../shared/evidence/policy/verdict.ts';
import { formatInstant } from '../../shared/time.ts';
import { formatHardwareId } from '../../shared/tuf/hardware-id.ts';
import { shortKeyId } from '../../shared/tuf/key.ts';
import type { Check } from '../../shared/verify/check.ts';
import type { StaleFile, TrustedMetadata } from '../../shared/verify/trusted.ts';
import type { VerifiedTarget } from '../verify-target.ts';

/** The part of every verdict that `--json` carries. */
export function verdictData({ verdict, checks, notChecked, stale }: VerifiedTarget): object {
  return {
    path: verdict.path,
    length: verdict.length,
    sha256: verdict.sha256,
    vendor: verdict.vendor.name,
    roles: verdict.chain,
    generation: verdict.ceiling.generation,
    devices: verdict.ceiling.devices.map(({ vendor, device }) =>
      formatHardwareId({ bus: 'PCI', vendor, device }),
    ),
    versions: Object.fromEntries(verdict.versions),
    fresh_until: formatInstant(verdict.freshUntil),
    stale: staleData(stale),
    policy: policyData(verdict.policy),
    checks: checks.map(checkData),
    not_checked: notChecked,
  };
}

export function staleData(stale: readonly StaleFile[]): object[] {
  return stale.map(({ role, version, expires }) => ({
    role,
    version,
    expires: formatInstant(expires),
  }));
}

/** What was built on by leave, said as a date: how long ago that is, the checks say. */
export function staleText({ role, expires }: StaleFile): string {
  return `its ${role} expired on ${formatInstant(expires).slice(0, 10)}, and is built on all the same`;
}

export function policyData({ epoch, policy, namespace, level, rules }: PolicyVerdict): object {
  return {
    epoch,
    version: policy,
    namespace,
    slsa_build_level: level,
    rules: rules.map(({ rule, holds, what, evidence }) => ({ rule, holds, what, evidence })),
  };
}

export function checkData({ rule, what, keys, version }: Check): object {
  return { rule, what, keys: keys ?? [], version: version ?? null };
}

/** One line a check, then what was not checked. */
export function verdictText({ verdict, checks, notChecked, stale }: VerifiedTarget): string {
  return [
    table(checks.map(checkRow)),
    ...notChecked.map((what) => `not checked: ${what}`),
    `verified: ${verdict.path}, ${verdict.length} bytes`,
    `  sha256 ${verdict.sha256}`,
    stale.length > 0
      ? `  by leave: ${stale.map(staleText).join('; ')}`
      : `  this verdict is good until ${formatInstant(verdict.freshUntil)}`,
  ].join('\n');
}

export function checkRow({ rule, what, keys = [] }: Check): string[] {
  const names = keys.map((key) => key.replace(/\b[0-9a-f]{64}\b/, (keyid) => shortKeyId(keyid)));
  return ['ok', rule, names.length === 0 ? what : `${what}, by ${names.join(', ')}`];
}

/** The top-level roles after a refresh, by name. */
export function rolesOf(
  trusted: TrustedMetadata,
): { readonly role: string; readonly version: number; readonly expires: number }[] {
  const files = [
    ['root', trusted.root],
    ['timestamp', trusted.timestamp],
    ['snapshot', trusted.anySnapshot],
    ['targets', trusted.targets('targets') ?? trusted.unread],
  ] as const;
  return files.flatMap(([role, file]) =>
    file === undefined ? [] : [{ role, version: file.version, expires: file.expires }],
  );
}
