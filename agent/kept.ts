/**
 * The declared set: what is to be bound again whenever the machine starts, by `ironport-agent restore`.
 * A file a device, written before the binding that it declares and withdrawn by `release`. It names
 * the bytes and the device: neither a newer version nor another card in the slot is meant by it.
 */

import { utf8 } from '../shared/bytes.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { type DeviceName, deviceNameJson, readDeviceName } from '../shared/manifest/quarantine.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import type { Agent } from './agent.ts';
import { removeFile } from './binding.ts';
import { BACKENDS, type BackendName } from './host/backend.ts';
import { listAddresses } from './state-names.ts';

/** How it is bound: by itself, held, or held and driven. */
export interface Manner {
  readonly hold: boolean;
  readonly backend: BackendName | undefined;
  /** A folder of control groups, when its driver runs. */
  readonly cgroup: string | undefined;
}

export interface Kept {
  readonly device: DeviceName;
  readonly driver: { readonly path: string; readonly sha256: string };
  /** The file of the fleet policy, absolute; null for what operators signed. It is read anew each time. */
  readonly policy: string | null;
  readonly manner: Manner;
  readonly keptAt: Instant;
}

const SCHEMA = 'ironport-agent.kept/v1';

export function formatKept({ device, driver, policy, manner, keptAt }: Kept): Uint8Array {
  const { hold, backend, cgroup } = manner;
  const document = {
    schema: SCHEMA,
    device: deviceNameJson(device),
    driver,
    policy,
    hold,
    backend: backend ?? null,
    cgroup: cgroup ?? null,
    kept_at: formatInstant(keptAt),
  };
  return utf8(`${JSON.stringify(document)}\n`);
}

export function parseKept(bytes: Uint8Array): Kept {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'kept');
  node.only('schema', 'device', 'driver', 'policy', 'hold', 'backend', 'cgroup', 'kept_at');
  node.get('schema').oneOf(SCHEMA);
  const driver = node.get('driver').only('path', 'sha256');
  const [backend, cgroup] = [node.get('backend'), node.get('cgroup')];
  const policy = node.get('policy');
  return {
    device: readDeviceName(node.get('device')),
    driver: {
      path: driver.get('path').string(),
      sha256: driver.get('sha256').matching(/^[0-9a-f]{64}$/, 'a SHA-256'),
    },
    policy: policy.value === null ? null : policy.string(),
    manner: {
      hold: node.get('hold').boolean(),
      backend: backend.value === null ? undefined : backend.oneOf(...BACKENDS),
      cgroup: cgroup.value === null ? undefined : cgroup.string(),
    },
    keptAt: node.get('kept_at').instant(),
  };
}

export async function storeKept(agent: Agent, kept: Kept): Promise<void> {
  const path = agent.place(agentState.kept(kept.device.path));
  await writeFileAtomic(path, formatKept(kept), { mode: 0o600 });
}

export async function loadKept(agent: Agent, bdf: string): Promise<Kept | undefined> {
  const bytes = await agent.read(agentState.kept(bdf));
  return bytes === undefined ? undefined : parseKept(bytes);
}

export function removeKept(agent: Agent, bdf: string): Promise<void> {
  return removeFile(agent, agentState.kept(bdf));
}

/** The addresses that something is declared for. A record is read by who needs it: one that is damaged hides no other. */
export function listKept(agent: Agent): Promise<string[]> {
  return listAddresses(agent, agentState.keptFolder, '.json');
}

/** Declares what is about to be bound; returns how to have it as it was before, for when it is not bound. */
export async function declare(agent: Agent, kept: Kept): Promise<() => Promise<void>> {
  const bdf = kept.device.path;
  const before = await loadKept(agent, bdf);
  await storeKept(agent, kept);
  return () => (before === undefined ? removeKept(agent, bdf) : storeKept(agent, before));
}
