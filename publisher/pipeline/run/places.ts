/** Where the pipeline keeps what is not its result (XDG Base Directory 0.8). */

import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { IronError } from '../../../shared/errors.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_CACHE_HOME/ironport`, or `~/.cache/ironport`. */
export function cacheFolder(env: Env): string {
  return join(base(env, env.XDG_CACHE_HOME, '.cache'), 'ironport');
}

/** `$XDG_STATE_HOME/ironport/pipeline.jsonl`, or that below `~/.local/state`. */
export function auditFile(env: Env): string {
  return join(base(env, env.XDG_STATE_HOME, join('.local', 'state')), 'ironport', 'pipeline.jsonl');
}

function base(env: Env, given: string | undefined, below: string): string {
  // The specification has relative paths ignored.
  if (given !== undefined && isAbsolute(given)) return given;
  const home = env.HOME ?? homedir();
  if (!isAbsolute(home)) {
    throw new IronError('E_CONFIG', 'there is no place for cache and audit: HOME is not set', {
      hint: 'set HOME, or XDG_CACHE_HOME and XDG_STATE_HOME, to absolute paths',
    });
  }
  return join(home, below);
}
