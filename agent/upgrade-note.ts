/**
 * What is known of an upgrade that has begun: from which driver to which. It stands from before the first
 * driver is let go until one of the two is bound, and is what a crash in between is reconciled by.
 */

import { utf8 } from '../shared/bytes.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS } from '../shared/limits.ts';
import { type DeviceName, deviceNameJson, readDeviceName } from '../shared/manifest/quarantine.ts';
import { writeFileAtomic } from '../shared/node/files.ts';
import type { Agent } from './agent.ts';
import { listAddresses } from './state-names.ts';

export interface UpgradeNote {
  readonly device: DeviceName;
  /** The boot in which it began: another one has undone it in its own way. */
  readonly boot: string;
  readonly from: { readonly path: string; readonly sha256: string; readonly domain: number };
  readonly to: { readonly path: string; readonly sha256: string };
  /** The file of the fleet policy, absolute; null for what operators signed. */
  readonly policy: string | null;
}

const SCHEMA = 'ironport-agent.upgrade/v1';
const SHA256 = /^[0-9a-f]{64}$/;

export function parseUpgrade(bytes: Uint8Array): UpgradeNote {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'upgrade');
  node.only('schema', 'device', 'boot', 'from', 'to', 'policy').get('schema').oneOf(SCHEMA);
  const from = node.get('from').only('path', 'sha256', 'domain');
  const to = node.get('to').only('path', 'sha256');
  const policy = node.get('policy');
  return {
    device: readDeviceName(node.get('device')),
    boot: node.get('boot').string(),
    from: {
      path: from.get('path').string(),
      sha256: from.get('sha256').matching(SHA256, 'a SHA-256'),
      domain: from.get('domain').integer(1),
    },
    to: {
      path: to.get('path').string(),
      sha256: to.get('sha256').matching(SHA256, 'a SHA-256'),
    },
    policy: policy.value === null ? null : policy.string(),
  };
}

export async function storeUpgrade(agent: Agent, note: UpgradeNote): Promise<void> {
  const { device, ...rest } = note;
  const text = JSON.stringify({ schema: SCHEMA, device: deviceNameJson(device), ...rest });
  const path = agent.place(agentState.upgrade(device.path));
  await writeFileAtomic(path, utf8(`${text}\n`), { mode: 0o600 });
}

/** `E_SCHEMA` and the like when it is there and cannot be read. */
export async function loadUpgrade(agent: Agent, bdf: string): Promise<UpgradeNote | undefined> {
  const bytes = await agent.read(agentState.upgrade(bdf));
  return bytes === undefined ? undefined : parseUpgrade(bytes);
}

/** The devices with an upgrade that did not end. */
export function listUpgrades(agent: Agent): Promise<string[]> {
  return listAddresses(agent, agentState.upgradesFolder, '.json');
}
