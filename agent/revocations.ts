/**
 * What this agent knows to be revoked: the newest list that it verified, which outlives the
 * hand-over that brought it and counts for all that was accepted before.
 */

import { IronError } from '../shared/errors.ts';
import { agentState } from '../shared/layout.ts';
import { REVOCATION_LIMITS } from '../shared/limits.ts';
import {
  findRevocation,
  type RevocationSubject,
  type RevocationsInForce,
  type Revoked,
} from '../shared/revocation/judge.ts';
import type { RevocationList } from '../shared/revocation/list.ts';
import { readList } from '../shared/revocation/signed-list.ts';
import { parseFloors } from '../shared/verify/floors.ts';
import type { Agent } from './agent.ts';
import { type Binding, readBindings } from './binding.ts';
import { type Accepted, loadEntry } from './entry.ts';

/** A binding that runs although it is revoked. */
export interface Hit {
  readonly binding: Binding;
  readonly revoked: Revoked;
}

/**
 * The list and the floors of this host. Its signatures were verified when it came, and only we can
 * write here. `E_STORE` when the list is gone, or behind what was seen: that is never guessed.
 */
export async function loadInForce(agent: Agent): Promise<RevocationsInForce> {
  const stored = await agent.read(agentState.floors);
  const floors = stored === undefined ? undefined : parseFloors(stored).revocations;
  const bytes = await agent.read(agentState.revocations, REVOCATION_LIMITS.list);
  const list = bytes === undefined ? undefined : readStored(agent, bytes);
  const isBehind =
    floors !== undefined &&
    floors.epoch > 0 &&
    (list === undefined ||
      list.epoch < floors.epoch ||
      (list.epoch === floors.epoch && list.version < floors.version));
  if (isBehind) throw damaged(agent, `list ${floors.version} of epoch ${floors.epoch} was seen`);
  return { list, floors };
}

function readStored(agent: Agent, bytes: Uint8Array): RevocationList {
  try {
    return readList(bytes).list;
  } catch (cause) {
    throw damaged(agent, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function damaged(agent: Agent, why: string, cause?: unknown): IronError {
  const path = agent.place(agentState.revocations);
  return new IronError('E_STORE', `the list of revocations of this agent is damaged: ${path}`, {
    why,
    hint: 'nothing was changed; accept a hand-over again, which brings the list along',
    ...(cause === undefined ? {} : { cause }),
    context: { path },
  });
}

/** An accepted driver, as lists know it. */
export function subjectOf(entry: Accepted): RevocationSubject {
  const { artifact, product, generation, sidecars, quorums } = entry;
  return {
    path: artifact.path,
    sha256: artifact.sha256,
    component: product,
    generation,
    beside: [...sidecars.values()].map(({ sha256 }) => sha256),
    quorums,
  };
}

/** Which of what is bound now is revoked; of a binding that cannot be read nobody knows it. */
export async function findHits(agent: Agent): Promise<Hit[]> {
  const inForce = await loadInForce(agent);
  return await hitsAmong(agent, inForce, (await readBindings(agent)).bindings);
}

/** The same of what was read already. */
export async function hitsAmong(
  agent: Agent,
  inForce: RevocationsInForce,
  bindings: readonly Binding[],
): Promise<Hit[]> {
  const hits: Hit[] = [];
  for (const binding of bindings) {
    // A binding outlives the entry that somebody removed, or its vendor withdrew: its digest is known.
    const entry = await loadEntry(agent, binding.driver.path);
    const revoked = findRevocation(inForce, entry === undefined ? bare(binding) : subjectOf(entry));
    if (revoked !== undefined) hits.push({ binding, revoked });
  }
  return hits;
}

function bare({ driver: { path, sha256 } }: Binding): RevocationSubject {
  const component = path.split('/').slice(0, 2).join('/');
  return { path, sha256, component, generation: 0, beside: [], quorums: [] };
}

/** The same, with an audit line for each. */
export async function reportHits(agent: Agent): Promise<readonly Hit[]> {
  const hits = await findHits(agent);
  await agent.audit.append(
    ...hits.map(({ binding, revoked }) => ({
      event: 'revoked-binding',
      device: binding.device,
      path: binding.driver.path,
      code: 'E_REVOKED',
      reason: revoked.reason,
      what: revoked.what,
      why: revoked.why,
    })),
    ...(await readBindings(agent)).damaged.map((device) => ({ event: 'damaged-binding', device })),
  );
  return hits;
}
