/** `ironport-client ADDRESS init`: the one decision that nobody can take for the user. */

import { toHex } from '../../shared/bytes.ts';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { tree } from '../../shared/layout.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { loadRootFile } from '../open-repository.ts';
import type { Repository } from '../repository.ts';
import { MIRROR, REPOSITORY, withRepository } from './options.ts';

export const initCommand: CommandSpec = {
  name: 'init',
  summary: 'pin the root that everything from this repository must follow from',
  description:
    'Get root.json, or its SHA-256, from somebody you trust and by another way than the ' +
    'repository itself. It is pinned once; later roots come by refresh, each vouched for by the ' +
    'one before it. With --trust-on-first-use whoever answers at the address now decides what ' +
    'this machine will trust from then on.',
  options: [
    ...REPOSITORY,
    { ...MIRROR, description: 'with --root-sha256: another address to fetch from (see refresh)' },
    { flags: '--root <file>', description: 'the root file; - reads standard input' },
    {
      flags: '--root-sha256 <digest>',
      description: 'fetch root version 1 and pin it if it has this SHA-256',
    },
    {
      flags: '--trust-on-first-use',
      description: 'fetch root version 1 and pin it unseen: only where nobody can be in between',
    },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 init --root root.json',
    'ironport-client https://drivers.example init --root-sha256 9f86d081884c7d659a2f…',
  ],
  schema: 'ironport-client/init/v1',
  run: (context) =>
    withRepository(context, async (repository) => {
      const bytes = await chosenRoot(context, repository);
      const { version } = parseRoot(bytes);
      const pinned = await repository.pin(bytes);
      const sha256 = toHex(repository.crypto.sha256(bytes));
      const { folder } = repository.store;
      return {
        data: { pinned: pinned === 'written', version, sha256, store: folder },
        text: [
          `${pinned === 'written' ? 'pinned' : 'pinned before'}: root ${version} of ${repository.address.url}`,
          `  sha256 ${sha256}`,
          `  kept in ${folder}`,
        ].join('\n'),
      };
    }),
};

async function chosenRoot(context: CommandContext, repository: Repository): Promise<Uint8Array> {
  const file = context.text('root');
  const digest = context.text('root-sha256');
  const onFirstUse = context.flag('trust-on-first-use');
  if ([file !== undefined, digest !== undefined, onFirstUse].filter(Boolean).length !== 1) {
    throw new IronError('E_USAGE', 'give one of --root, --root-sha256, --trust-on-first-use', {
      hint: 'a root that came from somebody you trust is the way that needs no luck: --root FILE',
    });
  }
  if (file !== undefined) return loadRootFile(file);
  if (digest !== undefined && !/^[0-9a-f]{64}$/.test(digest)) {
    throw new IronError('E_USAGE', '--root-sha256 takes 64 lower-case hexadecimal digits');
  }
  if (digest !== undefined) {
    return repository.fromMirrors(async (mirror) => {
      const bytes = await firstRoot(mirror);
      const actual = toHex(mirror.crypto.sha256(bytes));
      if (actual === digest) return bytes;
      throw new IronError('E_HASH', 'root version 1 of this repository has another SHA-256', {
        why: `it is ${actual}`,
        hint: 'nothing was pinned; ask again for the digest, or look who answers at this address',
        context: { expected: digest, actual },
      });
    });
  }
  // Whoever is trusted unseen is at least whom the user named: no mirror stands in.
  const bytes = await firstRoot(repository);
  context.ui.warn(
    `trusting whoever answered at ${repository.address.url} just now: compare sha256 ${toHex(repository.crypto.sha256(bytes))} with somebody who knows it`,
  );
  return bytes;
}

async function firstRoot({ fetcher, signal }: Repository): Promise<Uint8Array> {
  const path = tree.metadata('root', 1);
  const bytes = await fetcher.fetchFile(path, METADATA_LIMITS.root, { signal });
  if (bytes !== undefined) return bytes;
  throw new IronError('E_NOT_FOUND', `${fetcher.origin} has no ${path}`, {
    hint: 'nothing was pinned; check the address',
  });
}
