/** Who this agent is: the id of its host and its keys, all made at first need. */

import { fromUtf8, toHex, utf8 } from '../shared/bytes.ts';
import type { Signer } from '../shared/crypto/signer.ts';
import { IronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import { writeFileAtomic, writeFileExclusive } from '../shared/node/files.ts';
import { loadFileSigner, makeKeyFile } from '../shared/node/signers/file.ts';
import type { Agent } from './agent.ts';

/** 16 random bytes in hexadecimal; made here, so that it says nothing about the machine. */
export async function hostId(agent: Agent): Promise<string> {
  const path = agent.place(agentState.hostId);
  if ((await agent.read(agentState.hostId)) === undefined) {
    await writeFileExclusive(path, utf8(`${toHex(agent.random(16))}\n`), { mode: 0o600 });
  }
  const id = fromUtf8((await agent.read(agentState.hostId)) ?? new Uint8Array()).trim();
  if (!/^[0-9a-f]{32}$/.test(id)) throw new IronError('E_STORE', `${path} holds no host id`);
  return id;
}

/** A key of the agent's own, of which nobody else has the private half. Ed25519, file mode 0600. */
async function ownSigner(agent: Agent, key: string, publicKey: string): Promise<Signer> {
  if ((await agent.read(key)) === undefined) {
    const { file, publicFile } = await makeKeyFile('ed25519', { created: agent.clock() });
    // The public half first, replacing one whose private half a crash prevented: what is there is
    // complete once the private half is.
    await writeFileAtomic(agent.place(publicKey), publicFile);
    await writeFileExclusive(agent.place(key), file, { mode: 0o600 });
  }
  return await loadFileSigner(agent.place(key));
}

/** Signs grants and receipts. */
export function grantSigner(agent: Agent): Promise<Signer> {
  return ownSigner(agent, agentState.grantKey, agentState.grantPublicKey);
}

/** Signs heads of the audit log, and nothing else. */
export function auditSigner(agent: Agent): Promise<Signer> {
  return ownSigner(agent, agentState.auditKey, agentState.auditPublicKey);
}
