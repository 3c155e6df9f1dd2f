/**
 * Numbers that this host uses once: the domain counter and the binding nonces. Each is on the disk
 * before anything is made with it, so that no crash can bring one back. Only the holder of the
 * state's lock draws.
 */

import { fromUtf8, utf8 } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import type { Agent } from './agent.ts';

/** `iommu_domain` of a resource manifest has 32 bits, and 0 means none. */
const LAST_DOMAIN = 0xffff_ffff;
/** Tries before a source of chance that repeats itself is called broken. */
const TRIES = 8;

/** The next domain number, from 1. `E_NONCE` when all were used. */
export async function drawDomain(agent: Agent): Promise<number> {
  const next = (await lastDomain(agent)) + 1;
  if (next > LAST_DOMAIN)
    throw new IronError('E_NONCE', 'every domain number of this host is used');
  await writeFileAtomic(agent.place(agentState.domains), utf8(`${next}\n`), { mode: 0o600 });
  return next;
}

async function lastDomain(agent: Agent): Promise<number> {
  const bytes = await agent.read(agentState.domains);
  if (bytes === undefined) return 0;
  const text = fromUtf8(bytes);
  if (!/^[1-9][0-9]{0,9}\n$/.test(text)) throw damaged(agent.place(agentState.domains));
  return Number(text);
}

/**
 * 32 random bits, never 0 and never drawn before on this host. `E_NONCE` when chance keeps
 * repeating itself, which it does only when it is broken.
 */
export async function drawNonce(agent: Agent): Promise<number> {
  const bytes = await agent.read(agentState.nonces);
  const text = bytes === undefined ? '' : fromUtf8(bytes);
  if (!/^(?:[0-9a-f]{8}\n)*$/.test(text)) throw damaged(agent.place(agentState.nonces));
  const used = new Set(text.split('\n'));
  for (let i = 0; i < TRIES; i++) {
    const nonce = new DataView(Uint8Array.from(agent.random(4)).buffer).getUint32(0);
    const name = nonce.toString(16).padStart(8, '0');
    // Never 0, which is what a forgotten nonce looks like, and never reused.
    if (nonce === 0 || used.has(name)) continue;
    const file = agent.place(agentState.nonces);
    await writeFileAtomic(file, utf8(`${text}${name}\n`), { mode: 0o600 });
    return nonce;
  }
  throw new IronError('E_NONCE', `${TRIES} nonces in a row were 0 or used before`, {
    why: 'the source of randomness repeats itself',
    hint: 'nothing was changed; do not bind on this host before its randomness is repaired',
  });
}

function damaged(path: string): IronError {
  return new IronError('E_STORE', `${path} is damaged`, {
    why: 'what was used before cannot be told any more',
    hint: 'nothing was changed; restore it from a backup of the state folder',
    context: { path },
  });
}
