/** Which folder holds what this user trusts of a repository. */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { toHex, utf8 } from '../../shared/bytes.ts';
import type { Crypto } from '../../shared/crypto/crypto.ts';
import { IronError } from '../../shared/errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_STATE_HOME/ironport`, or `~/.local/state/ironport` (XDG Base Directory 0.8). */
export function stateFolder(env: Env): string {
  const given = env.XDG_STATE_HOME;
  // The specification has relative paths ignored.
  if (given !== undefined && isAbsolute(given)) return join(given, 'ironport');
  const home = env.HOME ?? homedir();
  if (!isAbsolute(home)) {
    throw new IronError('E_CONFIG', 'there is no place for what is trusted: HOME is not set', {
      hint: 'set XDG_STATE_HOME or HOME to an absolute path, or give --store FOLDER',
    });
  }
  return join(home, '.local', 'state', 'ironport');
}

/**
 * The folder for the repository at `url` (as `repositoryUrl` makes it): its readable part first,
 * then enough of its hash that no two repositories ever share one.
 */
export function storeFolder(crypto: Crypto, env: Env, url: string): string {
  const readable = url
    .replace(/^[a-z]+:\/\//, '')
    .replace(/[^A-Za-z0-9.-]+/g, '_')
    .replace(/^[._]+|[._]+$/g, '')
    .slice(0, 60);
  const hash = toHex(crypto.sha256(utf8(url))).slice(0, 12);
  return join(stateFolder(env), `${readable === '' ? 'repository' : readable}-${hash}`);
}
