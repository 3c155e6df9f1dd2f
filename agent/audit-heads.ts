/**
 * Signed heads of the audit log: from time to time the host's audit key signs how long the log is
 * and what its newest line hashes to. They lie in a file of their own, which may be on another disk
 * or machine, so that a log whose end was cut off, or that was written anew from some point on, no
 * longer fits what was signed. Each head carries the hash of the one before it.
 */

import { createHash } from 'node:crypto';
import { toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import type { PublicKey } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { compactJson } from '../shared/evidence/compact.ts';
import { parseEnvelope, signEnvelope, verifyEnvelope } from '../shared/evidence/dsse.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { type Clock, formatInstant, type Instant } from '../shared/time.ts';
import { keyId } from '../shared/tuf/key.ts';
import { type Audit, type AuditEnd, GENESIS, sha256 } from './audit.ts';
import { appendLines, lineBefore, linesOf, readTail } from './line-file.ts';

/** DSSE: signed as a head, and not as anything else that a host signs. */
export const AUDIT_HEAD_PAYLOAD_TYPE = 'application/vnd.ironport.audit-head+json';
const SCHEMA = 'ironport-agent.audit-head/v1';

/** What is signed. */
export interface AuditHead extends AuditEnd {
  readonly at: Instant;
  /** SHA-256 of the head before it, as the whole line; zeros for the first. */
  readonly previous: string;
}

const DIGEST = /^[0-9a-f]{64}$/;

/** The head in one line, whoever signed it. `E_JSON`, `E_SCHEMA`. */
export function parseAuditHead(bytes: Uint8Array): AuditHead {
  const { payload, payloadType } = parseEnvelope(bytes, 'head', AGENT_LIMITS.auditHead);
  if (payloadType !== AUDIT_HEAD_PAYLOAD_TYPE) {
    throw new IronError('E_SCHEMA', 'what is signed is no head of an audit log', {
      why: `its payload type is not ${AUDIT_HEAD_PAYLOAD_TYPE}`,
    });
  }
  const node = new Node(parseJson(payload, { length: AGENT_LIMITS.auditHead }), 'head');
  node.only('schema', 'lines', 'bytes', 'sha256', 'at', 'previous').get('schema').oneOf(SCHEMA);
  return {
    seq: node.get('lines').integer(1),
    bytes: node.get('bytes').integer(1),
    sha256: node.get('sha256').matching(DIGEST, 'a SHA-256'),
    at: node.get('at').instant(),
    previous: node.get('previous').matching(DIGEST, 'a SHA-256'),
  };
}

export class AuditHeads {
  readonly path: string;
  readonly #audit: Audit;
  readonly #clock: Clock;
  readonly #crypto: Crypto;
  readonly #signer: () => Promise<Signer>;

  constructor(
    path: string,
    of: { audit: Audit; clock: Clock; crypto: Crypto; signer: () => Promise<Signer> },
  ) {
    this.path = path;
    this.#audit = of.audit;
    this.#clock = of.clock;
    this.#crypto = of.crypto;
    this.#signer = of.signer;
  }

  /** The newest head; undefined when none was signed. Its signature is not looked at. */
  async newest(): Promise<AuditHead | undefined> {
    const { line } = await readTail(this.path, AGENT_LIMITS.auditHead);
    return line === undefined ? undefined : parseHeadLine(line, this.path);
  }

  /**
   * Signs where the log ends, if there is something new; when it is only `due`, after so many lines
   * or so long. A log that the newest head does not fit is not signed over. The caller holds the lock.
   */
  async sign(when: 'now' | 'due' = 'now'): Promise<void> {
    const [end, newest] = [await this.#audit.end(), await this.newest()];
    if (end.seq === 0 || end.seq === newest?.seq) return;
    if (when === 'due' && newest !== undefined && !this.#isDue(end, newest)) return;
    await this.requireSound();
    const signer = await this.#signer();
    await appendLines(this.path, AGENT_LIMITS.auditHead, async ({ line }) => [
      await this.#format(end, line === undefined ? GENESIS : sha256(line), signer),
    ]);
  }

  #isDue(end: AuditEnd, { seq, at }: AuditHead): boolean {
    const { auditHeadLines, auditHeadSeconds } = AGENT_LIMITS;
    return end.seq - seq >= auditHeadLines || this.#clock() - at >= auditHeadSeconds;
  }

  async #format(end: AuditEnd, previous: string, signer: Signer): Promise<Uint8Array> {
    const at = formatInstant(this.#clock());
    const { seq: lines, bytes, sha256: digest } = end;
    const payload = compactJson({ schema: SCHEMA, lines, bytes, sha256: digest, at, previous });
    const keyid = keyId(this.#crypto, signer.key);
    return await signEnvelope(AUDIT_HEAD_PAYLOAD_TYPE, payload, [{ signer, keyid }]);
  }

  /**
   * Whether the log still holds what the newest head says of it, at a cost that does not grow with
   * the log. `E_STORE` when it was cut off, or written anew; `audit verify` reads all of it.
   */
  async requireSound(): Promise<void> {
    const head = await this.newest();
    if (head === undefined) return;
    const line = await lineBefore(this.#audit.path, head.bytes, AGENT_LIMITS.auditLine).catch(
      (error) => {
        if (isIronError(error, 'E_NOT_FOUND')) return undefined;
        throw error;
      },
    );
    if (line === undefined) throw unfit(head, 'truncated');
    if (sha256(line) !== head.sha256) throw unfit(head, 'rewritten');
  }
}

/** The log is not the one that was signed. */
export function unfit(head: AuditHead, reason: 'truncated' | 'rewritten'): IronError {
  const what = `its line ${head.seq} was signed at ${formatInstant(head.at)}`;
  return new IronError('E_STORE', `the audit log is not the one that this host signed`, {
    why: `${what}, and ${reason === 'truncated' ? 'the log ends before it' : 'it has another one there'}`,
    hint: 'the log was cut off, or goes back to an older copy; keep it as it is, compare it with an export, and bind nothing here before that is understood',
    context: { reason, line: head.seq },
  });
}

/**
 * Every head in a file, in order, each signed by `key` and following from the one before it.
 * `E_STORE` at the first that is not; `E_NOT_FOUND` when there is no such file.
 */
export async function verifyHeads(
  crypto: Crypto,
  path: string,
  key: PublicKey,
): Promise<AuditHead[]> {
  const heads: AuditHead[] = [];
  let previous = GENESIS;
  for await (const line of linesOf(path, AGENT_LIMITS.auditHead)) {
    const head = parseHeadLine(line, path);
    const number = heads.length + 1;
    try {
      verifyEnvelope(crypto, parseEnvelope(line), [key], 1);
    } catch (cause) {
      throw badHead(path, number, `it is not signed by ${toHex(key.bytes).slice(0, 16)}…`, cause);
    }
    if (head.previous !== previous)
      throw badHead(path, number, 'it does not carry the hash of the head before it');
    const before = heads.at(-1);
    if (before !== undefined && (head.seq <= before.seq || head.bytes <= before.bytes))
      throw badHead(path, number, 'it is about a shorter log than the head before it');
    heads.push(head);
    previous = createHash('sha256').update(line).digest('hex');
  }
  return heads;
}

function badHead(path: string, number: number, why: string, cause?: unknown): IronError {
  return new IronError('E_STORE', `the signed heads of the audit log are broken at ${number}`, {
    why,
    hint: 'this head or the one before was changed, taken out or put in; compare with a copy',
    ...(cause === undefined ? {} : { cause }),
    context: { reason: 'broken-heads', path, head: number },
  });
}

function parseHeadLine(line: Uint8Array, path: string): AuditHead {
  try {
    return parseAuditHead(line);
  } catch (cause) {
    throw new IronError('E_STORE', `a line of ${path} is no head of an audit log`, {
      why: cause instanceof Error ? cause.message : String(cause),
      cause,
      context: { reason: 'broken-heads', path },
    });
  }
}
