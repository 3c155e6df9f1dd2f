/** The virtual functions that this agent made: the file is the moment from which they count as made. */

import { utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { agentState } from '../../shared/layout.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import { hexU64, readU64 } from '../../shared/manifest/numbers.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import type { Agent } from '../agent.ts';
import { removeFile } from '../binding.ts';
import { type BindingState, parseState, stateJson } from '../binding-state.ts';
import { listAddresses } from '../state-names.ts';

export interface VfSet {
  /** The physical function. */
  readonly device: string;
  /** The driver whose ceiling says what virtual functions may have. */
  readonly driver: { readonly path: string; readonly sha256: string };
  /** Drawn from the numbers of domains: unique on this host. */
  readonly number: number;
  /** The boot in which it was made: the next one begins without virtual functions. */
  readonly boot: string;
  readonly madeAt: Instant;
  /** What removing it restores. */
  readonly found: BindingState;
  readonly made: BindingState;
  /** Addresses, in the order of the hardware. */
  readonly vfs: readonly string[];
  /** Of each. */
  readonly budget: VfBudget;
}

const SCHEMA = 'ironport-agent.vfs/v1';

export async function storeVfSet(agent: Agent, set: VfSet): Promise<void> {
  const { device, driver, number, boot, madeAt, found, made, vfs, budget } = set;
  const text = JSON.stringify({
    schema: SCHEMA,
    device,
    driver,
    number,
    boot,
    made_at: formatInstant(madeAt),
    found: stateJson(found),
    made: stateJson(made),
    vfs,
    budget: budgetJson(budget),
  });
  await writeFileAtomic(agent.place(agentState.vfSet(device)), utf8(`${text}\n`), { mode: 0o600 });
}

/** The set of a physical function. `E_JSON`, `E_SCHEMA` when its file is damaged. */
export async function loadVfSet(agent: Agent, device: string): Promise<VfSet | undefined> {
  const bytes = await agent.read(agentState.vfSet(device));
  return bytes === undefined ? undefined : parseVfSet(bytes);
}

export function parseVfSet(bytes: Uint8Array): VfSet {
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'virtual functions');
  node.only(
    ...['schema', 'device', 'driver', 'number', 'boot', 'made_at', 'found', 'made'],
    ...['vfs', 'budget'],
  );
  node.get('schema').oneOf(SCHEMA);
  const driver = node.get('driver').only('path', 'sha256');
  const budget = node.get('budget').only('dma_bytes', 'mmio_bytes', 'interrupts_per_second');
  return {
    device: node.get('device').string(),
    driver: { path: driver.get('path').string(), sha256: driver.get('sha256').string() },
    number: node.get('number').integer(1),
    boot: node.get('boot').string(),
    madeAt: node.get('made_at').instant(),
    found: parseState(node.get('found')),
    made: parseState(node.get('made')),
    vfs: node
      .get('vfs')
      .items(0xffff)
      .map((vf) => vf.string()),
    budget: {
      dmaBytes: readU64(budget.get('dma_bytes')),
      mmioBytes: readU64(budget.get('mmio_bytes')),
      interruptsPerSecond: budget.get('interrupts_per_second').integer(0),
    },
  };
}

/** From here on there are none that this agent made. */
export async function removeVfSet(agent: Agent, { device }: VfSet): Promise<void> {
  await removeFile(agent, agentState.vfSet(device));
}

/** Every set, by the address of its physical function. */
export async function listVfSets(agent: Agent): Promise<VfSet[]> {
  const found: VfSet[] = [];
  for (const device of await listSetsOf(agent)) {
    const set = await loadVfSet(agent, device);
    if (set !== undefined) found.push(set);
  }
  return found;
}

/** The physical functions that have one. */
export function listSetsOf(agent: Agent): Promise<string[]> {
  return listAddresses(agent, agentState.vfSetsFolder, '.json');
}

export function budgetJson(budget: VfBudget): JsonObject {
  return {
    dma_bytes: hexU64(budget.dmaBytes),
    mmio_bytes: hexU64(budget.mmioBytes),
    interrupts_per_second: budget.interruptsPerSecond,
  };
}
