/** The devices that a folder of the agent's state has a file about: told by the names, without a look into any. */

import { readdir } from 'node:fs/promises';
import { isIronError } from '../shared/errors.ts';
import { onPath } from '../shared/node/file-system.ts';
import type { Agent } from './agent.ts';
import { isBdf } from './host/bdf.ts';

/**
 * Addresses, in their order. What bears no address is nobody's: it stops nothing. A folder that cannot be
 * read is not an empty one: `E_IO` and the like.
 */
export async function listAddresses(
  agent: Agent,
  folder: string,
  suffix: string,
): Promise<string[]> {
  const place = agent.place(folder);
  const names = await onPath(place, () => readdir(place), 'E_NOT_FOUND').catch((error) => {
    if (isIronError(error, 'E_NOT_FOUND')) return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith(suffix))
    .map((name) => decoded(name.slice(0, -suffix.length)))
    .filter(isBdf)
    .sort();
}

/** Not every name is an encoded one. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return '';
  }
}
