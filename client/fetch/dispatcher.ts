/**
 * The connections, from the part of undici that carries requests. The whole package costs a small
 * command more start-up time than the rest of the program does; so the one module is loaded that
 * is needed, and only when something is fetched.
 */

import type { Dispatcher } from 'undici';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';
import type { Pace } from './exchange.ts';

export type Env = Readonly<Record<string, string | undefined>>;

const PROXY = /^(https?|all)_proxy$/i;

/** A dispatcher that keeps connections alive and obeys `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`. */
export async function openDispatcher(
  env: Env,
  { idleSeconds }: Pick<Pace, 'idleSeconds'> = TRANSPORT_LIMITS,
): Promise<Dispatcher> {
  const options = {
    connect: { timeout: TRANSPORT_LIMITS.connectSeconds * 1000 },
    headersTimeout: idleSeconds * 1000,
    bodyTimeout: idleSeconds * 1000,
    // One protocol, one set of limits to hold.
    allowH2: false,
  };
  const hasProxy = Object.entries(env).some(([name, value]) => PROXY.test(name) && value !== '');
  const { default: Agent } = hasProxy
    ? // @ts-expect-error: undici has types for the whole of it only
      await import('undici/lib/dispatcher/env-http-proxy-agent.js')
    : // @ts-expect-error: the same
      await import('undici/lib/dispatcher/agent.js');
  return new Agent(options);
}
