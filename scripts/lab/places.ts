/** Where the lab keeps what it fetched and built. Nothing of it is in the checkout, or installed. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url));

/** Fetched packages, unpacked trees and kernels; safe to remove at any time. */
export function cacheFolder(env: NodeJS.ProcessEnv = process.env): string {
  if (env.IRONPORT_LAB_CACHE !== undefined) return env.IRONPORT_LAB_CACHE;
  // XDG Base Directory Specification: a relative path is to be ignored.
  const base = env.XDG_CACHE_HOME?.startsWith('/') ? env.XDG_CACHE_HOME : join(homedir(), '.cache');
  return join(base, 'ironport-lab');
}
