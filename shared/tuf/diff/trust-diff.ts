/**
 * The difference that a signature would make, in words: who gains or loses which paths, keys,
 * thresholds and hardware, and until when. Shown before anybody signs, so that what is signed is
 * what was meant. What it does not understand it names all the same.
 */

import type { Crypto } from '../../crypto/crypto.ts';
import { IronError } from '../../errors.ts';
import type { JsonObject } from '../../json/value.ts';
import { METADATA_LIMITS } from '../../limits.ts';
import { formatInstant, formatSpan, type Instant } from '../../time.ts';
import { parseEnvelope } from '../envelope.ts';
import { parseRoot, type Root } from '../root.ts';
import { parseTargets, type Targets } from '../targets.ts';
import { changes, isSame, type TrustChange, warns } from './change.ts';
import { rootDiff } from './root.ts';
import { targetsDiff } from './targets.ts';

/** A file that people sign; snapshot and timestamp are the service's. */
export type RoleFile =
  | { readonly type: 'root'; readonly file: Root }
  | { readonly type: 'targets'; readonly file: Targets };

/** Reads a root or targets file, whichever it is. No signature is looked at. */
export function parseRoleFile(bytes: Uint8Array, name: string): RoleFile {
  const { signed } = parseEnvelope(bytes, METADATA_LIMITS.targets, name);
  const type = signed.get('_type').oneOf('root', 'targets');
  return type === 'root'
    ? { type, file: parseRoot(bytes) }
    : { type, file: parseTargets(bytes, name) };
}

/**
 * What `after` changes against `before`; without `before`, all that it says. `E_USAGE` when they
 * are not two states of one kind of file.
 * @param entries what the targets of `after` are compared with, where that is not what `before`
 *   lists: entries move between the roles of a vendor
 */
export function trustDiff(
  crypto: Crypto,
  before: RoleFile | undefined,
  after: RoleFile,
  now: Instant,
  entries?: JsonObject,
): TrustChange[] {
  if (before !== undefined && before.type !== after.type) {
    throw new IronError(
      'E_USAGE',
      `a ${after.type} file cannot be compared with a ${before.type} file`,
    );
  }
  const said =
    after.type === 'root'
      ? rootDiff(crypto, before?.file as Root | undefined, after.file)
      : targetsDiff(crypto, before?.file as Targets | undefined, after.file, entries);
  return [...said, ...commonDiff(before, after, now)];
}

function commonDiff(before: RoleFile | undefined, after: RoleFile, now: Instant): TrustChange[] {
  const { version, expires } = after.file;
  const old = before?.file;
  const list: TrustChange[] = [];
  if (old === undefined) list.push(changes(`it is version ${version}`));
  else if (isSame(old.envelope.tree, after.file.envelope.tree)) return [];
  else list.push(changes(`it is version ${version}, after version ${old.version}`));
  if (old !== undefined && version !== old.version + 1)
    list.push(warns(`version ${version} does not follow version ${old.version}`));

  const until = `it is valid until ${formatInstant(expires)}`;
  if (old === undefined) list.push(changes(until));
  else if (old.expires !== expires)
    list.push(changes(`${until}, where it was ${formatInstant(old.expires)}`));
  if (expires <= now) list.push(warns(`it expired ${formatSpan(now - expires)} ago`));
  return list;
}

const MARK = { gains: '+', loses: '-', changes: '~', warns: '!' } as const;

/** One line a change, each with a mark. Names in it come from the file: none can add a line. */
export function diffText(list: readonly TrustChange[]): string {
  if (list.length === 0) return '  = nothing changes';
  return list.map(({ effect, text }) => `  ${MARK[effect]} ${oneLine(text)}`).join('\n');
}

function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
