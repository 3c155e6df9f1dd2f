/** What is bound now: the file is the moment from which a device counts as bound. */

import { unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { utf8 } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { onPath } from '../shared/node/file-system.ts';
import { syncFolder, writeFileAtomic } from '../shared/node/files.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import type { Agent } from './agent.ts';
import { type BindingState, parseState, stateJson } from './binding-state.ts';
import { listAddresses } from './state-names.ts';

export interface Binding {
  readonly device: string;
  readonly driver: { readonly path: string; readonly sha256: string };
  /** The domain number of the grant. */
  readonly domain: number;
  readonly grantSha256: string;
  /** The boot in which it was made: sysfs forgets it at the next one. */
  readonly boot: string;
  readonly boundAt: Instant;
  /** What `release` restores. */
  readonly found: BindingState;
  /** The state that it has while it is bound. */
  readonly bound: BindingState;
}

const SCHEMA = 'ironport-agent.binding/v1';

export async function storeBinding(agent: Agent, binding: Binding): Promise<void> {
  const { device, driver, domain, grantSha256, boot, boundAt, found, bound } = binding;
  const text = JSON.stringify({
    schema: SCHEMA,
    device,
    driver,
    domain,
    grant_sha256: grantSha256,
    boot,
    bound_at: formatInstant(boundAt),
    found: stateJson(found),
    bound: stateJson(bound),
  });
  const path = agent.place(agentState.binding(device));
  await writeFileAtomic(path, utf8(`${text}\n`), { mode: 0o600 });
}

export async function loadBinding(agent: Agent, device: string): Promise<Binding | undefined> {
  const bytes = await agent.read(agentState.binding(device));
  return bytes === undefined ? undefined : parseBinding(bytes);
}

export function parseBinding(bytes: Uint8Array): Binding {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'binding');
  node.only(
    ...['schema', 'device', 'driver', 'domain', 'grant_sha256', 'boot', 'bound_at'],
    ...['found', 'bound'],
  );
  node.get('schema').oneOf(SCHEMA);
  const driver = node.get('driver').only('path', 'sha256');
  return {
    device: node.get('device').string(),
    driver: { path: driver.get('path').string(), sha256: driver.get('sha256').string() },
    domain: node.get('domain').integer(1),
    grantSha256: node.get('grant_sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
    boot: node.get('boot').string(),
    boundAt: node.get('bound_at').instant(),
    found: parseState(node.get('found')),
    bound: parseState(node.get('bound')),
  };
}

/** From here on the device counts as released; its grant goes with it. */
export async function removeBinding(agent: Agent, binding: Binding): Promise<void> {
  await removeFile(agent, agentState.binding(binding.device));
  await removeGrant(agent, binding.domain);
}

/** A grant goes with its receipt. */
export async function removeGrant(agent: Agent, domain: number): Promise<void> {
  await removeFile(agent, agentState.grant(domain));
  await removeFile(agent, agentState.receipt(domain));
}

/** Removes a file of the agent's, durably; one that is gone already is fine. */
export async function removeFile(agent: Agent, path: string): Promise<void> {
  const place = agent.place(path);
  await onPath(place, async () => {
    await unlink(place).catch((error) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await syncFolder(dirname(place));
  });
}

/** Every binding, by address. Throws what reading the first damaged one throws. */
export async function listBindings(agent: Agent): Promise<Binding[]> {
  const found: Binding[] = [];
  for (const device of await listBound(agent)) {
    const binding = await loadBinding(agent, device);
    if (binding !== undefined) found.push(binding);
  }
  return found;
}

/** The addresses that have one, which a damaged file tells as well. */
export function listBound(agent: Agent): Promise<string[]> {
  return listAddresses(agent, agentState.bindingsFolder, '.json');
}

/** Those that can be read, for who serves each by itself; and the addresses of those that cannot. */
export async function readBindings(
  agent: Agent,
): Promise<{ readonly bindings: readonly Binding[]; readonly damaged: readonly string[] }> {
  const bindings: Binding[] = [];
  const damaged: string[] = [];
  for (const device of await listBound(agent)) {
    try {
      const binding = await loadBinding(agent, device);
      if (binding !== undefined) bindings.push(binding);
    } catch (error) {
      if (!(error instanceof IronError)) throw error;
      damaged.push(device);
    }
  }
  return { bindings, damaged };
}
