/**
 * The grant that this agent gives: computed from ceiling, fleet policy and the device as found,
 * signed with the agent's own key as a DSSE statement about the driver.
 */

import { toHex } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { compactJson } from '../shared/evidence/compact.ts';
import { signEnvelope } from '../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../shared/evidence/identifiers.ts';
import { agentState } from '../shared/layout.ts';
import { MANIFEST_LIMITS } from '../shared/limits.ts';
import { computeGrant, type Grant } from '../shared/manifest/grant.ts';
import { grantStatement } from '../shared/manifest/grant-document.ts';
import { type FleetPolicy, parsePolicy } from '../shared/manifest/policy.ts';
import { readFileCapped, writeFileAtomic } from '../shared/node/files.ts';
import { keyId } from '../shared/tuf/key.ts';
import type { Agent } from './agent.ts';
import type { Assessment } from './assess.ts';
import type { Accepted } from './entry.ts';
import { loadPolicyInForce } from './fleet-policy.ts';
import { grantSigner, hostId } from './identity.ts';
import { drawDomain, drawNonce } from './unique.ts';
import { vfBudget } from './vfs/budget.ts';

export interface LoadedPolicy {
  readonly policy: FleetPolicy;
  readonly sha256: string;
}

/**
 * The fleet policy: the file, or without one what operators signed and this agent took. Without either
 * nothing is granted: `E_POLICY`. `E_CONFIG` when it is not valid, and what `loadPolicyInForce` throws.
 */
export async function loadPolicy(agent: Agent, file: string | undefined): Promise<LoadedPolicy> {
  if (file === undefined) {
    const taken = await loadPolicyInForce(agent);
    if (taken !== undefined) return taken;
    throw new IronError('E_POLICY', 'there is no fleet policy', {
      why: 'a host grants nothing that its policy does not name',
      hint: 'nothing was changed; name the policy file of this fleet: --policy FILE, or let the agent take a signed one: `ironport-agent policy accept`',
    });
  }
  const bytes = await readFileCapped(file, MANIFEST_LIMITS.policy);
  return { policy: parsePolicy(bytes), sha256: toHex(agent.crypto.sha256(bytes)) };
}

/** Numbers that make a grant this one. */
export interface GrantNumbers {
  readonly hostId: string;
  readonly domain: number;
  readonly nonce: number;
}

/** Stand-ins, for showing what would be granted: nothing is drawn for a plan. */
export const PREVIEW: GrantNumbers = { hostId: '0'.repeat(32), domain: 1, nonce: 1 };

/** Draws the numbers of a grant; each is used up from here on, whatever becomes of the grant. */
export async function drawNumbers(agent: Agent): Promise<GrantNumbers> {
  return {
    hostId: await hostId(agent),
    domain: await drawDomain(agent),
    nonce: await drawNonce(agent),
  };
}

/** Computes the grant; throws as `computeGrant` and `vfBudget` do. */
export function grantFor(
  agent: Agent,
  driver: Accepted,
  { device, parent }: Pick<Assessment, 'device' | 'parent'>,
  { policy, sha256 }: LoadedPolicy,
  numbers: GrantNumbers,
): Grant {
  const ceiling = driver.sidecars.get('ceiling');
  if (ceiling === undefined)
    throw new IronError('E_STORE', `${driver.artifact.path} was accepted without a ceiling`);
  const { path, sha256: digest } = driver.artifact;
  const budget = vfBudget(device.path, parent, policy);
  return computeGrant(
    {
      ceiling: driver.ceiling,
      ceilingSha256: ceiling.sha256,
      policy,
      policySha256: sha256,
      artifact: { path, sha256: digest },
      device,
      hostId: numbers.hostId,
      iommuDomain: numbers.domain,
      bindingNonce: numbers.nonce,
      expires: agent.clock() + policy.grantSeconds,
      ...(budget === undefined ? {} : { vfBudget: budget }),
    },
    agent.crypto,
  );
}

/** Signs and stores the grant; returns the SHA-256 of the envelope, by which bindings name it. */
export async function signGrant(agent: Agent, grant: Grant): Promise<string> {
  const signer = await grantSigner(agent);
  const envelope = await signEnvelope(IN_TOTO_PAYLOAD_TYPE, compactJson(grantStatement(grant)), [
    { signer, keyid: keyId(agent.crypto, signer.key) },
  ]);
  const path = agent.place(agentState.grant(grant.manifest.iommuDomain));
  await writeFileAtomic(path, envelope, { mode: 0o600 });
  return toHex(agent.crypto.sha256(envelope));
}
