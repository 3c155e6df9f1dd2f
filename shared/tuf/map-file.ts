/**
 * The map file (TAP 4): which repositories speak for which target paths on this host, and how many
 * of them must say the same. It is the host's own word, never fetched from a repository.
 *
 *     {
 *       "repositories": { "vendors": ["https://drivers.example/"], "fleet": ["https://fleet.example/"] },
 *       "mapping": [
 *         { "paths": [PATTERN], "repositories": ["vendors", "fleet"], "threshold": 2, "terminating": true }
 *       ]
 *     }
 */

import { type Code, IronError, isIronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { parseJson } from '../json/read.ts';
import { MAP_LIMITS } from '../limits.ts';
import { quoted } from './names.ts';

export interface MapFile {
  /** Addresses by repository name, in order of preference. */
  readonly repositories: ReadonlyMap<string, readonly string[]>;
  /** In order of precedence. */
  readonly mapping: readonly Mapping[];
}

export interface Mapping {
  readonly paths: readonly string[];
  /** Distinct names, each of the table, in order of preference. */
  readonly repositories: readonly string[];
  /** From 1 to the number of `repositories`. */
  readonly threshold: number;
  readonly terminating: boolean;
}

/** Reads a map file of this host. Every refusal is `E_CONFIG`, with the place in the file. */
export function parseMapFile(bytes: Uint8Array): MapFile {
  try {
    return read(new Node(parseJson(bytes, { length: MAP_LIMITS.file }), 'map'));
  } catch (error) {
    if (!isIronError(error, ...UNREADABLE)) throw error;
    throw new IronError('E_CONFIG', `the map file is not valid: ${error.message}`, {
      cause: error,
      hint: 'nothing was changed; correct the map file: without a valid one no repository is asked',
      context: error.context,
    });
  }
}

const UNREADABLE: readonly Code[] = ['E_JSON', 'E_SCHEMA', 'E_NAME', 'E_TOO_LARGE'];

/**
 * A repository's name, which is also the name of its folder in the store. Lower-case only: two
 * names that differ by case would be one folder on some disks. `E_NAME`.
 */
export function parseRepositoryName(name: string): string {
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(name)) {
    throw new IronError('E_NAME', `not the name of a repository: ${quoted(name)}`, {
      hint: 'use 1 to 32 of a-z, 0-9 and -, beginning with a letter or digit',
    });
  }
  return name;
}

function read(node: Node): MapFile {
  node.only('repositories', 'mapping');
  const repositories = readRepositories(node.get('repositories'));
  const mapping = node
    .get('mapping')
    .items(MAP_LIMITS.mappings)
    .map((item) => readMapping(item, repositories));
  if (mapping.length === 0) throw node.get('mapping').error('at least one mapping is expected');
  return { repositories, mapping };
}

function readRepositories(node: Node): MapFile['repositories'] {
  const repositories = new Map<string, readonly string[]>();
  const spoken = new Map<string, string>();
  for (const [key, value] of node.entries(MAP_LIMITS.repositories)) {
    const name = parseRepositoryName(key);
    const urls = listed(value, MAP_LIMITS.urls, 'address');
    for (const url of urls) {
      // One repository under two names would be counted twice.
      const other = spoken.get(url);
      if (other !== undefined) throw value.error(`the address is that of ${quoted(other)} as well`);
      spoken.set(url, name);
    }
    repositories.set(name, urls);
  }
  return repositories;
}

function readMapping(node: Node, known: MapFile['repositories']): Mapping {
  node.only('paths', 'repositories', 'threshold', 'terminating');
  const repositories = listed(node.get('repositories'), MAP_LIMITS.repositories, 'repository');
  for (const name of repositories) {
    if (!known.has(name))
      throw node.get('repositories').error(`there is no repository ${quoted(name)} in the map`);
  }
  return {
    paths: listed(node.get('paths'), MAP_LIMITS.paths, 'path pattern'),
    repositories,
    // TAP 4 (D): a minimum. Zero would ask nobody, and more than there are could never be met.
    threshold: node.get('threshold').integer(1, repositories.length),
    terminating: node.get('terminating').boolean(),
  };
}

/** One or more strings, none of them empty, too long, or there twice. */
function listed(node: Node, most: number, what: string): string[] {
  const texts = node.items(most).map((item) => {
    const text = item.string();
    if (text === '' || text.length > MAP_LIMITS.text)
      throw item.error(`a ${what} of 1 to ${MAP_LIMITS.text} characters is expected`);
    return text;
  });
  if (texts.length === 0) throw node.error(`at least one ${what} is expected`);
  if (new Set(texts).size !== texts.length) throw node.error(`a ${what} stands twice`);
  return texts;
}
