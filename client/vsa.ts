/**
 * Verification summaries of this host, with everything that the verdict rests on in a file beside
 * them: the pinned root, the hand-over record, the sidecars and the policy. A replay runs the same
 * verification over that file, at the time of then, and compares.
 */

import { dirname, join } from 'node:path';
import { equalBytes, fromBase64, toBase64, toHex, utf8 } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import type { PublicKey } from '../shared/crypto/key.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import { parseHostPolicy } from '../shared/evidence/policy/host-policy.ts';
import { openPolicy, parseFleetKeys } from '../shared/evidence/policy/signed-policy.ts';
import {
  DEFAULT_POLICY_URI,
  type Summary,
  signSummary,
  summaryPredicate,
  verifySummary,
} from '../shared/evidence/vsa.ts';
import { formatRecord, parseRecord, verifyRecord } from '../shared/handoff/record.ts';
import { canonicalText } from '../shared/json/canonical.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { jsonObject } from '../shared/json/value.ts';
import { store as layout, type Sidecar, sidecarOf, sidecarPath } from '../shared/layout.ts';
import { HANDOFF_LIMITS } from '../shared/limits.ts';
import { systemClock } from '../shared/node/clock.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { ensurePrivateFolder } from '../shared/node/folders.ts';
import type { LoadedPolicy } from '../shared/node/host-policy.ts';
import { loadFileSigner } from '../shared/node/signers/file.ts';
import { openSigner } from '../shared/node/signers/uri.ts';
import { writeNewKey } from '../shared/node/signers/write-key.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { keyId } from '../shared/tuf/key.ts';
import { type SidecarFile, verifyArtifact } from '../shared/verify/artifact.ts';
import { NO_FLOORS } from '../shared/verify/floors.ts';
import type { FoundTarget } from '../shared/verify/workflow.ts';
import { makeRecord } from './handoff/write.ts';
import type { Repository } from './repository.ts';
import type { FolderStore } from './store/folder.ts';
import type { VerifiedTarget } from './verify-target.ts';

const SCHEMA = 'ironport.vsa-inputs/v1';

/** Where the inputs lie, beside the summary. */
export function inputsPath(summary: string): string {
  return `${summary}.inputs.json`;
}

/** The key `given`, or the one of this store, which is made at first need. */
export async function hostSigner(
  store: FolderStore,
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Signer> {
  if (given !== undefined) return openSigner(given, { passphraseFile: undefined, env });
  const path = join(store.folder, layout.hostKey);
  try {
    return await loadFileSigner(path);
  } catch (error) {
    if (!(error instanceof IronError) || error.code !== 'E_NOT_FOUND') throw error;
  }
  await ensurePrivateFolder(dirname(path));
  await writeNewKey(path, 'ed25519', { created: systemClock() });
  return await loadFileSigner(path);
}

export interface WriteSummary {
  readonly repository: Repository;
  readonly verified: VerifiedTarget;
  readonly loaded: LoadedPolicy | undefined;
  readonly signer: Signer;
  readonly out: string;
}

/** Writes the inputs, then the summary that names them by digest. */
export async function writeSummary(options: WriteSummary): Promise<void> {
  const { repository, verified, loaded, signer, out } = options;
  const { crypto } = repository;
  const inputs = await formatInputs(repository, verified, loaded);
  const digest = toHex(crypto.sha256(inputs));
  const { verdict } = verified;
  const summary: Summary = {
    artifact: verdict,
    verdict: verdict.policy,
    time: verified.time,
    policy: policyOf(loaded),
    inputs: inputsOf(crypto, verdict.path, verified.sidecars, digest),
  };
  const bytes = await signSummary(summary, { signer, keyid: keyId(crypto, signer.key) });
  await writeFileAtomic(inputsPath(out), inputs);
  await writeFileAtomic(out, bytes);
}

function policyOf(loaded: Pick<LoadedPolicy, 'path' | 'sha256'> | undefined): Summary['policy'] {
  if (loaded === undefined) return { uri: DEFAULT_POLICY_URI, sha256: undefined };
  return { uri: `file://${encodeURI(loaded.path)}`, sha256: loaded.sha256 };
}

function inputsOf(
  crypto: Crypto,
  path: string,
  sidecars: ReadonlyMap<Sidecar, SidecarFile>,
  inputs: string,
): Summary['inputs'] {
  const beside = [...sidecars].map(([sidecar, { bytes }]) => ({
    uri: sidecarPath(path, sidecar),
    sha256: toHex(crypto.sha256(bytes)),
  }));
  return [...beside, { uri: SCHEMA, sha256: inputs }];
}

async function formatInputs(
  { store, maxStale }: Repository,
  verified: VerifiedTarget,
  loaded: LoadedPolicy | undefined,
): Promise<Uint8Array> {
  const sidecars = [...verified.sidecars].map(
    ([sidecar, { bytes }]) => [sidecar, toBase64(bytes)] as const,
  );
  const policy =
    loaded === undefined
      ? null
      : {
          path: loaded.path,
          file: toBase64(loaded.file),
          fleet_keys: loaded.fleetKeys === undefined ? null : toBase64(loaded.fleetKeys),
        };
  const document = {
    schema: SCHEMA,
    time: formatInstant(verified.time),
    max_stale_seconds: maxStale,
    root: toBase64(await store.pinnedRoot()),
    record: toBase64(formatRecord(makeRecord(verified))),
    sidecars: jsonObject(sidecars),
    policy,
  };
  return utf8(`${JSON.stringify(document)}\n`);
}

export interface Replayed {
  readonly path: string;
  readonly sha256: string;
  readonly time: Instant;
  readonly result: string;
  readonly rules: Summary['verdict'];
}

/**
 * Verifies the signature of a summary by the host's `key`, and judges its recorded inputs again.
 * Throws `E_HASH` when the inputs are not those of the summary, `E_NO_PIN` when they begin at
 * another root than `root`, `E_EVIDENCE` (disagree) when the verdict comes out differently, and
 * whatever the verification throws.
 */
export function replaySummary(
  crypto: Crypto,
  bytes: Uint8Array,
  inputs: Uint8Array,
  key: PublicKey,
  root?: Uint8Array,
): Replayed {
  const signed = verifySummary(crypto, bytes, key);
  const digest = toHex(crypto.sha256(inputs));
  const named = signed.predicate.get('inputAttestations').items();
  const isNamed = named.some((item) => {
    return item.get('digest').maybe('sha256')?.value === digest;
  });
  if (!isNamed) {
    throw new IronError('E_HASH', 'the inputs are not those that the summary names', {
      why: `no input attestation has the SHA-256 ${digest}`,
      hint: 'give the file that was written beside the summary',
      context: { actual: digest },
    });
  }
  const again = judgeAgain(crypto, inputs, digest, root);
  const expected = canonicalText(summaryPredicate(again));
  if (
    signed.subject.sha256 !== again.artifact.sha256 ||
    canonicalText(signed.predicate.value) !== expected
  ) {
    throw new IronError('E_EVIDENCE', 'judged again, the verdict is another one', {
      why: 'the same inputs do not lead to what the summary says',
      hint: 'the summary is wrong, or was made by another version of this program',
      context: { reason: 'disagree' },
    });
  }
  const { path, sha256 } = again.artifact;
  const result = signed.predicate.get('verificationResult').string();
  return { path, sha256, time: again.time, result, rules: again.verdict };
}

function judgeAgain(
  crypto: Crypto,
  bytes: Uint8Array,
  digest: string,
  root: Uint8Array | undefined,
): Summary {
  const node = new Node(parseJson(bytes, { length: 4 * HANDOFF_LIMITS.record }), 'inputs');
  node.only('schema', 'time', 'max_stale_seconds', 'root', 'record', 'sidecars', 'policy');
  node.get('schema').oneOf(SCHEMA);
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
  const { policy, uri } = policyAgain(crypto, node.get('policy'));
  const { trusted, artifact, revocations } = verified;
  const verdict = verifyArtifact(crypto, {
    ...{ trusted, artifact, sidecars, revocations, policy },
    showsRefusals: true,
  });
  return {
    artifact: { path: verdict.path, sha256: verdict.sha256 },
    verdict: verdict.policy,
    time,
    policy: uri,
    inputs: inputsOf(crypto, verdict.path, sidecars, digest),
  };
}

function policyAgain(
  crypto: Crypto,
  node: Node,
): { policy: ReturnType<typeof parseHostPolicy> | undefined; uri: Summary['policy'] } {
  if (node.value === null) return { policy: undefined, uri: policyOf(undefined) };
  node.only('path', 'file', 'fleet_keys');
  const keys = node.get('fleet_keys');
  const fleet = keys.value === null ? undefined : parseFleetKeys(fromBase64(keys.string()));
  const { bytes } = openPolicy(crypto, fromBase64(node.get('file').string()), fleet);
  const sha256 = toHex(crypto.sha256(bytes));
  const path = node.get('path').string();
  return { policy: parseHostPolicy(bytes), uri: policyOf({ path, sha256 }) };
}
