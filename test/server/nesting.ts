/** Nested roles as a vendor's program signs and hands them in. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkTree } from '../../server/publish/fsck.ts';
import { loadPublished } from '../../server/storage/published.ts';
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
import { DAY } from '../../shared/time.ts';
import {
  delegationTree,
  formatMetadata,
  keyTable,
  sign,
  targetsTree,
} from '../../shared/tuf/build.ts';
import { isBinName } from '../../shared/tuf/nested.ts';
import { testKey } from '../support/keys.ts';
import { signedRole, type TestArtifact, testArtifact, testVendor } from '../support/repository.ts';
import { type Caller, call, clientOf, type Running } from './support.ts';

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

export const ACME = testVendor('acme');
export const WIFI: Nested = {
  name: 'acme.wifi',
  paths: ['acme/wifi*/*/*'],
  signers: [testKey('wifi 1'), testKey('wifi 2')],
};

/** A vendor as these tests have it: what it signs and hands in, and what comes of it. */
export function asked(it: Running, vendor = ACME, caller = it.caller) {
  const expires = it.clock.now + 30 * DAY;
  const own = (
    version: number,
    artifacts: readonly TestArtifact[],
    nested: readonly Nested[] = [],
    change = {},
  ) =>
    signedRole(vendor, version, artifacts, {
      expires,
      delegations: nested.length === 0 ? undefined : nestedIn(nested),
      ...change,
    } as never);
  const below = async (
    { name, signers }: Nested,
    version: number,
    artifacts: readonly TestArtifact[],
    change: Partial<NestedChange> = {},
  ) => [name, await nestedFile(version, artifacts, { expires, signers, ...change })] as const;
  type Below = Awaited<ReturnType<typeof below>>;
  const submit = async (file: Uint8Array | undefined, ...roles: Below[]): Promise<string> => {
    const { state, error, verdicts } = await submitNested(caller, vendor.name, file, roles);
    const failed = verdicts.find(({ ok }) => !ok)?.check;
    return state === 'published' ? state : `${error?.code} by ${failed}`;
  };
  const artifact = (path: string, change = {}) =>
    testArtifact(vendor, path, undefined, { now: it.clock.now, ...change });
  const find = async (path: string): Promise<readonly string[] | undefined> => {
    const root = new Uint8Array(await readFile(join(it.home, 'tree/metadata/1.root.json')));
    return (await clientOf(it.home, it.clock, root).find(path))?.chain;
  };
  const snapshot = async (role: string): Promise<number> =>
    (await loadPublished(join(it.home, 'tree'), crypto))?.version(role) ?? 0;
  const findings = async () =>
    (await checkTree(join(it.home, 'tree'), { crypto, clock: it.clock.read })).findings;
  return { expires, own, below, submit, artifact, find, snapshot, findings };
}

/** Uploads the files of the roles below, hands all in together and waits for the end. */
export async function submitNested(
  caller: Caller,
  vendor: string,
  own: Uint8Array | undefined,
  nested: readonly (readonly [role: string, bytes: Uint8Array])[],
): Promise<SubmissionReply> {
  const { id } = await handInBelow(caller, vendor, own, { roles: nested });
  return await caller.ended(id);
}

/** Roles below a vendor's own: nested ones, bins, or both. */
export interface BelowFiles {
  readonly roles: readonly (readonly [role: string, bytes: Uint8Array])[];
}

/** The same without waiting: what the service answers first. */
export async function handInBelow(
  caller: Caller,
  vendor: string,
  own: Uint8Array | undefined,
  { roles }: BelowFiles,
): Promise<SubmissionReply> {
  const files = new Map(roles.map(([, bytes]) => [sha256(bytes), bytes]));
  if (files.size > 0) {
    const body = formatBatch([...files].map(([digest, bytes]) => ({ sha256: digest, bytes })));
    const type = { 'content-type': BATCH_TYPE };
    const headers = await caller.headers('POST', api.blobs, type, body);
    const { status } = await call(caller.url, 'POST', api.blobs, headers, body);
    if (status !== 200) throw new Error(`a batch: ${status}`);
  }
  const named = (field: string, is: (one: (typeof roles)[number]) => boolean): object => {
    const some = roles.filter(is).map(([role, bytes]) => ({ role, sha256: sha256(bytes) }));
    return some.length === 0 ? {} : { [field]: some };
  };
  const document = {
    schema: SUBMISSION_SCHEMA,
    role: vendor,
    ...(own === undefined ? {} : { metadata: toBase64(own) }),
    ...named('nested', ([role]) => !isBinName(role)),
    ...named('bins', ([role]) => isBinName(role)),
  };
  const answer = await caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
  if (answer.status !== 202) throw new Error(answer.body.toString());
  return submissionReply.parse(JSON.parse(answer.body.toString()));
}
