/**
 * Everything that one repository's verdict rests on, in one document: the pinned root, the
 * hand-over record, the sidecars. To judge it is to run the same verification again, at the time of then.
 */

import { equalBytes, fromBase64, toBase64, toHex } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';
import type { HostPolicy } from '../../shared/evidence/policy/host-policy.ts';
import { openPolicy, parseFleetKeys } from '../../shared/evidence/policy/signed-policy.ts';
import { DEFAULT_POLICY_URI, type Summary } from '../../shared/evidence/vsa.ts';
import { formatRecord, parseRecord, verifyRecord } from '../../shared/handoff/record.ts';
import type { Node } from '../../shared/json/decode.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { type Sidecar, sidecarOf, sidecarPath } from '../../shared/layout.ts';
import type { LoadedPolicy } from '../../shared/node/host-policy.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import {
  type ArtifactVerdict,
  type SidecarFile,
  verifyArtifact,
} from '../../shared/verify/artifact.ts';
import { NO_FLOORS } from '../../shared/verify/floors.ts';
import type { FoundTarget } from '../../shared/verify/workflow.ts';
import { makeRecord } from '../handoff/write.ts';
import type { Repository } from '../repository.ts';
import type { VerifiedTarget } from '../verify-target.ts';

/** A policy as it was judged by, and how the summary names it. */
export interface PolicyAgain {
  readonly policy: HostPolicy | undefined;
  readonly uri: Summary['policy'];
}

/** One repository's part, judged again. */
export interface JudgedInputs {
  readonly verdict: ArtifactVerdict;
  readonly artifact: FoundTarget;
  readonly sidecars: ReadonlyMap<Sidecar, SidecarFile>;
  /** The root at the end of the chain. */
  readonly root: ReturnType<typeof verifyRecord>['trusted']['root'];
  readonly time: Instant;
}

/** The names of the fields that `formatInputs` writes. */
export const INPUT_FIELDS = ['time', 'max_stale_seconds', 'root', 'record', 'sidecars'] as const;

export async function formatInputs(
  { store, maxStale }: Repository,
  verified: VerifiedTarget,
): Promise<JsonObject> {
  const sidecars = [...verified.sidecars].map(
    ([sidecar, { bytes }]) => [sidecar, toBase64(bytes)] as const,
  );
  return jsonObject([
    ['time', formatInstant(verified.time)],
    ['max_stale_seconds', maxStale],
    ['root', toBase64(await store.pinnedRoot())],
    ['record', toBase64(formatRecord(makeRecord(verified)))],
    ['sidecars', jsonObject(sidecars)],
  ]);
}

/**
 * Verifies one repository's part again. `E_NO_PIN` when it begins at another root than `root`, and
 * whatever the verification throws.
 */
export function judgeInputs(
  crypto: Crypto,
  node: Node,
  policy: PolicyAgain['policy'],
  root: Uint8Array | undefined,
): JudgedInputs {
  const pinned = fromBase64(node.get('root').string());
  if (root !== undefined && !equalBytes(root, pinned)) {
    throw new IronError('E_NO_PIN', 'the summary begins at another root than the one given', {
      hint: 'nothing was changed; ask which repository the host had pinned',
    });
  }
  const time = node.get('time').instant();
  const record = parseRecord(fromBase64(node.get('record').string()));
  const maxStale = node.get('max_stale_seconds').integer(0);
  const verified = verifyRecord(record, {
    ...{ crypto, now: time, maxStale, root: pinned, floors: NO_FLOORS },
  });
  const files = node.get('sidecars');
  const sidecars = new Map<Sidecar, SidecarFile>();
  for (const [i, file] of record.sidecars.entries()) {
    const sidecar = sidecarOf(file.path)?.sidecar;
    if (sidecar === undefined) throw node.error(`${file.path} is no sidecar`);
    const found = verified.sidecars[i] as FoundTarget;
    sidecars.set(sidecar, { found, bytes: fromBase64(files.get(sidecar).string()) });
  }
  const { trusted, artifact, revocations } = verified;
  const verdict = verifyArtifact(crypto, {
    ...{ trusted, artifact, sidecars, revocations, policy },
    showsRefusals: true,
  });
  return { verdict, artifact, sidecars, root: trusted.root, time };
}

export function formatPolicy(loaded: LoadedPolicy | undefined): JsonObject | null {
  if (loaded === undefined) return null;
  const { path, file, fleetKeys } = loaded;
  return jsonObject([
    ['path', path],
    ['file', toBase64(file)],
    ['fleet_keys', fleetKeys === undefined ? null : toBase64(fleetKeys)],
  ]);
}

/** The policy that a document carries, opened by the keys that it carries. */
export function policyAgain(crypto: Crypto, node: Node): PolicyAgain {
  if (node.value === null) return { policy: undefined, uri: policyOf(undefined) };
  node.only('path', 'file', 'fleet_keys');
  const keys = node.get('fleet_keys');
  const fleet = keys.value === null ? undefined : parseFleetKeys(fromBase64(keys.string()));
  const { policy, bytes } = openPolicy(crypto, fromBase64(node.get('file').string()), fleet);
  const sha256 = toHex(crypto.sha256(bytes));
  const path = node.get('path').string();
  return { policy, uri: policyOf({ path, sha256 }) };
}

export function policyOf(
  loaded: Pick<LoadedPolicy, 'path' | 'sha256'> | undefined,
): Summary['policy'] {
  if (loaded === undefined) return { uri: DEFAULT_POLICY_URI, sha256: undefined };
  return { uri: `file://${encodeURI(loaded.path)}`, sha256: loaded.sha256 };
}

/** What a summary names as judged: the sidecars, and the document of inputs by its schema. */
export function inputsOf(
  crypto: Crypto,
  path: string,
  sidecars: ReadonlyMap<Sidecar, SidecarFile>,
  document: { readonly schema: string; readonly sha256: string },
): Summary['inputs'] {
  const beside = [...sidecars].map(([sidecar, { bytes }]) => ({
    uri: sidecarPath(path, sidecar),
    sha256: toHex(crypto.sha256(bytes)),
  }));
  return [...beside, { uri: document.schema, sha256: document.sha256 }];
}
