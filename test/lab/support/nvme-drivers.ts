/**
 * Drivers for NVMe controllers as this agent keeps what it accepted: how it comes to accept one is shown
 * by `whole-way`. Their ceilings and the fleet's policy are made here too.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { Agent } from '../../../agent/agent.ts';
import { formatAccepted } from '../../../agent/entry.ts';
import { utf8 } from '../../../shared/bytes.ts';
import { Node } from '../../../shared/json/decode.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { acceptedFile, agentState } from '../../../shared/layout.ts';
import { parseCeiling } from '../../../shared/manifest/ceiling.ts';
import { hexU64 } from '../../../shared/manifest/numbers.ts';
import type { Window } from '../../../shared/manifest/windows.ts';

const STATE = '/tmp/sriov-agent';
export const POLICY = '/tmp/sriov-policy.json';

/** Of QEMU, for physical and virtual function alike (hw/nvme/ctrl.c). */
const IDS = { vendor: '0x1b36', device: '0x0010' } as const;
/** Of all virtual functions together, and the most for each. */
export const TOTAL = { dma_bytes: '0x20000', mmio_bytes: '0x8000', interrupts_per_second: 1000 };
const EACH = { dma_bytes: '0x100000', mmio_bytes: '0x4000', interrupts_per_second: 400 };

function ceilingOf(more: JsonObject, window?: Window): JsonObject {
  const length = window === undefined ? 0x1_0000n : window.end - window.start;
  const named = window && [
    { iova: hexU64(window.start), length_bytes: hexU64(length), access: 'read-write' },
  ];
  return {
    devices: [IDS],
    bars: [{ index: 0, offset_bytes: '0x0', length_bytes: '0x2000', access: 'read-write' }],
    ports: [],
    interrupts: { kind: 'msix', vectors: 1, per_second_budget: 1000 },
    dma: {
      mask_bits: 48,
      total_bytes: hexU64(length),
      windows_max: 1,
      direction: 'bidirectional',
      ...(named && { windows: named }),
    },
    abi: { min: 1, max: 1 },
    generation: 1,
    ...more,
  };
}

/** Of the driver that manages virtual functions, and of one that has this window. */
export const MANAGER = ceilingOf({ virtual_functions: { count_max: 4, each: EACH } });
export const driverWith = (window: Window): JsonObject => ceilingOf({}, window);

export async function nvmeAgent(): Promise<Agent> {
  const policy = {
    schema: 'ironport.fleet-policy/v1',
    page_size_bytes: 4096,
    grant_seconds: 86_400,
    allow: [
      {
        namespace: 'acme',
        devices: [IDS],
        bars: [{ index: 0, access: 'read-write' }],
        ports: false,
        interrupts: { kinds: ['msix'], vectors: 1, per_second_budget: 1000 },
        dma: { total_bytes: '0x100000', windows_max: 1, direction: 'bidirectional' },
        virtual_functions: { count_max: 3, total: TOTAL },
      },
    ],
  };
  writeFileSync(POLICY, JSON.stringify(policy));
  const agent = new Agent({ state: STATE, writeSeconds: 200, settleSeconds: 60 });
  // Makes its folders.
  await agent.alone(async () => {});
  return agent;
}

/**
 * Puts a driver with this ceiling among those that were accepted, of a vendor who has hardware of these ids;
 * returns its target path.
 */
export function keepAccepted(
  agent: Agent,
  name: string,
  ceiling: JsonObject,
  ids: { readonly vendor: string; readonly device: string } = IDS,
): string {
  const path = `acme/${name}/1.0.0/${name}`;
  const bytes = utf8(`driver ${path}\n`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const place = agent.place(agentState.accepted(path));
  const now = agent.clock();
  mkdirSync(place, { recursive: true });
  writeFileSync(`${place}/${acceptedFile.artifact}`, bytes);
  const entry = formatAccepted({
    artifact: { path, length: bytes.length, sha256 },
    sidecars: new Map([['ceiling', { path: `${path}.ceiling.json`, length: 1, sha256 }]]),
    ceiling: parseCeiling(new Node(ceiling, 'ceiling')),
    ceilingSource: ceiling,
    hardwareIds: [{ bus: 'PCI', vendor: Number(ids.vendor), device: Number(ids.device) }],
    product: `acme/${name}`,
    generation: 1,
    acceptedAt: now,
    freshUntil: now + 86_400,
    versions: new Map(),
    quorums: [],
    revocations: undefined,
  });
  writeFileSync(`${place}/${acceptedFile.entry}`, entry);
  return path;
}
