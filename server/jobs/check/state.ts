/**
 * What a check remembers for the next one: versions, what stood under names that never change, which
 * bytes a path of a target means, and until when they must be there.
 */

import { toHex, utf8 } from '../../../shared/bytes.ts';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { Node } from '../../../shared/json/decode.ts';
import { readJsonFile, writeFileAtomic } from '../../../shared/node/files.ts';
import type { Instant } from '../../../shared/time.ts';

const SCHEMA = 'ironport.check-state/v2';
/** Without targets, and without what unversioned files said. */
const FIRST_SCHEMA = 'ironport.check-state/v1';
const LIMIT = 256 * 1024 * 1024;
/** Targets that are remembered; those that come first stay. */
const MOST_TARGETS = 200_000;
/** Bytes of their names, which others choose: with all else that is kept it must be read again. */
const ROOM = 160 * 1024 * 1024;

export interface CheckState {
  /** Looks before this one. */
  looks: number;
  /** Highest versions that were ever seen, by role; they only rise. */
  readonly versions: Map<string, number>;
  /** SHA-256 of files whose name says that they never change, by path. */
  readonly files: Map<string, string>;
  /** What the newest version of a role said whose file has no version in its name, by role. */
  readonly said: Map<string, Said>;
  /** What was signed of each target: the name of a hash, a colon and the digest, by path. */
  readonly targets: Map<string, string>;
  /** Until when the bytes of a target are promised, by where they lie. */
  readonly places: Map<string, Instant>;
  /** Bytes that names of further targets and places may take. Owned by the functions of this file. */
  room: number;
}

export interface Said {
  readonly version: number;
  /** Of what is signed. */
  readonly sha256: string;
}

export function emptyState(): CheckState {
  return {
    looks: 0,
    ...{ versions: new Map(), files: new Map(), said: new Map() },
    ...{ targets: new Map(), places: new Map(), room: ROOM },
  };
}

/** `E_SCHEMA` or `E_JSON` when it is damaged: what was seen is not guessed. */
export async function loadState(path: string): Promise<CheckState> {
  try {
    return parseState(new Node(await readJsonFile(path, LIMIT), path));
  } catch (error) {
    if (isIronError(error, 'E_NOT_FOUND')) return emptyState();
    throw error;
  }
}

function parseState(node: Node): CheckState {
  const isFirst = node.get('schema').oneOf(SCHEMA, FIRST_SCHEMA) === FIRST_SCHEMA;
  const digest = (value: Node): string => value.matching(/^[0-9a-f]{64}$/, 'a digest');
  const read = <T>(field: string, take: (value: Node) => T): Map<string, T> =>
    new Map(
      node
        .get(field)
        .entries()
        .map(([name, value]) => [name, take(value)] as const),
    );
  const versions = read('versions', (value) => value.integer(1));
  const files = read('files', digest);
  if (isFirst) {
    node.only('schema', 'versions', 'files');
    return { ...emptyState(), versions, files };
  }
  node.only('schema', 'looks', 'versions', 'files', 'said', 'targets', 'places');
  const targets = read('targets', (value) =>
    value.matching(/^[a-z0-9-]{1,32}:[0-9a-f]{32,256}$/, 'a hash and a digest'),
  );
  const places = read('places', (value) => value.integer(0));
  let room = ROOM;
  for (const name of [...targets.keys(), ...places.keys()]) room -= sizeOf(name);
  return {
    looks: node.get('looks').integer(0),
    ...{ versions, files, targets, places, room },
    said: read('said', (value) => {
      value.only('version', 'sha256');
      return { version: value.get('version').integer(1), sha256: digest(value.get('sha256')) };
    }),
  };
}

/** What a name takes in the file. */
function sizeOf(name: string): number {
  return utf8(JSON.stringify(name)).length;
}

/** `E_TOO_LARGE` for what could not be read again: what was kept before stays. */
export async function saveState(path: string, state: CheckState, limit = LIMIT): Promise<void> {
  const sorted = <T>(map: ReadonlyMap<string, T>): Record<string, T> =>
    Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  const { looks, versions, files, said, targets, places } = state;
  const document = {
    ...{ schema: SCHEMA, looks, versions: sorted(versions), files: sorted(files) },
    ...{ said: sorted(said), targets: sorted(targets), places: sorted(places) },
  };
  const bytes = utf8(`${JSON.stringify(document)}\n`);
  if (bytes.length > limit)
    throw new IronError('E_TOO_LARGE', `what was seen takes ${bytes.length} bytes`, {
      why: `at most ${limit} are read at the next look`,
      hint: `${path} was not changed; look at what the repository lists`,
      context: { length: bytes.length, limit },
    });
  await writeFileAtomic(path, bytes);
}

/** What a file was before, when it was seen with other bytes. */
export function seenAs(
  { files }: CheckState,
  path: string,
  sha256: Uint8Array,
): string | undefined {
  const before = files.get(path);
  return before === toHex(sha256) ? undefined : before;
}

/** Notes a file that was not seen before; what it was first stays. */
export function noteFile({ files }: CheckState, path: string, sha256: Uint8Array): void {
  if (!files.has(path)) files.set(path, toHex(sha256));
}

/** Notes what a version of a role says; true when that version said something else before. */
export function noteSaid(
  { said }: CheckState,
  role: string,
  version: number,
  sha256: Uint8Array,
): boolean {
  const digest = toHex(sha256);
  const before = said.get(role);
  if (before?.version === version) return before.sha256 !== digest;
  if (before === undefined || before.version < version) said.set(role, { version, sha256: digest });
  return false;
}

/**
 * Notes what is signed of a target; what was signed before, when that was something else. `full` when
 * more are remembered than there is room for.
 * @param mayMove whether this path may mean other bytes: then the newest are remembered
 */
export function noteTarget(
  state: CheckState,
  path: string,
  digest: string,
  bytes: { readonly place: string; readonly until: Instant },
  mayMove: boolean,
): string | undefined {
  const { targets } = state;
  const before = targets.get(path);
  if (before === undefined) {
    const size = sizeOf(path);
    if (targets.size >= MOST_TARGETS || size > state.room) return 'full';
    state.room -= size;
  }
  notePlace(state, bytes.place, bytes.until);
  if (before !== undefined && before !== digest && !mayMove) return before;
  targets.set(path, digest);
  return undefined;
}

function notePlace(state: CheckState, place: string, until: Instant): void {
  const { places } = state;
  const before = places.get(place);
  if (before === undefined) {
    const size = sizeOf(place);
    if (places.size >= 2 * MOST_TARGETS || size > state.room) return;
    state.room -= size;
  }
  places.set(place, Math.max(until, before ?? until));
}

/** A place to which readers cannot be sent any more. */
export function forgetPlace(state: CheckState, place: string): void {
  if (state.places.delete(place)) state.room += sizeOf(place);
}
