/**
 * The list of what a backup holds. A line that names its own length and digest, then one JSON
 * object a line: the first says of what the backup is, each further one is a file. The files' bytes
 * follow in the same order, so that a backup is written and read in one go, however large it is.
 */

import { z } from 'zod';
import { utf8 } from '../../shared/bytes.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import { data, tree } from '../../shared/layout.ts';
import { BACKUP_LIMITS } from '../../shared/limits.ts';
import { parseInstant } from '../../shared/time.ts';
import { parseVendorName } from '../../shared/tuf/names.ts';
import { decodeRoleFile } from '../storage/role-files.ts';

export const BACKUP_SCHEMA = 'ironport.backup/v1';

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const version = count.min(1);

const about = z.strictObject({
  schema: z.literal(BACKUP_SCHEMA),
  /** When it was made, by the clock of the machine; freshness was judged by it. */
  created: z.string(),
  root: version,
  timestamp: version,
  snapshot: version,
  files: count,
  bytes: count,
});
export type BackupAbout = z.infer<typeof about>;

const file = z.strictObject({
  path: z.string(),
  length: count,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type BackupFile = z.infer<typeof file>;

/** The line before the list. */
export function formatHead(length: number, sha256: string): Uint8Array {
  return utf8(`ironport-backup 1 ${length} ${sha256}\n`);
}

export interface BackupHead {
  /** Bytes of this line, its end included. */
  readonly size: number;
  readonly length: number;
  readonly sha256: string;
}

/** The head at the beginning of `bytes`. `E_SCHEMA` when it is none of ours. */
export function parseHead(bytes: Uint8Array): BackupHead {
  const text = Buffer.from(bytes).toString('latin1');
  const match = /^ironport-backup 1 (0|[1-9]\d{0,14}) ([0-9a-f]{64})\n/.exec(text);
  if (match === null) throw refused('it does not begin as a backup does');
  const length = Number(match[1]);
  if (length > BACKUP_LIMITS.manifest) throw refused('its list is too long');
  return { size: match[0].length, length, sha256: match[2] as string };
}

export function formatLine(value: BackupAbout | BackupFile): Uint8Array {
  return utf8(`${JSON.stringify(value)}\n`);
}

export function parseAbout(line: Uint8Array): BackupAbout {
  const found = parseLine(about, line);
  parseInstant(found.created);
  return found;
}

export function parseFile(line: Uint8Array): BackupFile {
  const found = parseLine(file, line);
  if (!isAllowed(found.path)) throw refused(`a backup has no ${JSON.stringify(found.path)}`);
  return found;
}

function parseLine<T>(schema: z.ZodType<T>, line: Uint8Array): T {
  const result = schema.safeParse(readLine(line));
  if (result.success) return result.data;
  throw refused('a line of its list does not have the form that it must have');
}

function readLine(line: Uint8Array): unknown {
  try {
    return parseJson(line, { length: BACKUP_LIMITS.line });
  } catch (error) {
    if (isIronError(error, 'E_JSON', 'E_TOO_LARGE')) throw refused(error.message);
    throw error;
  }
}

/** What is taken by its digest alone, because no signature of the repository covers it. */
export function isUnsigned(path: string): boolean {
  return !path.startsWith(`${data.tree}/`);
}

/** A closed set of places (invariant 3); each is looked at once more when it is written. */
function isAllowed(path: string): boolean {
  if ([data.database, data.reviewPolicy, data.scanner, data.holds].some((one) => one === path))
    return true;
  const [suspended, vendor = ''] = path.split(`${data.suspendedFolder}/`);
  if (suspended === '') return parseVendorName(vendor) === vendor;
  if (!path.startsWith(`${data.tree}/`)) return false;
  const inTree = path.slice(data.tree.length + 1);
  if (inTree === tree.imported) return true;
  if (inTree === tree.timestamp || decodeRoleFile(inTree) !== undefined) return true;
  const segments = inTree.split('/');
  return (
    (segments[0] === tree.targetsFolder || segments[0] === tree.collectedFolder) &&
    segments.length > 1 &&
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
    segments.every((one) => one !== '' && one !== '.' && one !== '..' && !/[\\\u0000]/.test(one))
  );
}

/** `E_STORE`: whatever is wrong with a backup, nothing of it is taken. */
export function refused(why: string): IronError {
  return new IronError('E_STORE', 'this backup cannot be used', {
    why,
    hint: 'nothing was changed; take another backup, or make one again',
  });
}
