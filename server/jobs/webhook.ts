/**
 * Somebody's address that takes warnings. Whoever knows the address may write there, so it is kept
 * like a secret: read from a file, and never said again, in no log and no error.
 */

import { Agent, request } from 'undici';
import { fromUtf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { TRANSPORT_LIMITS } from '../../shared/limits.ts';

export interface Webhook {
  /** Throws when it was not taken (any status but 2xx; no redirect is followed). `E_NETWORK`. */
  send(document: unknown, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** The address in a file of one line. `E_CONFIG` when it is none that can be used. */
export function parseWebhook(bytes: Uint8Array): URL {
  const refuse = (why: string): IronError =>
    new IronError('E_CONFIG', 'the file of the webhook has no address that can be used', {
      why,
      hint: 'put one line into it: https://HOST/PATH',
    });
  const text = fromUtf8(bytes).trim();
  // The parser of URLs drops line ends: two lines would be one address of neither.
  const url = /\s/.test(text) ? null : URL.parse(text);
  if (url === null) throw refuse('it is no URL');
  // On the way to another machine the address would be read by all between.
  const isPlain = url.protocol === 'http:' && LOOPBACK.has(url.hostname);
  if (url.protocol !== 'https:' && !isPlain)
    throw refuse('it is neither https nor on this machine');
  if (url.username !== '' || url.password !== '') throw refuse('it has a user name in it');
  return url;
}

/** Sends to `url`, one at a time. */
export function openWebhook(url: URL, seconds: number = TRANSPORT_LIMITS.idleSeconds): Webhook {
  const agent = new Agent({
    connect: { timeout: TRANSPORT_LIMITS.connectSeconds * 1000 },
    headersTimeout: seconds * 1000,
    bodyTimeout: seconds * 1000,
    connections: 1,
    maxResponseSize: 65_536,
  });
  return {
    async send(document, signal) {
      let status: number;
      try {
        const response = await request(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(document),
          dispatcher: agent,
          // However slowly it answers: all of it has this long.
          signal: AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)]),
        });
        status = response.statusCode;
        // What it says is of no interest; a connection with a long answer is not kept.
        await response.body.dump({ limit: 16_384 }).catch(() => {});
      } catch (cause) {
        throw failed(codeOf(cause));
      }
      if (status < 200 || status > 299) throw failed(`it answered with ${status}`);
    },
    close: () => agent.destroy(),
  };
}

/** Without the cause: the words of the transport have the address in them. */
function failed(why: string): IronError {
  return new IronError('E_NETWORK', 'the webhook did not take a warning', { why });
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no answer';
  return /^[A-Z0-9_]{1,40}$/.test(code) ? code : 'no answer in time';
}
