/**
 * Everything by which a real repository comes about, with test keys in the place of people: roots
 * and targets of the operators, roles and artifacts of vendors. Every part can be bent, so that
 * tests can make what must be refused.
 */

import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { BUILD_TYPES, BUILDERS } from '../../shared/evidence/identifiers.ts';
import { buildEvidenceKeys, ROLE_FIELD } from '../../shared/evidence/keys.ts';
import { makeEvidence } from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { data, SIDECARS, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { LIFETIMES } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadFileSigner, makeKeyFile } from '../../shared/node/signers/file.ts';
import type { Instant } from '../../shared/time.ts';
import {
  delegationTree,
  formatMetadata,
  keyTable,
  rootTree,
  sign,
  targetEntry,
  targetsTree,
  withFields,
} from '../../shared/tuf/build.ts';
import { parseHardwareId } from '../../shared/tuf/hardware-id.ts';
import { RETENTION_FIELD, type Retention, retentionField } from '../../shared/tuf/retention.ts';
import { EXTENSION_FIELD, vendorsField } from '../../shared/tuf/vendors.ts';
import { TODAY } from './clock.ts';
import { type TestKey, testKey } from './keys.ts';

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');

/** The ceiling of `examples/edu`. */
export const EDU_CEILING: JsonObject = {
  devices: [{ vendor: '0x1234', device: '0x11e8' }],
  bars: [{ index: 0, offset_bytes: '0x0', length_bytes: '0x1000', access: 'read-write' }],
  ports: [],
  interrupts: { kind: 'msi', vectors: 1, per_second_budget: 1000 },
  dma: { mask_bits: 28, total_bytes: '0x10000', windows_max: 1, direction: 'bidirectional' },
  abi: { min: 1, max: 1 },
  generation: 1,
};

/** The keys of a service and of its operators. */
export interface Operators {
  readonly root: readonly TestKey[];
  readonly targets: readonly TestKey[];
  readonly snapshot: readonly Signer[];
  readonly timestamp: readonly Signer[];
}

/** A vendor with its three lists of keys. */
export interface TestVendor {
  readonly name: string;
  readonly tuf: readonly TestKey[];
  readonly threshold: number;
  readonly evidence: TestKey;
  readonly api: TestKey;
  readonly hardwareIds: readonly string[];
}

export function testVendor(name: string, change: Partial<TestVendor> = {}): TestVendor {
  return {
    name,
    tuf: [testKey(`${name} tuf 1`), testKey(`${name} tuf 2`)],
    threshold: 2,
    evidence: testKey(`${name} evidence`),
    api: testKey(`${name} api`),
    hardwareIds: ['PCI:0x1234'],
    ...change,
  };
}

/** Puts an online key into the service's folder as `private/keys/<name>.json`, and opens it. */
export async function installOnlineKey(home: string, name: string): Promise<Signer> {
  const folder = join(home, data.onlineKeys);
  const path = join(folder, `${name}.json`);
  await mkdir(folder, { recursive: true });
  await writeFile(path, (await makeKeyFile('ed25519')).file, { mode: 0o600 });
  return await loadFileSigner(path);
}

/** Operators with root 2 of 3 and targets 1 of 1, whose online keys lie in `home`. */
export async function testOperators(home: string): Promise<Operators> {
  return {
    root: [testKey('root 1'), testKey('root 2'), testKey('root 3')],
    targets: [testKey('targets 1')],
    snapshot: [await installOnlineKey(home, 'snapshot')],
    timestamp: [await installOnlineKey(home, 'timestamp')],
  };
}

export interface FileChange {
  readonly expires?: Instant;
  /** Who signs, in the place of those who should. */
  readonly signers?: readonly Signer[];
}

/** A root file. `previous` signs too, as TUF 5.3.4 demands when the keys of root change. */
export async function signedRoot(
  operators: Operators,
  version = 1,
  change: FileChange & { readonly previous?: Operators } = {},
): Promise<Uint8Array> {
  const keys = (signers: readonly Signer[]) => signers.map(({ key }) => key);
  const tree = rootTree(platformCrypto, version, change.expires ?? TODAY + LIFETIMES.root, {
    root: { keys: keys(operators.root), threshold: 2 },
    targets: { keys: keys(operators.targets), threshold: 1 },
    snapshot: { keys: keys(operators.snapshot), threshold: 1 },
    timestamp: { keys: keys(operators.timestamp), threshold: 1 },
  });
  const signers = change.signers ?? [
    ...operators.root.slice(0, 2),
    ...(change.previous?.root.slice(0, 2) ?? []),
  ];
  return formatMetadata(tree, await sign(platformCrypto, tree, signers));
}

/** The operators' targets, which admit these vendors. */
export async function signedTargets(
  operators: Operators,
  version = 1,
  vendors: readonly TestVendor[] = [],
  change: FileChange & {
    readonly targets?: ReadonlyMap<string, JsonObject>;
    readonly paths?: (vendor: string) => readonly string[];
    readonly retention?: Retention | undefined;
  } = {},
): Promise<Uint8Array> {
  const paths = change.paths ?? ((name: string) => [`${name}/*/*/*`]);
  const tufKeys = (vendor: TestVendor) => vendor.tuf.map(({ key }) => key);
  const tree = targetsTree(version, change.expires ?? TODAY + LIFETIMES.targets, {
    targets: change.targets ?? new Map(),
    delegations: jsonObject([
      ['keys', keyTable(platformCrypto, vendors.flatMap(tufKeys))],
      [
        'roles',
        vendors.map((vendor) =>
          delegationTree(
            platformCrypto,
            vendor.name,
            { keys: tufKeys(vendor), threshold: vendor.threshold },
            paths(vendor.name),
            true,
          ),
        ),
      ],
    ]),
    extra: jsonObject([
      [
        EXTENSION_FIELD,
        withFields(
          vendorsField(
            vendors.map((vendor) => ({
              name: vendor.name,
              hardwareIds: vendor.hardwareIds.map(parseHardwareId),
              apiKeys: [vendor.api.key],
              contact: `security@${vendor.name}.example`,
            })),
          ),
          change.retention === undefined
            ? {}
            : { [RETENTION_FIELD]: retentionField(change.retention) },
        ),
      ],
    ]),
  });
  const signers = change.signers ?? operators.targets.slice(0, 1);
  return formatMetadata(tree, await sign(platformCrypto, tree, signers));
}

/** Files to upload, by digest, and the targets entries that name them. */
export interface TestArtifact {
  readonly blobs: ReadonlyMap<string, Uint8Array>;
  readonly entries: ReadonlyMap<string, JsonObject>;
}

export interface ArtifactChange {
  readonly ceiling?: JsonObject;
  /** Who signs the evidence, in the place of the vendor's evidence key. */
  readonly signer?: Signer;
  readonly generation?: number;
  readonly now?: Instant;
  /** For an artifact that is too large to be held: what measuring it gave; its bytes are left out. */
  readonly measured?: { readonly length: number; readonly sha256: string };
}

/** An artifact with true evidence. */
export async function testArtifact(
  vendor: TestVendor,
  path = `${vendor.name}/edu/1.0.0/edu.js`,
  content: Uint8Array = utf8(`the driver at ${path}`),
  change: ArtifactChange = {},
): Promise<TestArtifact> {
  const file = change.measured ?? { length: content.length, sha256: sha256(content) };
  const { custom, ...sidecars } = await makeEvidence(platformCrypto, {
    artifact: { path, ...file },
    generation: change.generation ?? 1,
    ceilingPredicate: change.ceiling ?? EDU_CEILING,
    provenancePredicate: handBuiltProvenance({
      buildType: BUILD_TYPES.byHand,
      externalParameters: { source: `git+https://git.${vendor.name}.example/edu@refs/tags/v1` },
      builderId: BUILDERS.byHand,
    }),
    signer: change.signer ?? vendor.evidence,
    now: change.now ?? TODAY,
  });
  const blobs = new Map<string, Uint8Array>();
  if (change.measured === undefined) blobs.set(file.sha256, content);
  const entries = new Map([[path, targetEntry(file, jsonObject([['ironport', custom]]))]]);
  for (const sidecar of Object.keys(SIDECARS) as Sidecar[]) {
    const bytes = sidecars[sidecar];
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    const entry = targetEntry({ length: bytes.length, sha256: digest });
    entries.set(sidecarPath(path, sidecar), entry);
  }
  return { blobs, entries };
}

/** A vendor's role file. */
export async function signedRole(
  vendor: TestVendor,
  version: number,
  artifacts: readonly TestArtifact[],
  change: FileChange & {
    readonly extra?: JsonObject;
    readonly delegations?: JsonObject;
    /** Entries besides those of the artifacts, or in their place. */
    readonly entries?: ReadonlyMap<string, JsonObject>;
  } = {},
): Promise<Uint8Array> {
  const targets = new Map<string, JsonObject>();
  for (const { entries } of artifacts)
    for (const [path, entry] of entries) targets.set(path, entry);
  for (const [path, entry] of change.entries ?? []) targets.set(path, entry);
  const keys = buildEvidenceKeys({ active: [vendor.evidence.key], retired: [] });
  const tree = targetsTree(version, change.expires ?? TODAY + LIFETIMES.vendor, {
    targets,
    delegations: change.delegations,
    extra: change.extra ?? jsonObject([[ROLE_FIELD, keys]]),
  });
  const signers = change.signers ?? vendor.tuf.slice(0, vendor.threshold);
  return formatMetadata(tree, await sign(platformCrypto, tree, signers));
}
