/** The rules about what an SBOM lists. */

import type { EvidenceVerdict } from '../evidence.ts';
import { licenceHolds } from '../licences.ts';
import { isPackage, parsePurl } from '../purl.ts';
import type { SbomPackage } from '../sbom.ts';
import type { ComponentRule, LicenceRule, SbomRule } from './rule.ts';
import type { RuleVerdict } from './verdict.ts';

/** Licences and components of the SBOM, and of the bills that statements have in other formats. */
export function judgeSbom(rule: SbomRule, evidence: EvidenceVerdict): RuleVerdict[] {
  const packages = [evidence.sbom, ...evidence.moreBills].flatMap((bill) => bill.packages);
  const { licences, components } = rule;
  return [
    ...(licences === undefined ? [] : [judgeLicences(licences, packages)]),
    ...(components === undefined ? [] : [judgeComponents(components, packages)]),
  ];
}

function judgeLicences(rule: LicenceRule, packages: readonly SbomPackage[]): RuleVerdict {
  // An exception, or `+`, takes nothing from a licence that is denied as such.
  const isTaken = (name: string, licence: string): boolean =>
    !rule.deny.has(name) && !rule.deny.has(licence) && (rule.allow?.has(name) ?? true);
  const refused = packages.flatMap(({ name, licences }) => {
    if (licences.length === 0) return rule.without === 'allow' ? [] : [`${name}: none`];
    // What is no expression of SPDX says nothing that could be taken.
    return licences
      .filter((text) => licenceHolds(text, isTaken) !== true)
      .map((text) => `${name}: ${text.slice(0, 100)}`);
  });
  return {
    rule: 'sbom.licences',
    holds: refused.length === 0,
    what:
      refused.length === 0
        ? `${counted(packages.length, 'has', 'have')} licences that are taken`
        : `${counted(refused.length, 'has', 'have')} no licence that this host takes`,
    evidence: shorten(refused),
    reason: 'licence',
  };
}

function judgeComponents(rule: ComponentRule, packages: readonly SbomPackage[]): RuleVerdict {
  const untold: string[] = [];
  const forbidden: string[] = [];
  for (const { name, purls } of packages) {
    const read = purls.map(parsePurl);
    // What cannot be read may be what is forbidden: only a package that has none may be let through.
    const isUnreadable = rule.forbid.length > 0 && read.includes(undefined);
    const isUnknown = read.length === 0 || read.includes(undefined);
    if (isUnreadable || (isUnknown && rule.without === 'refuse'))
      untold.push(`${name}: no package URL`);
    else if (purls.length > 0) {
      const found = rule.forbid.find(({ purl }) =>
        read.some((one) => one !== undefined && isPackage(purl, one)),
      );
      if (found !== undefined) forbidden.push(`${name}: ${found.text}`);
    }
  }
  const refused = [...forbidden, ...untold];
  const says = [
    ...(forbidden.length === 0 ? [] : [`${counted(forbidden.length, 'is', 'are')} forbidden`]),
    ...(untold.length === 0 ? [] : [`${counted(untold.length, 'has', 'have')} no package URL`]),
  ];
  return {
    rule: 'sbom.forbid',
    holds: refused.length === 0,
    what:
      refused.length === 0 ? `none of ${packages.length} packages is forbidden` : says.join(', '),
    evidence: shorten(refused),
    reason: 'component',
  };
}

function shorten(list: readonly string[]): string {
  const shown = list.slice(0, 4).join('; ');
  return list.length > 4 ? `${shown}; and ${list.length - 4} more` : shown;
}

function counted(count: number, one: string, many: string): string {
  return count === 1 ? `1 package ${one}` : `${count} packages ${many}`;
}
