/** The whole of an audit log, held against the heads that its host signed. */

import type { Crypto } from '../shared/crypto/crypto.ts';
import type { PublicKey } from '../shared/crypto/key.ts';
import { isIronError } from '../shared/errors.ts';
import { type AuditLine, type AuditVerdict, GENESIS, readAudit } from './audit.ts';
import { type AuditHead, unfit, verifyHeads } from './audit-heads.ts';

export interface LogPlaces {
  readonly log: string;
  /** Files of signed heads; one that is not there has none. */
  readonly heads: readonly string[];
  /** The host's audit key; undefined when there is none yet, and then no head counts. */
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
 * the host's or does not follow, and when a head speaks of a line that the log has not or has
 * otherwise: then it was cut off or written anew.
 */
export async function verifyAudit(
  crypto: Crypto,
  { log, heads: files, key }: LogPlaces,
  keep = 0,
): Promise<VerifiedLog> {
  const heads = (
    await Promise.all(files.map((file) => (key === undefined ? [] : headsIn(crypto, file, key))))
  )
    .flat()
    .sort((a, b) => a.seq - b.seq);
  const newest: AuditLine[] = [];
  let next = 0;
  let end: AuditVerdict = { lines: 0, head: GENESIS };
  for await (const { sha256, ...line } of readAudit(log)) {
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

async function headsIn(crypto: Crypto, file: string, key: PublicKey): Promise<AuditHead[]> {
  try {
    return await verifyHeads(crypto, file, key);
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return [];
    throw error;
  }
}
