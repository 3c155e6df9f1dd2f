/** What the commands have in common: how a repository is named, opened and pinned. */

import { join } from 'node:path';
import type { CommandContext, OptionSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { store as layout } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { type LoadedPolicy, loadHostPolicy } from '../../shared/node/host-policy.ts';
import { checkPolicyFloor, raisePolicyFloor } from '../../shared/node/policy-floor.ts';
import { parseSpan } from '../../shared/time.ts';
import { parseRate, RateLimit } from '../fetch/rate.ts';
import { loadRootFile, openRepository } from '../open-repository.ts';
import type { Repository } from '../repository.ts';
import { FolderStore } from '../store/folder.ts';
import { stateFolder } from '../store/locate.ts';

export const STORE: OptionSpec = {
  flags: '--store <folder>',
  description: 'keep what is trusted here instead of under $XDG_STATE_HOME/ironport',
  env: 'IRONPORT_STORE',
};

export const REPOSITORY: readonly OptionSpec[] = [
  {
    flags: '--repository <address>',
    description:
      'HOST:PORT, http(s)://…, file:///… or a folder; or write it first: ADDRESS COMMAND',
    env: 'IRONPORT_REPOSITORY',
  },
  STORE,
];

/** For commands that ask the repository. */
export const MIRROR: OptionSpec = {
  flags: '--mirror <address>',
  description:
    'another address of the same repository, asked when those before it fail; several with spaces in the variable',
  repeatable: true,
  env: 'IRONPORT_MIRRORS',
};

export const LIMIT_RATE: OptionSpec = {
  flags: '--limit-rate <rate>',
  description:
    'take no more bytes a second from servers, all downloads together: 65536, 500K, 1.5M (units of 1024)',
  env: 'IRONPORT_LIMIT_RATE',
};

export const MAX_STALE: OptionSpec = {
  flags: '--max-stale <span>',
  description: 'build on a timestamp or snapshot that expired no longer ago than this: 12h, 30d',
};

/** For commands that can do without the network. */
export const OFFLINE: readonly OptionSpec[] = [
  {
    flags: '--offline',
    description: 'use what is stored and ask nobody; the checks are the same',
    env: 'IRONPORT_OFFLINE',
  },
  { ...MAX_STALE, description: `offline: ${MAX_STALE.description}` },
];

export const ROOT: OptionSpec = {
  flags: '--root <file>',
  description: 'pin this root file, once, when none is pinned for the repository yet',
};

export const POLICY: readonly OptionSpec[] = [
  {
    flags: '--host-policy <file>',
    description: 'the policy of this host (/etc/ironport/policy.json, when it is there)',
    env: 'IRONPORT_HOST_POLICY',
  },
  {
    flags: '--fleet-keys <file>',
    description: 'who must sign that policy (/etc/ironport/fleet-keys.json, when it is there)',
    env: 'IRONPORT_FLEET_KEYS',
  },
];

/**
 * The policy that the options of `POLICY` mean; undefined for the default of every host. One that the
 * fleet signed becomes the oldest that this user still takes: `E_ROLLBACK`, `E_POLICY`.
 */
export async function hostPolicy(context: CommandContext): Promise<LoadedPolicy | undefined> {
  const loaded = await loadPolicy(context);
  if (loaded === undefined || loaded.signedBy.length === 0) return loaded;
  const folder = policyFolder(context);
  // Under the lock of a store, which the folder may be: who has that sweeps away what others begin to write.
  const raise = () => raisePolicyFloor(join(folder, layout.policyFloor), loaded);
  await new FolderStore(folder).exclusively(raise, context.signal);
  return loaded;
}

/** The same for who only asks what a policy says: it is held against the floor, which stays. */
export async function askedPolicy(context: CommandContext): Promise<LoadedPolicy | undefined> {
  const loaded = await loadPolicy(context);
  await checkPolicyFloor(join(policyFolder(context), layout.policyFloor), loaded);
  return loaded;
}

function loadPolicy(context: CommandContext): Promise<LoadedPolicy | undefined> {
  return loadHostPolicy(platformCrypto, {
    policy: context.text('host-policy'),
    fleetKeys: context.text('fleet-keys'),
  });
}

/** A policy is of the host, not of a repository: its floor stands where all stores do. */
function policyFolder(context: CommandContext): string {
  return context.text('store') ?? stateFolder(context.env);
}

/** Whether a command that never asks the network is run: its leave for age needs no `--offline`. */
export interface OpenedFor {
  readonly offline?: boolean;
}

export const NO_NETWORK: OpenedFor = { offline: true };

/** Opens the repository that the command line names, and closes it afterwards. */
export async function withRepository<T>(
  context: CommandContext,
  act: (repository: Repository) => Promise<T>,
  opened: OpenedFor = {},
): Promise<T> {
  const address = context.address ?? context.text('repository');
  if (address === undefined) {
    throw new IronError('E_USAGE', 'no repository is named', {
      hint: 'write its address first, `ironport-client 127.0.0.1:8080 COMMAND`, or set IRONPORT_REPOSITORY',
    });
  }
  const repository = await openRepository({
    address,
    store: context.text('store'),
    mirrors: mirrors(context),
    limitRate: limitRate(context),
    ...staleness(context, opened),
    env: context.env,
    signal: context.signal,
    onNotice: (text) => context.ui.warn(text),
    onMirrorLeft: (text) => context.ui.note(text),
  });
  try {
    return await act(repository);
  } finally {
    await repository.close();
  }
}

/** The same for commands with `--root`. */
export function withPinned<T>(
  context: CommandContext,
  act: (repository: Repository) => Promise<T>,
  opened: OpenedFor = {},
): Promise<T> {
  const pinAndAct = async (repository: Repository): Promise<T> => {
    const file = context.text('root');
    if (file !== undefined) {
      const pinned = await repository.pin(await loadRootFile(file));
      if (pinned === 'written') context.ui.note(`pinned the root in ${file}`);
    }
    return act(repository);
  };
  return withRepository(context, pinAndAct, opened);
}

/** What `--mirror` says, of commands that have it; the variable and the configuration name several. */
function mirrors(context: CommandContext): string[] {
  if (!context.has('mirror')) return [];
  return context
    .list('mirror')
    .flatMap((text) => text.split(/\s+/))
    .filter((text) => text !== '');
}

/** What `--limit-rate` says, of commands that have it. */
export function limitRate(context: CommandContext): RateLimit | undefined {
  const text = context.has('limit-rate') ? context.text('limit-rate') : undefined;
  return text === undefined || text === '' ? undefined : new RateLimit(parseRate(text));
}

/** What `--offline` and `--max-stale` say, of commands that have them. */
export function staleness(
  context: CommandContext,
  { offline = false }: OpenedFor = {},
): {
  readonly offline: boolean;
  readonly maxStale: number;
} {
  const isOffline = offline || (context.has('offline') && context.flag('offline'));
  const span = context.has('max-stale') ? context.text('max-stale') : undefined;
  if (span !== undefined && !isOffline) {
    throw new IronError('E_USAGE', '--max-stale is for --offline', {
      hint: 'a repository that can be asked has no reason to be old; leave --max-stale out',
    });
  }
  return { offline: isOffline, maxStale: span === undefined ? 0 : parseSpan(span) };
}

/** A positional argument that must be there. */
export function argument(context: CommandContext, index: number, name: string): string {
  const value = context.args[index];
  if (value === undefined || value === '') throw new IronError('E_USAGE', `${name} is missing`);
  return value;
}
