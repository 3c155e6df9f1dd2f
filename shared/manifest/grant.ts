/**
 * The grant: what one driver gets of one device on this host. It is the ceiling that the vendor
 * signed, cut down to the fleet's policy and to the device as it was found; every cut is recorded
 * in words. Pure: what comes in decides, and whoever has the same inputs computes the same grant.
 */

import { equalBytes } from '../bytes.ts';
import type { Crypto } from '../crypto/crypto.ts';
import { IronError } from '../errors.ts';
import type { Instant } from '../time.ts';
import { checkAbi, RUNTIME_ABI, type RuntimeAbi } from './abi.ts';
import type { Ceiling } from './ceiling.ts';
import { checkIsolation, type IsolationClaim } from './ceiling-isolation.ts';
import { type Attested, checkRequirements } from './ceiling-requirements.ts';
import { leastBudget } from './ceiling-vf.ts';
import type { Cut, VfBudget } from './cut.ts';
import { type DeviceFacts, matchesDevice, showIdentity } from './device.ts';
import { driverId } from './driver-id.ts';
import { type DmaGrant, grantDma } from './grant-dma.ts';
import { type GrantedInterrupts, grantInterrupts } from './grant-interrupts.ts';
import { grantMode } from './grant-mode.ts';
import { type GrantedRegisters, grantRegisters } from './grant-registers.ts';
import { parseIsm2 } from './ism2.ts';
import { entryFor, type FleetPolicy, requireGeneration } from './policy.ts';
import type { RunMode } from './policy-run.ts';
import {
  canonicalBytes,
  ism2Bytes,
  manifestSha256,
  type ResourceManifest,
} from './resource-manifest.ts';
import { windowLength } from './windows.ts';

export interface GrantRequest {
  readonly ceiling: Ceiling;
  /** SHA-256 of the ceiling's target file, in hexadecimal. */
  readonly ceilingSha256: string;
  readonly policy: FleetPolicy;
  /** SHA-256 of the policy file, in hexadecimal. */
  readonly policySha256: string;
  /** The driver: its target path and SHA-256. */
  readonly artifact: { readonly path: string; readonly sha256: string };
  readonly device: DeviceFacts;
  readonly hostId: string;
  /** Unique on this host, from 1. */
  readonly iommuDomain: number;
  /** 32 random bits, never 0, never reused. */
  readonly bindingNonce: number;
  readonly expires: Instant;
  /** For a virtual function: what the host gives it, which the ceiling's own budget narrows. */
  readonly vfBudget?: VfBudget;
  /** The runtime that will run the driver, when it is not `RUNTIME_ABI`. */
  readonly abi?: RuntimeAbi;
  /** What the agent found out about device and boot; nothing when it is absent. */
  readonly attested?: Attested;
}

export interface Grant extends GrantedRegisters {
  readonly artifact: { readonly path: string; readonly sha256: string };
  readonly ceilingSha256: string;
  readonly policySha256: string;
  readonly hostId: string;
  readonly device: DeviceFacts;
  /** How the driver reaches its registers, when it is run. */
  readonly mode: RunMode;
  readonly interrupts: GrantedInterrupts;
  readonly dma: DmaGrant;
  readonly vfBudget: VfBudget | null;
  readonly isolation: IsolationClaim;
  readonly abi: number;
  readonly generation: number;
  readonly expires: Instant;
  /** What a bare-metal kernel takes, its SHA-256 and its ISM2 blob. */
  readonly manifest: ResourceManifest;
  readonly manifestSha256: string;
  readonly ism2: Uint8Array;
  /** Every way in which the grant is less than the ceiling, in sentences. */
  readonly narrowings: readonly string[];
}

/**
 * Computes the grant. Throws `E_AGENT_REFUSED` when the driver is not for this device or runtime, or
 * asks for a device of which not all is granted; `E_POLICY` when no entry of the policy allows it, `E_GRANT_EMPTY` when no register is left, and
 * the `E_MANIFEST…` codes when its windows make no manifest that the strict reader takes.
 */
export function computeGrant(request: GrantRequest, crypto: Crypto): Grant {
  const { ceiling, policy, artifact, device } = request;
  checkFits(request);
  const vfBudget =
    request.vfBudget === undefined ? null : leastBudget(ceiling.virtualFunctions, request.vfBudget);
  const entry = entryFor(policy, artifact.path, device);
  requireGeneration(ceiling, entry);

  const narrowings: string[] = [];
  const note = (text: string): void => void narrowings.push(text);
  const cut: Cut = { ceiling, entry, device, pageSize: policy.pageSize, vfBudget };
  const registers = grantRegisters(cut, note);
  if (registers.mmio.length === 0 && registers.ports.length === 0) {
    throw new IronError('E_GRANT_EMPTY', `no register of ${device.path} is left to grant`, {
      why: narrowings.join('; ') || 'the ceiling claims none',
      hint: 'nothing was changed; compare ceiling, fleet policy and device',
      context: { device: device.path },
    });
  }
  const mode = grantMode(ceiling, entry, registers, device);
  const interrupts = grantInterrupts(cut, note);
  const dma = grantDma(cut, note);

  const manifest = toManifest(request, registers, crypto);
  return {
    ...registers,
    mode,
    artifact,
    ceilingSha256: request.ceilingSha256,
    policySha256: request.policySha256,
    hostId: request.hostId,
    device,
    interrupts,
    dma,
    vfBudget,
    isolation: ceiling.isolation,
    abi: (request.abi ?? RUNTIME_ABI).version,
    generation: ceiling.generation,
    expires: request.expires,
    manifest,
    manifestSha256: manifestSha256(manifest, crypto),
    ism2: checkedBlob(manifest),
    narrowings,
  };
}

/** Whether the driver is for this device, this host and this runtime at all. */
function checkFits({ ceiling, device, abi = RUNTIME_ABI, attested = {} }: GrantRequest): void {
  if (!ceiling.devices.some((match) => matchesDevice(match, device))) {
    throw new IronError(
      'E_AGENT_REFUSED',
      `the driver is not for ${showIdentity(device)} at ${device.path}`,
      {
        why: 'none of the devices in its ceiling matches',
        hint: 'nothing was changed; name another device or another driver',
        context: { device: device.path },
      },
    );
  }
  checkAbi(ceiling.abi, abi);
  checkIsolation(ceiling.isolation, device.isolation);
  checkRequirements(ceiling.requires, attested);
}

function toManifest(
  request: GrantRequest,
  { mmio, ports }: GrantedRegisters,
  crypto: Crypto,
): ResourceManifest {
  // A nonce of 0 is what a forgotten one looks like. Reuse is the agent's to refuse.
  if (request.bindingNonce === 0) throw new IronError('E_NONCE', 'a binding nonce of 0');
  return {
    driverId: driverId(request.artifact.path, crypto),
    iommuDomain: request.iommuDomain,
    bindingNonce: request.bindingNonce,
    mmio: mmio.map(({ window }) => ({
      base: window.start,
      size: windowLength(window),
      revoked: false,
    })),
    ports: ports.map(({ window }) => ({
      port: Number(window.start),
      count: Number(windowLength(window)),
      revoked: false,
    })),
  };
}

/** The ISM2 blob, read back by the strict reader: what it refuses is never granted. */
function checkedBlob(manifest: ResourceManifest): Uint8Array {
  const blob = ism2Bytes(manifest);
  if (!equalBytes(canonicalBytes(parseIsm2(blob)), canonicalBytes(manifest))) {
    throw new IronError(
      'E_MANIFEST',
      'the ISM2 blob does not read back as the manifest that was granted',
    );
  }
  return blob;
}
