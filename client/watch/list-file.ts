/**
 * The list of repositories that one watch is for. A host's own file, never fetched:
 *
 *     {
 *       "schema": "ironport.watch/v1",
 *       "repositories": {
 *         "vendors": { "addresses": ["https://drivers.example"], "every": "6h" },
 *         "lab": { "addresses": ["/srv/lab"], "store": "/var/lib/ironport/lab", "handoff": "/run/lab" }
 *       }
 *     }
 */

import { resolve } from 'node:path';
import { IronError, isIronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { MAP_LIMITS } from '../../shared/limits.ts';
import { HOUR, parseSpan } from '../../shared/time.ts';
import { parseRepositoryName } from '../../shared/tuf/map-file.ts';

export interface ListedRepository {
  readonly name: string;
  /** The repository's own, then its mirrors. */
  readonly addresses: readonly [string, ...string[]];
  /** Where what is trusted lies; the caller's to choose when it is absent. */
  readonly store: string | undefined;
  /** Its hand-overs, likewise. */
  readonly handoff: string | undefined;
  /** Seconds between turns, likewise. */
  readonly every: number | undefined;
}

const SCHEMA = 'ironport.watch/v1';

/** Reads a list. Every refusal is `E_CONFIG`, with the place in the file. */
export function parseWatchList(bytes: Uint8Array): readonly ListedRepository[] {
  try {
    return read(new Node(parseJson(bytes, { length: MAP_LIMITS.file }), 'list'));
  } catch (error) {
    if (!isIronError(error, 'E_JSON', 'E_SCHEMA', 'E_NAME', 'E_TOO_LARGE', 'E_USAGE')) throw error;
    throw new IronError('E_CONFIG', `the list of repositories is not valid: ${error.message}`, {
      cause: error,
      hint: 'nothing was changed; correct the file: without a valid one nothing is watched',
      context: error.context,
    });
  }
}

/** `--every` and its like, in seconds. `E_USAGE` below an hour. */
export function parseEvery(text: string, what = '--every'): number {
  const seconds = parseSpan(text);
  if (seconds >= HOUR) return seconds;
  throw new IronError('E_USAGE', `${what} is at least 1h`);
}

function read(node: Node): ListedRepository[] {
  node.only('schema', 'repositories').get('schema').oneOf(SCHEMA);
  const entries = node.get('repositories').entries(MAP_LIMITS.repositories);
  if (entries.length === 0) throw node.get('repositories').error('at least one is expected');
  const listed = entries.map(([name, value]) => readOne(parseRepositoryName(name), value));
  for (const field of ['store', 'handoff'] as const) demandApart(listed, field);
  return listed;
}

/** Where those go that name no folder of their own: below a folder of all of them, by their names. */
export interface Bases {
  readonly store: ((name: string) => string) | undefined;
  readonly handoff: ((name: string) => string) | undefined;
}

/** The list with every folder in it that is known. `E_CONFIG` when two have the same one. */
export function placed(
  listed: readonly ListedRepository[],
  { store, handoff }: Bases,
): readonly ListedRepository[] {
  const all = listed.map((one) => ({
    ...one,
    store: one.store ?? store?.(one.name),
    handoff: one.handoff ?? handoff?.(one.name),
  }));
  for (const field of ['store', 'handoff'] as const) demandApart(all, field);
  return all;
}

function readOne(name: string, node: Node): ListedRepository {
  node.only('addresses', 'store', 'handoff', 'every');
  const [first, ...mirrors] = node
    .get('addresses')
    .items(MAP_LIMITS.urls)
    .map((item) => text(item, 'an address'));
  if (first === undefined) throw node.get('addresses').error('at least one address is expected');
  const every = node.maybe('every');
  const [store, folder] = [node.maybe('store'), node.maybe('handoff')];
  return {
    name,
    addresses: [first, ...mirrors],
    store: store && text(store, 'a folder'),
    handoff: folder && text(folder, 'a folder'),
    every: every && parseEvery(every.string(), every.path),
  };
}

function text(node: Node, what: string): string {
  const value = node.string();
  if (value === '' || value.length > MAP_LIMITS.text || value.includes('\0'))
    throw node.error(`${what} of 1 to ${MAP_LIMITS.text} characters is expected`);
  return value;
}

/** Two that share a folder would each undo what the other does. */
function demandApart(listed: readonly ListedRepository[], field: 'store' | 'handoff'): void {
  const seen = new Map<string, string>();
  for (const one of listed) {
    if (one[field] === undefined) continue;
    const place = resolve(one[field]);
    const other = seen.get(place);
    if (other !== undefined)
      throw new IronError('E_CONFIG', `${one.name} and ${other} have the same ${field}: ${place}`, {
        why: 'each would undo what the other does',
        hint: 'nothing was changed; give each repository of the list a folder of its own',
      });
    seen.set(place, one.name);
  }
}
