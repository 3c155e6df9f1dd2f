/** What the service is told from outside: where its folder is, and where it listens. */

import { resolve } from 'node:path';
import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import { IronError } from '../shared/errors.ts';

export const DEFAULT_HOME = 'repo-data';
export const DEFAULT_LISTEN = '127.0.0.1:8080';

export const DIR_OPTION: OptionSpec = {
  flags: '--dir <folder>',
  description: "the service's folder",
  default: DEFAULT_HOME,
  env: 'IRONPORT_REPO_DIR',
};

export const PUBLIC_NAME_OPTION: OptionSpec = {
  flags: '--public-name <host>',
  description: 'a name, as host or host:port, under which vendors reach the service',
  repeatable: true,
};

const METRICS_OPTION: OptionSpec = {
  flags: '--metrics <address>',
  description:
    'answer /metrics, /healthz and /readyz on an address of its own, such as 127.0.0.1:9464',
};

export const LOG_OPTION: OptionSpec = {
  flags: '--log-json',
  description: 'write one JSON line on stderr for each request, publication, refusal and failure',
};

const WEBHOOK_OPTION: OptionSpec = {
  flags: '--webhook-file <file>',
  description: 'a file with the address that is told when an offline role must be signed again',
  env: 'IRONPORT_WEBHOOK_FILE',
};

/** How the service is looked at while it runs. */
export const WATCH_OPTIONS: readonly OptionSpec[] = [METRICS_OPTION, LOG_OPTION, WEBHOOK_OPTION];

/** The service's folder, absolute. */
export function homeOf(context: CommandContext): string {
  return resolve(context.text('dir') ?? DEFAULT_HOME);
}

export interface Listen {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:8080`, `[::1]:0`, `http://localhost:8080` as what a socket takes. `E_USAGE`. */
export function parseListen(text: string): Listen {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`);
  if (url === null || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw new IronError('E_USAGE', `not an address to listen on: ${text}`, {
      hint: 'write it as 127.0.0.1:8080 or [::1]:8080',
    });
  }
  if (url.protocol !== 'http:') {
    throw new IronError('E_USAGE', 'the service itself speaks plain HTTP', {
      why: 'what it serves is signed; a proxy in front of it adds TLS where that is wanted',
    });
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { host, port: url.port === '' ? 80 : Number(url.port) };
}

/** `http://127.0.0.1:8080` */
export function urlOf({ host, port }: Listen): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

const LOOPBACK = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * The names under which requests are taken, as their signatures cover them. On loopback all of its
 * names; on other addresses the address itself and what the operator says.
 */
export function namesOf(listen: Listen, publicNames: readonly string[]): ReadonlySet<string> {
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host.toLowerCase();
  const local = LOOPBACK.includes(host) ? LOOPBACK : [host];
  const own = local.map((name) => (listen.port === 80 ? name : `${name}:${listen.port}`));
  return new Set([...own, ...publicNames.map((name) => name.toLowerCase().replace(/:80$/, ''))]);
}
