/**
 * What this agent trusts, kept by itself: the root it was given once, the roots that followed from
 * it, version floors, and the least security generation of each product. Written only after every
 * check of a hand-over passed.
 */

import { equalBytes, utf8 } from '../shared/bytes.ts';
import { IronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { parseJson } from '../shared/json/read.ts';
import { jsonObject } from '../shared/json/value.ts';
import { agentState } from '../shared/layout.ts';
import { AGENT_LIMITS, METADATA_LIMITS } from '../shared/limits.ts';
import { readFileCapped, writeFileAtomic, writeFileExclusive } from '../shared/node/files.ts';
import type { Instant } from '../shared/time.ts';
import { parseRoot } from '../shared/tuf/root.ts';
import { type Floors, formatFloors, NO_FLOORS, parseFloors } from '../shared/verify/floors.ts';
import type { Revocations } from '../shared/verify/revocations.ts';
import { judgedNow } from '../shared/verify/time-floor.ts';
import type { Agent } from './agent.ts';

/** Least generation by `vendor/product`. */
export type Generations = ReadonlyMap<string, number>;

export interface Trust {
  readonly root: Uint8Array;
  readonly isPinned: boolean;
  readonly knownRoots: ReadonlyMap<number, Uint8Array>;
  readonly floors: Floors;
  readonly generations: Generations;
}

/**
 * What was stored, with the root in the file `given` when none was pinned yet. `E_NO_PIN` without
 * either; `E_PIN_EXISTS` when the file holds another root than the pinned one.
 */
export async function loadTrust(agent: Agent, given: string | undefined): Promise<Trust> {
  const pinned = await agent.read(agentState.pinnedRoot, METADATA_LIMITS.root);
  const offered =
    given === undefined ? undefined : await readFileCapped(given, METADATA_LIMITS.root);
  if (pinned !== undefined && offered !== undefined && !equalBytes(pinned, offered)) {
    throw new IronError('E_PIN_EXISTS', 'this agent has another root pinned already', {
      why: 'a pinned root is replaced by the roots that follow from it, never by a file',
      hint: 'nothing was changed; leave out --root to use the pinned one',
    });
  }
  const root = pinned ?? offered;
  if (root === undefined) {
    throw new IronError('E_NO_PIN', 'no root is pinned for this agent', {
      why: 'the agent trusts nobody who hands something over, also not about whom to trust',
      hint: 'give it the root file that you got from the operators by another way: --root FILE',
    });
  }
  const floors = await agent.read(agentState.floors);
  return {
    root,
    isPinned: pinned !== undefined,
    knownRoots: await loadRoots(agent, parseRoot(root).version),
    floors: { time: 0, ...(floors === undefined ? NO_FLOORS : parseFloors(floors)) },
    generations: await loadGenerations(agent),
  };
}

/** The present by which this agent judges: a clock that was set back revives nothing (time-floor.ts). */
export async function loadPresent(agent: Agent): Promise<Instant> {
  const floors = await agent.read(agentState.floors);
  return judgedNow(agent.clock(), floors === undefined ? undefined : parseFloors(floors).time);
}

/** Stored roots in sequence; the verifier verifies them again. */
async function loadRoots(agent: Agent, pinned: number): Promise<Map<number, Uint8Array>> {
  const roots = new Map<number, Uint8Array>();
  for (let version = pinned + 1; ; version++) {
    const bytes = await agent.read(agentState.rootHistory(version), METADATA_LIMITS.root);
    if (bytes === undefined) return roots;
    roots.set(version, bytes);
  }
}

const SCHEMA = 'ironport-agent.generations/v1';

/** The least generation of each product that this host still takes. */
export async function loadGenerations(agent: Agent): Promise<Generations> {
  const bytes = await agent.read(agentState.generations);
  if (bytes === undefined) return new Map();
  const node = new Node(parseJson(bytes, { length: AGENT_LIMITS.state }), 'generations');
  node.only('schema', 'products').get('schema').oneOf(SCHEMA);
  const products = node.get('products').entries();
  return new Map(products.map(([product, generation]) => [product, generation.integer(0)]));
}

export interface NewTrust {
  readonly newRoots: ReadonlyMap<number, Uint8Array>;
  readonly floors: Floors;
  readonly generations: Generations;
  /** The list of revocations that was verified, where there is one. */
  readonly revocations?: Revocations;
}

/**
 * Stores what a verified hand-over taught. Roots come before floors: TUF 5.3.11 may lower floors,
 * and a crash in between must never leave lowered floors without the root that permits them.
 */
export async function storeTrust(agent: Agent, before: Trust, after: NewTrust): Promise<void> {
  const mode = 0o600;
  if (!before.isPinned)
    await writeFileExclusive(agent.place(agentState.pinnedRoot), before.root, { mode });
  for (const [version, bytes] of after.newRoots)
    await writeFileExclusive(agent.place(agentState.rootHistory(version)), bytes, { mode });
  // Before the floor that it makes: a crash in between leaves a list that is newer than its floor.
  if (after.revocations?.bytes !== undefined)
    await writeFileAtomic(agent.place(agentState.revocations), after.revocations.bytes, { mode });
  const products = jsonObject(after.generations);
  const generations = utf8(`${JSON.stringify({ schema: SCHEMA, products })}\n`);
  await writeFileAtomic(agent.place(agentState.generations), generations, { mode });
  await writeFileAtomic(agent.place(agentState.floors), formatFloors(after.floors), { mode });
}

/**
 * The generations with that of one product raised. `E_ROLLBACK` when it is below the floor: an
 * older generation has a fault that the vendor declared must not come back.
 */
export function raiseGeneration(
  generations: Generations,
  product: string,
  generation: number,
): Generations {
  const floor = generations.get(product) ?? 0;
  if (generation < floor) {
    throw new IronError(
      'E_ROLLBACK',
      `${product} went back from security generation ${floor} to ${generation}`,
      {
        why: 'this host accepted a newer generation before, and never goes back behind it',
        hint: `nothing was changed; hand over a version of generation ${floor} or above, as the vendor can make one`,
        context: { product, offered: generation, floor },
      },
    );
  }
  return new Map([...generations, [product, generation]]);
}
