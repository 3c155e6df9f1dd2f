/** Every variable of the environment that the client reads, and which of them may hold a secret. */

import { homedir } from 'node:os';

export type Env = Readonly<Record<string, string | undefined>>;

export interface Variable {
  readonly name: string;
  readonly meaning: string;
  /** Whether its value may hold a password; then only what is no secret of it is ever shown. */
  readonly secret?: boolean;
}

export const VARIABLES: readonly Variable[] = [
  { name: 'IRONPORT_REPOSITORY', meaning: 'the repository, when no address is written' },
  {
    name: 'IRONPORT_MIRRORS',
    meaning: 'further addresses of it, with spaces between, as --mirror',
  },
  { name: 'IRONPORT_LIMIT_RATE', meaning: 'most bytes a second from servers, as --limit-rate' },
  { name: 'IRONPORT_STORE', meaning: 'the folder of what is trusted, as --store' },
  { name: 'IRONPORT_OFFLINE', meaning: '1 asks no network, as --offline' },
  { name: 'IRONPORT_CONFIG', meaning: 'the configuration file, in place of the usual places' },
  { name: 'IRONPORT_DEBUG', meaning: '1 adds stacks to errors' },
  { name: 'XDG_STATE_HOME', meaning: 'where stores are kept; ~/.local/state when not set' },
  {
    name: 'XDG_CONFIG_HOME',
    meaning: 'where a configuration is looked for; ~/.config when not set',
  },
  { name: 'HOME', meaning: 'the home folder' },
  { name: 'https_proxy', meaning: 'proxy for https addresses', secret: true },
  { name: 'HTTPS_PROXY', meaning: 'the same', secret: true },
  { name: 'http_proxy', meaning: 'proxy for http addresses', secret: true },
  { name: 'HTTP_PROXY', meaning: 'the same', secret: true },
  { name: 'no_proxy', meaning: 'hosts that are reached without a proxy' },
  { name: 'NO_PROXY', meaning: 'the same' },
  { name: 'NODE_EXTRA_CA_CERTS', meaning: 'certificates that TLS trusts besides its own' },
  { name: 'NO_COLOR', meaning: 'colours nothing' },
  { name: 'FORCE_COLOR', meaning: 'colours also where there is no terminal' },
  { name: 'TERM', meaning: 'dumb draws no bars and no colours' },
  { name: 'CI', meaning: 'draws no bars' },
];

export interface Described extends Variable {
  /** `environment`, the path of a configuration file, or `not set`. */
  readonly source: string;
  /** The value, without what is secret in it; null when it is not set. */
  readonly shown: string | null;
}

/** `sources` says which variables a configuration file stood in for. */
export function describeEnvironment(
  env: Env,
  sources: ReadonlyMap<string, string> = new Map(),
): Described[] {
  return VARIABLES.map((variable) => {
    const value = env[variable.name];
    const isSet = value !== undefined && value !== '';
    const source = sources.get(variable.name) ?? (isSet ? 'environment' : 'not set');
    const shown = isSet ? (variable.secret === true ? withoutPassword(value) : value) : null;
    return { ...variable, source, shown };
  });
}

/** A proxy's address without who uses it; what is no address is not shown at all. */
export function withoutPassword(text: string): string {
  const url = URL.parse(/^[a-z]+:\/\//i.test(text) ? text : `http://${text}`);
  if (url === null) return '(set, and not an address)';
  const who = url.username === '' && url.password === '' ? '' : '(hidden)@';
  return `${url.protocol}//${who}${url.host}`;
}

/** Names of people stand in home folders; a report has no need of them. */
export function withoutHome(text: string, env: Env): string {
  const home = env.HOME ?? homedir();
  return home.length > 1 ? text.replaceAll(home, '~') : text;
}
