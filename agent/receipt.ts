/** The receipt of a binding: written and signed when it is made, kept for as long as it lasts. */

import os from 'node:os';
import process from 'node:process';
import { toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import type { PublicKey } from '../shared/crypto/key.ts';
import { IronError } from '../shared/errors.ts';
import { parseEnvelope, signEnvelope, verifyEnvelope } from '../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE } from '../shared/evidence/identifiers.ts';
import { buildStatement } from '../shared/evidence/statement.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import type { Grant } from '../shared/manifest/grant.ts';
import { type ReadReceipt, readReceipt, receiptStatement } from '../shared/manifest/receipt.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { packageVersion } from '../shared/node/package-version.ts';
import { keyId } from '../shared/tuf/key.ts';
import type { Agent } from './agent.ts';
import { type Binding, loadBinding } from './binding.ts';
import type { Confined } from './confine.ts';
import type { Accepted } from './entry.ts';
import { grantSigner } from './identity.ts';

/**
 * Signs and stores the receipt of a binding that is about to count, and notes its SHA-256 in the audit
 * log. `E_IO`, `E_NO_SPACE`.
 */
export async function giveReceipt(
  agent: Agent,
  binding: Binding,
  made: { grant: Grant; driver: Accepted; confined: Confined | undefined },
): Promise<void> {
  const { grant, driver, confined } = made;
  const { device, domain, grantSha256, boot, boundAt } = binding;
  const statement = receiptStatement({
    ...{ grant, grantSha256, domain, boot, boundAt, metadata: driver.versions },
    confined:
      confined === undefined
        ? null
        : {
            backend: confined.backend,
            // What was mapped, and not what was granted: the two are compared by whoever reads.
            maps: confined.memories.map(({ window, access }) => ({ window, access })),
            interrupts: confined.events.vectors.length,
            driverRuns: confined.running !== undefined,
            notes: confined.notes,
          },
    versions: {
      agent: packageVersion(),
      runtime: `node ${process.versions.node}`,
      kernel: os.release(),
    },
  });
  const signer = await grantSigner(agent);
  const envelope = await signEnvelope(IN_TOTO_PAYLOAD_TYPE, buildStatement(statement), [
    { signer, keyid: keyId(agent.crypto, signer.key) },
  ]);
  await writeFileAtomic(agent.place(agentState.receipt(domain)), envelope, { mode: 0o600 });
  const digest = toHex(agent.crypto.sha256(envelope));
  await agent.audit.append({ event: 'receipt', device, domain, sha256: digest });
}

/** The receipt of what `device` is bound for, as it was signed. `E_NOT_FOUND`. */
export async function loadReceipt(
  agent: Agent,
  device: string,
): Promise<{ readonly bytes: Uint8Array; readonly receipt: ReadReceipt }> {
  const binding = await loadBinding(agent, device);
  const bytes = binding && (await agent.read(agentState.receipt(binding.domain)));
  if (bytes === undefined) {
    throw new IronError('E_NOT_FOUND', `there is no receipt for ${device}`, {
      why: binding === undefined ? 'it is not bound by this agent' : 'its file is gone',
      hint: 'nothing was changed; `ironport-agent status` shows what is bound',
      context: { device },
    });
  }
  return { bytes, receipt: readReceipt(parseEnvelope(bytes, 'receipt', AGENT_LIMITS.receipt)) };
}

/** A receipt that `key` signed. `E_SIGNATURE`, `E_SCHEMA`, `E_JSON`, `E_TOO_LARGE`. */
export function verifyReceipt(crypto: Crypto, bytes: Uint8Array, key: PublicKey): ReadReceipt {
  const envelope = parseEnvelope(bytes, 'receipt', AGENT_LIMITS.receipt);
  verifyEnvelope(crypto, envelope, [key], 1);
  return readReceipt(envelope);
}
