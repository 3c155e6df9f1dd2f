/**
 * Who carries the requests: Node's own HTTP client; undici where a proxy stands between, and for
 * large files, of which it carries each byte at half the cost. Of undici, whose whole costs a small
 * command more start-up time than the rest of the program does, only the part is loaded that is
 * needed, and only then (docs/adr/0039).
 */

import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import type { Connections } from './connections.ts';
import { DirectConnections } from './direct.ts';
import type { Pace } from './exchange.ts';

export type Env = Readonly<Record<string, string | undefined>>;

/** Connections that are kept alive and obey `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`. */
export async function openConnections(
  env: Env,
  { idleSeconds }: Pick<Pace, 'idleSeconds'> = TRANSPORT_LIMITS,
  forBulk = false,
): Promise<Connections> {
  const connect = TRANSPORT_LIMITS.connectSeconds * 1000;
  const idle = idleSeconds * 1000;
  const named = (name: string): string | undefined => env[name] || env[name.toUpperCase()];
  const all = named('all_proxy');
  const httpProxy = named('http_proxy') ?? all;
  const httpsProxy = named('https_proxy') ?? all;
  const hasProxy = httpProxy !== undefined || httpsProxy !== undefined;
  if (!hasProxy && !forBulk) return new DirectConnections({ connect, idle });
  const options = {
    connect: { timeout: connect },
    headersTimeout: idle,
    bodyTimeout: idle,
    // One protocol, one set of limits to hold.
    allowH2: false,
  };
  if (!hasProxy) {
    // @ts-expect-error: undici has types for the whole of it only
    const { default: Agent } = await import('undici/lib/dispatcher/agent.js');
    return new Agent(options);
  }
  // @ts-expect-error: the same
  const { default: Agent } = await import('undici/lib/dispatcher/env-http-proxy-agent.js');
  return new Agent({
    ...options,
    // By the environment that was given, not by that of the process; empty means none.
    httpProxy: httpProxy ?? '',
    httpsProxy: httpsProxy ?? '',
    noProxy: named('no_proxy') ?? '',
  });
}
