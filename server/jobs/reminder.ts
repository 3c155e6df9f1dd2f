/**
 * Reminds those who sign offline, before hosts would refuse what they signed: in the log, and by a
 * webhook where there is one. It stands beside publication and never in its way.
 */

import { asIronError, IronError } from '../../shared/errors.ts';
import { SERVER_LIMITS } from '../../shared/limits.ts';
import { type Clock, formatInstant } from '../../shared/time.ts';
import type { Lives, WaitingNotice } from '../db/lives.ts';
import type { Expiries } from '../storage/expiries.ts';
import type { CurrentTree } from '../storage/published.ts';
import { type ExpiryWarning, leftOf, warningText } from './expiry.ts';
import type { Webhook } from './webhook.ts';

export interface ReminderParts {
  readonly clock: Clock;
  readonly current: CurrentTree;
  readonly expiries: Expiries;
  readonly lives: Lives;
  readonly webhook?: Webhook | undefined;
  readonly onWarning: (warning: ExpiryWarning, text: string) => void;
  readonly onFailure: (error: IronError) => void;
}

export const NOTICE_SCHEMA = 'ironport.expiry-warning/v1';

export class Reminder {
  readonly #parts: ReminderParts;
  readonly #stopping = new AbortController();
  #isSending = false;
  #sent: Promise<void> = Promise.resolve();

  constructor(parts: ReminderParts) {
    this.#parts = parts;
  }

  /** Looks at all roles and says what must be said; does not wait for the webhook. */
  async look(): Promise<void> {
    const { clock, current, expiries, lives, webhook, onWarning } = this.#parts;
    const published = await current.get();
    if (published === undefined) return;
    const now = clock();
    const warnings = lives.look(await expiries.all(published), now, webhook !== undefined);
    for (const warning of warnings) onWarning(warning, warningText(warning, now));
    this.#send();
  }

  /** One after the other, and never two rounds at a time. */
  #send(): void {
    if (this.#parts.webhook === undefined || this.#isSending) return;
    this.#isSending = true;
    this.#sent = this.#sendAll().catch((error) => {
      this.#isSending = false;
      if (!this.#stopping.signal.aborted) this.#parts.onFailure(asIronError(error));
    });
  }

  async #sendAll(): Promise<void> {
    const { clock, lives, webhook } = this.#parts;
    // What is not taken is due later, so each turn has fewer of them.
    for (;;) {
      const [notice] = this.#stopping.signal.aborted ? [] : lives.due(clock(), 1);
      if (webhook === undefined || notice === undefined) break;
      try {
        await webhook.send(this.#document(notice), this.#stopping.signal);
        lives.done(notice.id);
      } catch (error) {
        if (!this.#stopping.signal.aborted) this.#later(notice, asIronError(error));
      }
    }
    this.#isSending = false;
  }

  #document(notice: WaitingNotice): Readonly<Record<string, string | number>> {
    const { role, version, threshold, expires } = notice;
    const now = this.#parts.clock();
    const left = Math.floor(leftOf(notice, now));
    return {
      schema: NOTICE_SCHEMA,
      // The same for each try: whoever gets one twice can tell.
      id: `${role}-${version}-${threshold}`,
      role,
      version,
      threshold,
      left,
      expires: formatInstant(expires),
      text: warningText({ ...notice, left }, now),
    };
  }

  #later({ id, role, version, attempts }: WaitingNotice, cause: IronError): void {
    const { clock, lives, onFailure } = this.#parts;
    if (attempts + 1 < SERVER_LIMITS.noticeAttempts) {
      lives.again(id, clock() + SERVER_LIMITS.noticeRetrySeconds * 2 ** attempts);
      return;
    }
    lives.done(id);
    onFailure(
      new IronError('E_NETWORK', `the webhook did not take the warning about ${role} ${version}`, {
        why: cause.why ?? cause.message,
        hint: 'it is not tried any more; the log and /metrics have the warning, too',
        cause,
      }),
    );
  }

  /** Waits for what is being sent now, which is broken off. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#sent;
  }
}
