/** The whole of an audit log, held against the heads that its host signed. */

import type { Crypto } from '../shared/crypto/crypto.ts';
import type { PublicKey } from '../shared/crypto/key.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { type AuditLine, type AuditVerdict, GENESIS, type ReadLine, readAudit } from './audit.ts';
import { type AuditHead, unfit, verifyHeads } from './audit-heads.ts';

export interface LogPlaces {
  readonly log: string;
  /** Where the signed heads of the log are. */
  readonly heads: string;
  /** Files of heads that were kept elsewhere: whoever names one means that it has some. */
  readonly kept?: readonly string[];
  /** The host's audit key; undefined on a host that has signed nothing yet. */
  readonly key: PublicKey | undefined;
}

export interface VerifiedLog extends AuditVerdict {
  /** The newest lines, oldest first. */
  readonly newest: readonly AuditLine[];
  /** How many heads were verified, over all files. */
  readonly heads: number;
  /** The one that covers the most; undefined when none was signed. */
  readonly covered: AuditHead | undefined;
}

/**
 * Reads the log once. `E_STORE` when a line does not follow from the one before it, when a head is not
 * the host's or does not follow, when there is a key and nothing that it signed, and when a head speaks
 * of a line that the log has not or has otherwise: then it was cut off or written anew. `E_NOT_FOUND`
 * for heads that were named and are not there, or without a key to verify them by; and on a host without
 * key, heads and log.
 */
export async function verifyAudit(
  crypto: Crypto,
  places: LogPlaces,
  keep = 0,
): Promise<VerifiedLog> {
  const { log } = places;
  const heads = await loadHeads(crypto, places);
  const newest: AuditLine[] = [];
  let next = 0;
  let end: AuditVerdict = { lines: 0, head: GENESIS };
  for await (const { sha256, ...line } of linesIn(log, heads)) {
    for (; heads[next]?.seq === line.seq; next++) {
      const head = heads[next] as AuditHead;
      if (head.sha256 !== sha256) throw unfit(head, 'rewritten');
    }
    end = { lines: line.seq, head: sha256 };
    newest.push(line);
    if (newest.length > keep) newest.shift();
  }
  const missing = heads[next];
  if (missing !== undefined) throw unfit(missing, 'truncated');
  return { ...end, newest, heads: heads.length, covered: heads.at(-1) };
}

/** Every head there is, by the lines that it covers. */
async function loadHeads(
  crypto: Crypto,
  { heads: own, kept = [], key }: LogPlaces,
): Promise<AuditHead[]> {
  if (key === undefined) {
    if (kept.length === 0) return [];
    throw new IronError('E_NOT_FOUND', 'there is no key to verify these heads by', {
      why: 'this host has no audit key, and the heads were signed by one',
      hint: 'nothing was changed; name the public key that was noted: --key FILE. Where this host had one, its state was wiped or is another one',
      context: { reason: 'no-audit-key', path: kept[0] ?? '' },
    });
  }
  const found = await Promise.all([
    verifyHeads(crypto, own, key).catch((error): AuditHead[] => {
      if (isIronError(error, 'E_NOT_FOUND')) return [];
      throw error;
    }),
    ...kept.map(async (file) => {
      const heads = await verifyHeads(crypto, file, key);
      if (heads.length === 0) throw noHeads(file);
      return heads;
    }),
  ]);
  const heads = found.flat().sort((a, b) => a.seq - b.seq);
  // The key is made to sign the first of them.
  if (heads.length === 0) throw noHeads(own);
  return heads;
}

function noHeads(path: string): IronError {
  return new IronError('E_STORE', `there are no signed heads in ${path}`, {
    why: 'there is a key that signs them, so that there were some, and the end of the log could have been cut off',
    hint: 'nothing was changed; where they are kept elsewhere, name the file: --heads FILE, or IRONPORT_AGENT_AUDIT_HEADS as for the other commands. Else find out who took them away; only where the very first command was cut short the next one signs the log',
    context: { reason: 'no-heads', path },
  });
}

/** The log's lines; a log that is gone was cut off, when something was signed about it. */
async function* linesIn(log: string, heads: readonly AuditHead[]): AsyncGenerator<ReadLine> {
  try {
    yield* readAudit(log);
  } catch (error) {
    const [first] = heads;
    if (first !== undefined && isIronError(error, 'E_NOT_FOUND')) throw unfit(first, 'truncated');
    throw error;
  }
}
