/** What `serve` and `start` have in common: open, serve, and stop on a signal. */

import type { CommandContext, CommandResult } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import type { IronError } from '../../shared/errors.ts';
import { CONFIG_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { passphraseFor } from '../../shared/node/signers/passphrase.ts';
import { type Listen, parseListen } from '../config.ts';
import type { ExpiryWarning } from '../jobs/expiry.ts';
import { openWebhook, parseWebhook, type Webhook } from '../jobs/webhook.ts';
import { eventsOf, type RepositoryEvents } from '../observe/events.ts';
import { listenForOperations, type OperationsListener } from '../observe/listener.ts';
import { Log } from '../observe/log.ts';
import { ServiceMetrics } from '../observe/service-metrics.ts';
import { openRepository, type Repository } from '../repository.ts';
import { startService } from '../service.ts';

/** A repository that was opened, and those who look on. */
export interface Opened {
  readonly repository: Repository;
  readonly log: Log | undefined;
  readonly metrics: ServiceMetrics | undefined;
  readonly operations: OperationsListener | undefined;
  readonly webhook: Webhook | undefined;
  readonly onWarning: (warning: ExpiryWarning, text: string) => void;
}

/** Opens the repository, and what looks on as the options want. */
export async function openToServe(
  context: CommandContext,
  home: string,
  purpose: string,
): Promise<Opened> {
  const { ui } = context;
  const log = context.flag('log-json') ? new Log((line) => ui.line(line), systemClock) : undefined;
  const webhook = await openHook(context.text('webhook-file'));
  const address = context.text('metrics');
  const metrics = address === undefined ? undefined : new ServiceMetrics();
  const operations =
    address === undefined ? undefined : await listenForOperations(parseListen(address));
  if (operations !== undefined) ui.stage(`metrics on ${operations.url}`);
  try {
    const repository = await openHere(context, home, purpose, log, metrics);
    const onWarning = (warning: ExpiryWarning, text: string): void => {
      metrics?.warning(warning);
      if (log === undefined) ui.warn(text);
      else log.say('warn', 'expiry', { ...warning, text });
    };
    return { repository, log, metrics, operations, webhook, onWarning };
  } catch (error) {
    await operations?.close();
    await webhook?.close();
    throw error;
  }
}

async function openHook(file: string | undefined): Promise<Webhook | undefined> {
  if (file === undefined) return undefined;
  return openWebhook(parseWebhook(await readFileCapped(file, CONFIG_LIMITS.file)));
}

/** Opens the repository in `home` with the clock, the randomness and the crypto of this machine. */
export async function openHere(
  context: CommandContext,
  home: string,
  purpose: string,
  log?: Log,
  metrics?: ServiceMetrics,
): Promise<Repository> {
  const events: RepositoryEvents[] = [];
  if (metrics !== undefined) events.push(metrics);
  if (log !== undefined)
    events.push({
      published: ({ seconds, ...event }) =>
        log.say('info', 'published', { ...event, ms: Math.round(seconds * 1000) }),
      refused: (event) => log.say('warn', 'refused', event),
    });
  const repository = await openRepository({
    home,
    crypto: platformCrypto,
    clock: systemClock,
    random: systemRandom,
    purpose,
    passphrase: () => passphraseFor('an online key', passphraseSource(context)),
    events: eventsOf(events),
    onFailure(error, request) {
      metrics?.failure(error.code);
      if (log === undefined) context.ui.warn(inOneLine(error));
      else log.say('error', 'failure', { code: error.code, message: inOneLine(error), request });
    },
  });
  const { finished, dropped } = repository.recovered;
  if (finished > 0) context.ui.note(`finished ${finished} publication that a crash cut short`);
  if (dropped > 0) context.ui.note(`dropped ${dropped} publication that was not ready yet`);
  return repository;
}

function inOneLine({ code, message, why, hint }: IronError): string {
  return [`${code}: ${message}`, why, hint].filter((part) => part !== undefined).join('; ');
}

/** Serves until the first signal. */
export async function serveUntilStopped(
  context: CommandContext,
  { repository, ...watching }: Opened,
  listen: Listen,
  publicNames: readonly string[],
): Promise<CommandResult> {
  const { ui, signal } = context;
  const service = await startService(repository, { listen, publicNames, ...watching });
  ui.stage(`serving ${repository.home} on ${service.url}`);
  if ((await repository.current.get().catch(() => undefined)) === undefined)
    ui.note('nothing is published yet: hand in the first root and targets with `submit`');
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
  await service.close();
  return { data: { url: service.url, home: repository.home, stopped: true } };
}
