/** What every command that talks to a repository begins with: folder, lock, pin, keys, client. */

import { join } from 'node:path';
import { RECEIPT_LIMIT, rootIn } from '../shared/api/receipt.ts';
import type { CommandContext, OptionSpec } from '../shared/cli/command.ts';
import { vendorFolder } from '../shared/layout.ts';
import { systemClock } from '../shared/node/clock.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { readFileCapped } from '../shared/node/files.ts';
import { withLock } from '../shared/node/lock.ts';
import { systemRandom } from '../shared/node/random.ts';
import { formatInstant } from '../shared/time.ts';
import { formatMetadata } from '../shared/tuf/build.ts';
import { diffText, type RoleFile, trustDiff } from '../shared/tuf/diff/trust-diff.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { loadConfig, type VendorConfig } from './config.ts';
import { saysTheSame } from './next-role.ts';
import { type Base, loadBase } from './rebase/base.ts';
import { BinLog, lineOf } from './rebase/bin-log.ts';
import { loadFloor, loadRemembered, raiseFloor, remember } from './rebase/floor.ts';
import { TrustStore } from './rebase/trust-store.ts';
import { VendorSigners } from './signers.ts';
import { Api } from './upload/api.ts';
import { RepositoryFetcher } from './upload/fetcher.ts';
import { Repository } from './upload/http.ts';

export const REPOSITORY_OPTION: OptionSpec = {
  flags: '-r, --repository <url>',
  description: 'where the repository answers: http://HOST:PORT',
  required: true,
  env: 'IRONPORT_REPOSITORY',
};

export const ROOT_OPTION: OptionSpec = {
  flags: '--root <file>',
  description: 'the root, or the receipt, that the operators gave you; pinned once',
};

export interface Session {
  readonly context: CommandContext;
  readonly dir: string;
  readonly config: VendorConfig;
  readonly signers: VendorSigners;
  readonly store: TrustStore;
  readonly repository: Repository;
}

/**
 * Runs `act` while this process alone uses the vendor's folder. `E_NO_PIN` before anything else is
 * done when no root is pinned; `E_LOCKED` when another command runs.
 */
export async function withSession<T>(
  context: CommandContext,
  act: (session: Session) => Promise<T>,
): Promise<T> {
  const dir = context.need('dir');
  const config = await loadConfig(dir);
  const repository = new Repository(context.need('repository'));
  try {
    return await withLock(
      join(dir, vendorFolder.lock),
      async () => {
        const store = new TrustStore(dir);
        await store.prepare();
        await pinRoot(context, store, config.vendor);
        const signers = new VendorSigners(context, dir, config);
        return await act({ context, dir, config, signers, store, repository });
      },
      { purpose: 'ironport', signal: context.signal },
    );
  } finally {
    await repository.close();
  }
}

async function pinRoot(context: CommandContext, store: TrustStore, vendor: string): Promise<void> {
  const path = context.text('root');
  if (path !== undefined) {
    const bytes = rootIn(await readFileCapped(path, RECEIPT_LIMIT), vendor);
    if ((await store.pin(crypto, bytes)) === 'pinned') context.ui.note(`${path} is pinned`);
  }
  await store.pinnedRoot();
}

/** The published state, verified from the pinned root; the floor rises to it. */
export async function verifiedBase(session: Session): Promise<Base> {
  const { context, dir, config, store, repository } = session;
  const { vendor } = config;
  const own = [
    await loadRemembered(dir, 'lastSigned', vendor),
    await loadRemembered(dir, 'lastPublished', vendor),
  ].filter((file) => file !== undefined);
  const base = await loadBase({
    vendor,
    own,
    floor: await loadFloor(dir, vendor),
    updater: {
      crypto,
      clock: systemClock,
      store,
      fetcher: new RepositoryFetcher(repository),
      signal: context.signal,
      onUnusable: (role, error) =>
        context.ui.note(`a stored ${role} is replaced: ${error.message}`),
    },
  });
  if (base.role !== undefined) await raiseFloor(dir, vendor, base.role.version);
  return base;
}

export async function apiOf(session: Session): Promise<Api> {
  const { context, signers, repository } = session;
  const signer = await signers.one('api');
  const { signal } = context;
  return new Api({ repository, signer, crypto, clock: systemClock, random: systemRandom, signal });
}

/**
 * Whether what is published says what was signed here. When it does not, says how it differs, so
 * that nobody signs on top of what they did not know about.
 */
export async function isOwnWork({ context, dir, config }: Session, base: Base): Promise<boolean> {
  const { ui } = context;
  const { vendor } = config;
  const { role } = base;
  const last = await loadRemembered(dir, 'lastSigned', vendor);
  const published = await loadRemembered(dir, 'lastPublished', vendor);
  if (last !== undefined && last.version > (role?.version ?? 0))
    ui.note(`${vendor} ${last.version} was signed here and not published; it is made anew`);
  if (role === undefined) return true;
  if (published !== undefined && saysTheSame(published, role)) return true;
  const isLast = last !== undefined && saysTheSame(last, role);
  // Of several that waited, for reviewers or for signatures, another one than the last may be published.
  if (isLast || (await BinLog.load(dir)).signed(lineOf(crypto, vendor, role))) {
    const { tree, signatures } = role.envelope;
    // Others may have brought the last signature: what is signed next must not make it forgotten.
    await remember(dir, 'lastPublished', formatMetadata(tree, signatures));
    return true;
  }
  const known = [last, published].filter((file) => file !== undefined);

  const before = known.find((file) => file.version <= role.version);
  if (before === undefined) {
    ui.note(`${vendor} ${role.version} is published; nothing was signed in this folder before`);
  } else {
    const [a, b] = [before, role].map((file) => ({ type: 'targets', file }) as const);
    const changes = trustDiff(crypto, a, b as RoleFile, systemClock());
    ui.warn(
      `what is published was not signed here last; since ${vendor} ${before.version}:\n${diffText(changes)}`,
    );
  }
  return false;
}

/** `acme 4, valid until …`. */
export function roleWords(
  vendor: string,
  { version, expires }: Pick<Targets, 'version' | 'expires'>,
): string {
  return `${vendor} ${version}, valid until ${formatInstant(expires)}`;
}
