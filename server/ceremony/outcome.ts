/** What a ceremony came to: where its parts lie, how far they are signed, and who is next. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandResult } from '../../shared/cli/command.ts';
import { isIronError } from '../../shared/errors.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { formatInstant } from '../../shared/time.ts';
import { isComplete, standingText } from '../../shared/tuf/standing.ts';
import { type CeremonyFiles, formatCeremonyFile, readCeremony } from './ceremony-file.ts';
import { demandFree, writeSigned, writeTogether } from './files.ts';
import { type CeremonyStanding, ceremonyStanding } from './round.ts';

/** Where each part lies. */
export interface Places {
  /** The one file of all, if there is one. */
  readonly file: string | undefined;
  readonly root: string;
  readonly targets: string;
  readonly list: string;
  readonly role: string;
}

export function inOne(file: string): Places {
  return { file, root: file, targets: file, list: file, role: file };
}

/** `E_EXISTS` when something is where a ceremony is to be written: better heard before anybody signs. */
export async function demandRoom(out: string): Promise<void> {
  if (out.endsWith('.json')) return await demandFree(out);
  for (const name of ['root', 'targets', 'list', 'revocations'])
    await demandFree(join(out, `1.${name}.json`)).catch((error) => {
      // The folder is made.
      if (!isIronError(error, 'E_NOT_FOUND')) throw error;
    });
}

/** Writes everything into one file NAME.json, or each part into a folder. `E_EXISTS`. */
export async function writeCeremony(out: string, files: CeremonyFiles): Promise<Places> {
  if (out.endsWith('.json')) {
    await writeSigned(out, formatCeremonyFile(files));
    return inOne(out);
  }
  await onPath(out, () => mkdir(out, { recursive: true }));
  const at = (name: string): string => join(out, name);
  const places = {
    file: undefined,
    ...{ root: at('1.root.json'), targets: at('1.targets.json') },
    ...{ list: at('1.list.json'), role: at('1.revocations.json') },
  };
  const { list, revocations } = files;
  await writeTogether([
    [places.root, files.root],
    [places.targets, files.targets],
    ...(list === undefined ? [] : [[places.list, list] as const]),
    ...(revocations === undefined ? [] : [[places.role, revocations] as const]),
  ]);
  return places;
}

export function resultOf(
  places: Places,
  files: CeremonyFiles,
  trust: readonly string[],
): CommandResult {
  const { root, targets } = readCeremony(files);
  const standing = ceremonyStanding(files);
  const { list } = standing;
  return {
    data: {
      root: {
        file: places.root,
        signatures: standing.root,
        expires: formatInstant(root.expires),
      },
      targets: {
        file: places.targets,
        signatures: standing.targets,
        expires: formatInstant(targets.expires),
      },
      revocations:
        list === undefined
          ? null
          : {
              list: files.list === undefined ? null : places.list,
              role: files.revocations === undefined ? null : places.role,
              ...list,
            },
      trust,
    },
    text: (places.file === undefined
      ? apart(places, files, standing)
      : together(places.file, standing)
    ).join('\n'),
  };
}

/** What each of several files still needs. */
function apart(places: Places, files: CeremonyFiles, standing: CeremonyStanding): string[] {
  const lines = (['root', 'targets'] as const).flatMap((role) => {
    const [path, signed] = [places[role], standing[role]];
    return [
      standingText(signed),
      isComplete(signed)
        ? `${path} is complete; \`ironport-repo submit ${path}\` publishes it`
        : `${path} needs more: \`ironport-repo sign ${path} --key KEY\` on another signer's machine`,
    ];
  });
  const { list } = standing;
  if (list === undefined) return lines;
  if (files.list === undefined)
    return [
      ...lines,
      'no key of the security team is here: `ironport-repo revocations new` makes the first list',
    ];
  if (list.have < list.need)
    return [
      ...lines,
      `${places.list} has ${list.have} of the ${list.need} signatures needed by the security team: \`ironport-repo revocations sign\` on another signer's machine`,
    ];
  return [
    ...lines,
    standing.isListed
      ? `${places.list} and ${places.role} are complete; they are submitted together with the targets`
      : `${places.list} is complete; \`ironport-repo revocations renew\` on the renewal machine lists it`,
  ];
}

/** What the one file still needs, and whom it goes to next. */
function together(path: string, { root, targets, list, isListed }: CeremonyStanding): string[] {
  const counted = [standingText([...root, ...targets])];
  if (list !== undefined)
    counted.push(`${list.have} of the ${list.need} signatures needed by the security team`);
  const isSigned =
    isComplete([...root, ...targets]) && (list === undefined || list.have >= list.need);
  if (isSigned && (list === undefined || isListed))
    return [...counted, `${path} is complete; \`ironport-repo submit ${path}\` publishes it`];
  const next = isSigned ? 'the renewal machine' : "the next signer's machine";
  return [
    ...counted,
    `${path} needs more: \`ironport-repo ceremony --in ${path} --key KEY\` on ${next}`,
  ];
}
