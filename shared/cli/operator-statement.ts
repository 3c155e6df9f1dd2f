/**
 * Statements that operators of a fleet sign one after another: a file that is bare at first, and an
 * envelope of DSSE with one more signature after each of them.
 */

import { IronError } from '../errors.ts';
import {
  type EnvelopeSignature,
  parseEnvelope,
  signEnvelope,
  writeEnvelope,
} from '../evidence/dsse.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { platformCrypto } from '../node/crypto.ts';
import { readFileCapped, writeFileAtomic } from '../node/files.ts';
import { openSigner } from '../node/signers/uri.ts';
import { keyId } from '../tuf/key.ts';
import type { CommandContext, OptionSpec } from './command.ts';
import { PASSPHRASE_OPTION, passphraseSource } from './secret.ts';

/** The options of every command by which an operator signs such a statement. */
export const OPERATOR_SIGNS: readonly OptionSpec[] = [
  { flags: '-k, --key <file>', description: 'key file of the operator', required: true },
  { flags: '-o, --out <file>', description: 'file to write', required: true },
  PASSPHRASE_OPTION,
];

export interface StatementKind {
  readonly payloadType: string;
  /** For people: `policy`. */
  readonly what: string;
  /** Most bytes of the file. */
  readonly limit: number;
  /** The payload of a file that nobody signed yet; throws when it is none. */
  begin(bytes: Uint8Array): Uint8Array;
}

export interface OpenStatement {
  readonly payload: Uint8Array;
  /** Signatures that it has already: for those who take it to judge, and not judged here. */
  readonly before: readonly EnvelopeSignature[];
}

/** Reads a statement, bare or in an envelope. `E_SCHEMA` when the envelope holds another kind. */
export async function readStatement(path: string, kind: StatementKind): Promise<OpenStatement> {
  const { payloadType, what, limit } = kind;
  const bytes = await readFileCapped(path, limit);
  const node = new Node(parseJson(bytes, { length: limit }), what);
  if (node.maybe('payloadType') === undefined) return { payload: kind.begin(bytes), before: [] };
  const envelope = parseEnvelope(bytes, what);
  if (envelope.payloadType !== payloadType) {
    throw new IronError('E_SCHEMA', `the envelope holds no ${what}`, {
      why: `its payload type is not ${payloadType}`,
      hint: 'nothing was signed',
    });
  }
  return { payload: envelope.payload, before: envelope.signatures };
}

export interface SignedStatement {
  readonly out: string;
  readonly keyid: string;
  /** How many there are now, each of another key id. */
  readonly signatures: number;
}

/** Signs with the key of `--key`, in place of a signature that it gave before, and writes `--out`. */
export async function signStatement(
  context: CommandContext,
  { payloadType }: StatementKind,
  { payload, before }: OpenStatement,
): Promise<SignedStatement> {
  const signer = await openSigner(context.need('key'), passphraseSource(context));
  const keyid = keyId(platformCrypto, signer.key);
  const own = await signEnvelope(payloadType, payload, [{ signer, keyid }]);
  const others = before.filter((signature) => signature.keyid !== keyid);
  const signatures = [...others, ...parseEnvelope(own).signatures];
  const out = context.need('out');
  await writeFileAtomic(out, writeEnvelope({ payloadType, payload, signatures }));
  return { out, keyid, signatures: signatures.length };
}

/** `FILE has 2 signatures`. */
export function signedWords({ out, signatures }: SignedStatement): string {
  return `${out} has ${signatures} signature${signatures === 1 ? '' : 's'}`;
}
