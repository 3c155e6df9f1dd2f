/**
 * The confinement receipt: an in-toto statement about a driver, by which a host says what it held
 * that driver's device to. The grant says what may be; this says what was mapped, through which part
 * of the kernel, by which versions. Who signs it is the agent's affair.
 */

import type { Envelope } from '../evidence/dsse.ts';
import { parseStatement, type StatementInput } from '../evidence/statement.ts';
import type { Node } from '../json/decode.ts';
import type { JsonObject } from '../json/value.ts';
import { formatInstant, type Instant } from '../time.ts';
import type { DmaWindow } from './ceiling.ts';
import { type DeviceFacts, identityJson } from './device.ts';
import type { Grant } from './grant.ts';
import { hexU64 } from './numbers.ts';
import { windowLength } from './windows.ts';

export const RECEIPT_PREDICATE = 'https://ironshim.dev/attestation/confinement-receipt/v1';

/** What was done for a grant. */
export interface Receipt {
  readonly grant: Pick<
    Grant,
    'artifact' | 'hostId' | 'interrupts' | 'expires' | 'generation' | 'abi' | 'manifestSha256'
  > & { readonly device: DeviceFacts };
  readonly grantSha256: string;
  readonly domain: number;
  /** How the device is held; null when it was bound and nothing holds it. */
  readonly confined: {
    readonly backend: string;
    /** Every mapping of the device's address space; there is no other. */
    readonly maps: readonly DmaWindow[];
    readonly interrupts: number;
    readonly driverRuns: boolean;
    readonly notes: readonly string[];
  } | null;
  /** Versions of the metadata by which the driver was accepted, by role. */
  readonly metadata: ReadonlyMap<string, number>;
  readonly versions: { readonly agent: string; readonly runtime: string; readonly kernel: string };
  readonly boot: string;
  readonly boundAt: Instant;
}

export function receiptStatement(receipt: Receipt): StatementInput {
  const { artifact } = receipt.grant;
  return {
    subjects: [{ name: artifact.path, sha256: artifact.sha256 }],
    predicateType: RECEIPT_PREDICATE,
    predicate: receiptPredicate(receipt),
  };
}

function receiptPredicate(receipt: Receipt): JsonObject {
  const { grant, confined } = receipt;
  const { device } = grant;
  return {
    host: grant.hostId,
    device: { path: device.path, ...identityJson(device), serial: device.serial },
    grant: {
      sha256: receipt.grantSha256,
      resource_manifest_sha256: grant.manifestSha256,
      iommu_domain: receipt.domain,
      expires: formatInstant(grant.expires),
      generation: grant.generation,
      abi: grant.abi,
    },
    confinement:
      confined === null
        ? null
        : {
            backend: confined.backend,
            maps: confined.maps.map(({ window, access }) => ({
              iova: hexU64(window.start),
              length_bytes: hexU64(windowLength(window)),
              access,
            })),
            interrupts: { kind: grant.interrupts.kind, vectors: confined.interrupts },
            driver_runs: confined.driverRuns,
            notes: [...confined.notes],
          },
    software: { ...receipt.versions },
    versions: Object.fromEntries(receipt.metadata),
    boot: receipt.boot,
    bound_at: formatInstant(receipt.boundAt),
  };
}

/** A receipt as it was read, whoever signed it. */
export interface ReadReceipt {
  readonly artifact: { readonly path: string; readonly sha256: string };
  readonly device: string;
  readonly grantSha256: string;
  /** The whole predicate. */
  readonly predicate: JsonObject;
}

const DIGEST = /^[0-9a-f]{64}$/;

/** The receipt inside an envelope. `E_SCHEMA`. */
export function readReceipt(envelope: Envelope): ReadReceipt {
  const { subjects, predicateType, predicate } = parseStatement(envelope, 'receipt');
  if (predicateType !== RECEIPT_PREDICATE) throw predicate.error('it is no confinement receipt');
  const [subject] = subjects;
  if (subjects.length !== 1 || subject?.name === undefined || subject.sha256 === undefined)
    throw predicate.error('a receipt is about one artifact, by name and SHA-256');
  predicate.only(
    'host',
    'device',
    'grant',
    'confinement',
    'software',
    'versions',
    'boot',
    'bound_at',
  );
  const confinement = predicate.get('confinement');
  if (confinement.value !== null) checkConfinement(confinement);
  predicate.get('bound_at').instant();
  return {
    artifact: { path: subject.name, sha256: subject.sha256 },
    device: predicate.get('device').get('path').string(),
    grantSha256: predicate.get('grant').get('sha256').matching(DIGEST, 'a SHA-256'),
    predicate: predicate.object(),
  };
}

function checkConfinement(node: Node): void {
  node.only('backend', 'maps', 'interrupts', 'driver_runs', 'notes');
  node.get('backend').string();
  node.get('driver_runs').boolean();
  for (const map of node.get('maps').items()) {
    map.only('iova', 'length_bytes', 'access');
    map.get('access').oneOf('read', 'write', 'read-write');
  }
}
