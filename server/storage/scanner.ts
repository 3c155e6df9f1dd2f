/**
 * The operators' scanner: a program that looks at bytes before they may be published. A file in the
 * service's private folder, like the rule for reviews: it holds at once, and after a restart.
 */

import { rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { SCANNER_LIMITS } from '../../shared/limits.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { readPrivate } from './private-file.ts';

export interface ScannerSetting {
  /** An absolute path, and words before those of the files. */
  readonly program: string;
  readonly words: readonly string[];
  /** How long it may look at one submission. */
  readonly seconds: number;
}

const SCHEMA = 'ironport.scanner/v1';
const FILE = 262_144;

/** What the folder says; undefined for no scanner. A damaged file is `E_STORE`, never "none". */
export async function loadScanner(home: string): Promise<ScannerSetting | undefined> {
  return await readPrivate(join(home, data.scanner), FILE, (node) => {
    node.only('schema', 'program', 'words', 'seconds').get('schema').oneOf(SCHEMA);
    return demandScanner({
      program: node.get('program').string(),
      words: node
        .get('words')
        .items(SCANNER_LIMITS.words)
        .map((word) => word.string()),
      seconds: node.get('seconds').integer(1),
    });
  });
}

/** `E_CONFIG` for what could not be run, or would be found otherwise by each who runs it. */
export function demandScanner(setting: ScannerSetting): ScannerSetting {
  const { program, words, seconds } = setting;
  const refuse = (what: string, why: string): never => {
    throw new IronError('E_CONFIG', what, { why, hint: 'nothing was changed' });
  };
  if (!isAbsolute(program))
    refuse('the scanner is named by an absolute path', `${program} depends on who looks for it`);
  const whole = [program, ...words];
  if (whole.length > SCANNER_LIMITS.words)
    refuse('the command has too many words', `at most ${SCANNER_LIMITS.words} are taken`);
  if (whole.some((word) => word.length > SCANNER_LIMITS.word || word.includes('\0')))
    refuse('a word of the command is too long', `at most ${SCANNER_LIMITS.word} characters`);
  if (seconds < 1 || seconds > SCANNER_LIMITS.mostSeconds)
    refuse(
      'it may take from 1 to 150 seconds',
      'whoever hands something in waits for it, and no program waits for ever',
    );
  return setting;
}

export async function saveScanner(home: string, setting: ScannerSetting): Promise<void> {
  await ensurePrivateFolder(join(home, data.private));
  await writeFileAtomic(join(home, data.scanner), formatScanner(setting), { mode: 0o600 });
}

/** What is handed in from now on is looked at by no program. */
export async function removeScanner(home: string): Promise<void> {
  await rm(join(home, data.scanner), { force: true });
}

export function formatScanner({ program, words, seconds }: ScannerSetting): Uint8Array {
  return utf8(`${JSON.stringify({ schema: SCHEMA, program, words, seconds })}\n`);
}
