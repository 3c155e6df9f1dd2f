/**
 * What a host notes about the targets file that it verified in full, so that a refresh which finds
 * the same bytes again need not read them. A note lets nothing in: whoever wants a word of the file
 * has it verified as if there were no note (ADR 0013).
 */

import { toHex, utf8 } from '../bytes.ts';
import { keyIdentity } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { STORE_LIMITS } from '../limits.ts';
import { formatInstant, type Instant } from '../time.ts';
import { verifyMetaFile } from '../tuf/meta-file.ts';
import type { TrustedMetadata } from './trusted.ts';

export interface TargetsNote {
  readonly version: number;
  readonly expires: Instant;
  /** SHA-256 of the file as it is stored. */
  readonly sha256: string;
  /** Which keys it was verified by, as a digest. */
  readonly signers: string;
}

const SCHEMA = 'ironport.targets-note/v1';

/** Undefined for a note that cannot be read: it is worth a little time and nothing else. */
export function parseNote(bytes: Uint8Array): TargetsNote | undefined {
  try {
    const node = new Node(parseJson(bytes, { length: STORE_LIMITS.note }), 'note');
    node.only('schema', 'version', 'expires', 'sha256', 'signers').get('schema').oneOf(SCHEMA);
    return {
      version: node.get('version').integer(1),
      expires: node.get('expires').instant(),
      sha256: toHex(node.get('sha256').hex(32)),
      signers: toHex(node.get('signers').hex(32)),
    };
  } catch (error) {
    if (error instanceof IronError) return undefined;
    throw error;
  }
}

export function formatNote({ version, expires, sha256, signers }: TargetsNote): Uint8Array {
  const note = { schema: SCHEMA, version, expires: formatInstant(expires), sha256, signers };
  return utf8(`${JSON.stringify(note)}\n`);
}

/**
 * The note about the stored targets file, if that is the one which the snapshot names, verified by
 * the keys that the root has now, and unexpired: then its bytes may be left unread.
 */
export function hopefulNote(trusted: TrustedMetadata): TargetsNote | undefined {
  const note = trusted.targetsNote;
  if (note === undefined || note.version !== trusted.metaFile('targets').version) return undefined;
  return note.signers === signersDigest(trusted) && note.expires > trusted.now ? note : undefined;
}

/** Whether these stored bytes are what was noted; nobody has to read them now, then. */
export function isNoted(trusted: TrustedMetadata, bytes: Uint8Array): boolean {
  const note = hopefulNote(trusted);
  if (note === undefined || toHex(trusted.crypto.sha256(bytes)) !== note.sha256) return false;
  verifyMetaFile(trusted.crypto, bytes, trusted.metaFile('targets'), 'targets'); // TUF 5.6.2
  trusted.leaveUnread();
  return true;
}

/** What to note of a targets file that was verified in this run, from its bytes. */
export function noteOf(trusted: TrustedMetadata, bytes: Uint8Array): TargetsNote | undefined {
  const targets = trusted.targets('targets');
  if (targets === undefined) return undefined;
  const { version, expires } = targets;
  const sha256 = toHex(trusted.crypto.sha256(bytes));
  return { version, expires, sha256, signers: signersDigest(trusted) };
}

/** Of everything in the root that decides whether a signature on targets counts. */
function signersDigest({ root, crypto }: TrustedMetadata): string {
  const { keyids, threshold } = root.roles.targets;
  const signers = keyids.map((keyid) => {
    const key = root.keys.get(keyid)?.publicKey;
    return [keyid, key === undefined ? null : keyIdentity(key)];
  });
  return toHex(crypto.sha256(utf8(JSON.stringify([threshold, ...signers]))));
}
