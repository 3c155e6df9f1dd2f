/**
 * The grant as a document: the predicate of an in-toto statement about the driver. Who signs it and
 * where it lies is the agent's affair; what it says is decided here and nowhere else.
 */

import { toHex } from '../bytes.ts';
import { STATEMENT_TYPE } from '../evidence/identifiers.ts';
import type { JsonObject } from '../json/value.ts';
import { formatInstant } from '../time.ts';
import { identityJson } from './device.ts';
import type { Grant } from './grant.ts';
import type { GrantedRange } from './grant-registers.ts';
import { hexU64 } from './numbers.ts';
import { windowLength } from './windows.ts';

export const GRANT_PREDICATE = 'https://ironshim.dev/attestation/resource-grant/v1';

/** The in-toto statement (v1) whose subject is the driver and whose predicate is the grant. */
export function grantStatement(grant: Grant): JsonObject {
  return {
    _type: STATEMENT_TYPE,
    subject: [{ name: grant.artifact.path, digest: { sha256: grant.artifact.sha256 } }],
    predicateType: GRANT_PREDICATE,
    predicate: grantPredicate(grant),
  };
}

/** The grant itself. Addresses and lengths are `"0x…"` texts, times are UTC. */
export function grantPredicate(grant: Grant): JsonObject {
  const { device, manifest } = grant;
  return {
    ceiling_sha256: grant.ceilingSha256,
    policy_sha256: grant.policySha256,
    host: grant.hostId,
    device: { path: device.path, ...identityJson(device), serial: device.serial },
    mode: grant.mode,
    mmio: grant.mmio.map(mmioJson),
    ports: grant.ports.map(portsJson),
    interrupts: {
      kind: grant.interrupts.kind,
      vectors: grant.interrupts.vectors,
      per_second_budget: grant.interrupts.perSecondBudget,
      burst: grant.interrupts.burst,
      lifetime_max: grant.interrupts.lifetimeMax,
    },
    dma: {
      mask_bits: grant.dma.maskBits,
      total_bytes: hexU64(grant.dma.totalBytes),
      segments_max: grant.dma.segmentsMax,
      alignment_bytes: hexU64(grant.dma.alignmentBytes),
      boundary_bytes: grant.dma.boundaryBytes === null ? null : hexU64(grant.dma.boundaryBytes),
      windows: grant.dma.windows.map(({ window, access }) => ({
        iova: hexU64(window.start),
        length_bytes: hexU64(windowLength(window)),
        access,
      })),
    },
    vf_budget:
      grant.vfBudget === null
        ? null
        : {
            dma_bytes: hexU64(grant.vfBudget.dmaBytes),
            mmio_bytes: hexU64(grant.vfBudget.mmioBytes),
            interrupts_per_second: grant.vfBudget.interruptsPerSecond,
          },
    isolation: { mode: grant.isolation.mode, pasid_bits: grant.isolation.pasidBits },
    abi: grant.abi,
    generation: grant.generation,
    expires: formatInstant(grant.expires),
    resource_manifest: {
      driver_id: hexU64(manifest.driverId),
      iommu_domain: manifest.iommuDomain,
      binding_nonce: manifest.bindingNonce,
      sha256: grant.manifestSha256,
      ism2: toHex(grant.ism2),
    },
    narrowings: [...grant.narrowings],
  };
}

function mmioJson({ bar, offset, window, access }: GrantedRange): JsonObject {
  return {
    bar,
    offset_bytes: hexU64(offset),
    base: hexU64(window.start),
    length_bytes: hexU64(windowLength(window)),
    access,
  };
}

function portsJson({ bar, offset, window, access }: GrantedRange): JsonObject {
  return {
    bar,
    offset_ports: Number(offset),
    port: Number(window.start),
    count: Number(windowLength(window)),
    access,
  };
}
