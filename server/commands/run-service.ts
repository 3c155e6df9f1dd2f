/** What `serve` and `start` have in common: open, serve, and stop on a signal. */

import type { CommandContext, CommandResult } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import type { IronError } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { passphraseFor } from '../../shared/node/signers/passphrase.ts';
import type { Listen } from '../config.ts';
import { openRepository, type Repository } from '../repository.ts';
import { startService } from '../service.ts';

/** Opens the repository in `home` with the clock, the randomness and the crypto of this machine. */
export async function openHere(
  context: CommandContext,
  home: string,
  purpose: string,
): Promise<Repository> {
  const repository = await openRepository({
    home,
    crypto: platformCrypto,
    clock: systemClock,
    random: systemRandom,
    purpose,
    passphrase: () => passphraseFor('an online key', passphraseSource(context)),
    onFailure: (error) => context.ui.warn(inOneLine(error)),
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
  repository: Repository,
  listen: Listen,
  publicNames: readonly string[],
): Promise<CommandResult> {
  const { ui, signal } = context;
  const service = await startService(repository, { listen, publicNames });
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
