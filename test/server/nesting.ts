/** Nested roles as a vendor's program signs and hands them in. */

import { BATCH_TYPE, formatBatch } from '../../shared/api/blob-batch.ts';
import {
  SUBMISSION_SCHEMA,
  type SubmissionReply,
  submissionReply,
} from '../../shared/api/upload.ts';
import { toBase64, toHex, utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import {
  delegationTree,
  formatMetadata,
  keyTable,
  sign,
  targetsTree,
} from '../../shared/tuf/build.ts';
import type { TestArtifact } from '../support/repository.ts';
import { type Caller, call } from './support.ts';

export const sha256 = (bytes: Uint8Array): string => toHex(crypto.sha256(bytes));

/** A role to delegate to. */
export interface Nested {
  readonly name: string;
  readonly paths: readonly string[];
  readonly signers: readonly Signer[];
  readonly threshold?: number;
}

export function nestedIn(roles: readonly Nested[], change: JsonObject = {}): JsonObject {
  return jsonObject([
    [
      'keys',
      keyTable(
        crypto,
        roles.flatMap(({ signers }) => signers.map(({ key }) => key)),
      ),
    ],
    [
      'roles',
      roles.map(({ name, paths, signers, threshold = signers.length }) => {
        const keys = signers.map(({ key }) => key);
        const tree = delegationTree(crypto, name, { keys, threshold }, paths, true);
        return jsonObject([...Object.entries(tree), ...Object.entries(change)]);
      }),
    ],
  ]);
}

export interface NestedChange {
  readonly expires: number;
  readonly signers: readonly Signer[];
  readonly delegations?: JsonObject | undefined;
  readonly extra?: JsonObject | undefined;
}

/** The file of a nested role. */
export async function nestedFile(
  version: number,
  artifacts: readonly TestArtifact[],
  { expires, signers, delegations, extra }: NestedChange,
): Promise<Uint8Array> {
  const targets = new Map(artifacts.flatMap(({ entries }) => [...entries]));
  const tree = targetsTree(version, expires, { targets, delegations, extra });
  return formatMetadata(tree, await sign(crypto, tree, signers));
}

/** Uploads the files of the roles below, hands all in together and waits for the end. */
export async function submitNested(
  caller: Caller,
  vendor: string,
  own: Uint8Array | undefined,
  nested: readonly (readonly [role: string, bytes: Uint8Array])[],
): Promise<SubmissionReply> {
  const { id } = await handInBelow(caller, vendor, own, { kind: 'nested', roles: nested });
  return await caller.ended(id);
}

/** Roles below a vendor's own: all nested, or all bins. */
export interface BelowFiles {
  readonly kind: 'nested' | 'bins';
  readonly roles: readonly (readonly [role: string, bytes: Uint8Array])[];
}

/** The same without waiting: what the service answers first. */
export async function handInBelow(
  caller: Caller,
  vendor: string,
  own: Uint8Array | undefined,
  { kind, roles }: BelowFiles,
): Promise<SubmissionReply> {
  const files = new Map(roles.map(([, bytes]) => [sha256(bytes), bytes]));
  if (files.size > 0) {
    const body = formatBatch([...files].map(([digest, bytes]) => ({ sha256: digest, bytes })));
    const type = { 'content-type': BATCH_TYPE };
    const headers = await caller.headers('POST', api.blobs, type, body);
    const { status } = await call(caller.url, 'POST', api.blobs, headers, body);
    if (status !== 200) throw new Error(`a batch: ${status}`);
  }
  const document = {
    schema: SUBMISSION_SCHEMA,
    role: vendor,
    ...(own === undefined ? {} : { metadata: toBase64(own) }),
    ...(roles.length === 0
      ? {}
      : { [kind]: roles.map(([role, bytes]) => ({ role, sha256: sha256(bytes) })) }),
  };
  const answer = await caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
  if (answer.status !== 202) throw new Error(answer.body.toString());
  return submissionReply.parse(JSON.parse(answer.body.toString()));
}
