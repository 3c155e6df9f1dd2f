/** `scanner`: the program that looks at bytes before they may be published. */

import { access, constants } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { SCANNER_LIMITS } from '../../shared/limits.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { runScanner } from '../intake/scan/run.ts';
import {
  demandScanner,
  loadScanner,
  removeScanner,
  type ScannerSetting,
  saveScanner,
} from '../storage/scanner.ts';

export const scannerSet: CommandSpec = {
  name: 'scanner set',
  summary: 'have a program look at new bytes before they are taken in',
  description:
    'The program is run without a shell over the new files of each submission that passed every other check, their absolute paths after its own words. It ends with 0 when it found nothing and with 1 when it found something, as those of ClamAV do; in any other case nothing is taken in. Write -- before the program, so that its options are its own. The rule is written into the folder and holds at once, also for a service that runs.',
  arguments: [
    { name: 'program', description: 'an absolute path' },
    {
      name: 'words',
      description: 'what it is told before the files',
      variadic: true,
      optional: true,
    },
  ],
  options: [
    DIR_OPTION,
    {
      flags: '--seconds <n>',
      description: `how long it may look at one submission, at most ${SCANNER_LIMITS.mostSeconds}`,
      default: String(SCANNER_LIMITS.seconds),
    },
  ],
  examples: [
    'ironport-repo scanner set --dir repo-data -- /usr/bin/clamdscan --fdpass --no-summary --infected',
  ],
  schema: 'ironport-repo/scanner-set/v1',
  async run(context) {
    const setting = demandScanner({
      program: context.args[0] as string,
      words: context.rest,
      seconds: context.number('seconds', 1) ?? SCANNER_LIMITS.seconds,
    });
    // Said now and not to the first vendor.
    await onPath(setting.program, () => access(setting.program, constants.X_OK), 'E_NOT_FOUND');
    await saveScanner(homeOf(context), setting);
    return {
      data: { ...setting },
      text: `from now on ${setting.program} looks at what is handed in; \`ironport-repo scanner try FILE\` shows how`,
    };
  },
};

export const scannerShow: CommandSpec = {
  name: 'scanner show',
  summary: 'show which program looks at new bytes',
  description: 'Reads only.',
  options: [DIR_OPTION],
  examples: ['ironport-repo scanner show --dir repo-data'],
  schema: 'ironport-repo/scanner-show/v1',
  async run(context) {
    const setting = await loadScanner(homeOf(context));
    return {
      data: { scanner: setting === undefined ? null : { ...setting } },
      text:
        setting === undefined
          ? 'no program looks at what is handed in'
          : `${commandOf(setting)} FILE…, for ${setting.seconds} s at most`,
    };
  },
};

export const scannerOff: CommandSpec = {
  name: 'scanner off',
  summary: 'have no program look at new bytes any more',
  options: [DIR_OPTION],
  examples: ['ironport-repo scanner off --dir repo-data'],
  schema: 'ironport-repo/scanner-off/v1',
  async run(context) {
    await removeScanner(homeOf(context));
    return { data: { scanner: null }, text: 'no program looks at what is handed in from now on' };
  },
};

export const scannerTry: CommandSpec = {
  name: 'scanner try',
  summary: 'run the scanner over files, as for what is handed in',
  description:
    'For whoever set it up: with a file that it must find, and with one that it must not. Takes nothing in. Exit status 16 when it found something, 6 when it could not look.',
  arguments: [{ name: 'file', description: 'what it is to look at', variadic: true }],
  options: [DIR_OPTION],
  examples: ['ironport-repo scanner try eicar.com --dir repo-data'],
  schema: 'ironport-repo/scanner-try/v1',
  async run(context) {
    const setting = await needScanner(homeOf(context));
    const files = context.rest.map((file) => resolve(file));
    for (const file of files) await onPath(file, () => access(file), 'E_NOT_FOUND');
    const { found, output } = await runScanner(setting, files, context.signal);
    return {
      data: { found, output },
      text: [
        `${commandOf(setting)}: ${found ? 'found something, and it would be refused' : 'found nothing'}`,
        ...(output.trim() === '' ? [] : [output.trim()]),
      ].join('\n'),
      ...(found ? { exit: 16 } : {}),
    };
  },
};

/** `E_NOTHING_TO_DO` where none is named. */
export async function needScanner(home: string): Promise<ScannerSetting> {
  const setting = await loadScanner(home);
  if (setting !== undefined) return setting;
  throw new IronError('E_NOTHING_TO_DO', 'no program looks at what is handed in', {
    hint: 'nothing was changed; `ironport-repo scanner set` names one',
  });
}

function commandOf({ program, words }: ScannerSetting): string {
  return [program, ...words].join(' ');
}
