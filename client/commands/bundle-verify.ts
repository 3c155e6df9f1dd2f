/** `ironport-client [ADDRESS] bundle verify FILE`. */

import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { parseSpan } from '../../shared/time.ts';
import { Bundle } from '../bundle/bundle.ts';
import { type BundleTrust, verifyBundle } from '../bundle/verify.ts';
import { loadRootFile } from '../open-repository.ts';
import { MemoryStore } from '../store/memory.ts';
import { OverlayStore } from '../store/overlay.ts';
import { bundleData, bundleText } from './bundle.ts';
import { argument, MAX_STALE, NO_NETWORK, REPOSITORY, withRepository } from './options.ts';

export const bundleVerifyCommand: CommandSpec = {
  name: 'bundle verify',
  summary: 'verify a bundle and every byte in it, without the network',
  description:
    'From the root and the version floors that this machine has for the repository, or from ' +
    '--root alone, and never from a root in the bundle; judged by the clock of this machine. ' +
    'Nothing is stored. Exit status 8 when its timestamp or snapshot has expired.',
  arguments: [{ name: 'file', description: 'the bundle' }],
  options: [
    ...REPOSITORY,
    { flags: '--root <file>', description: 'begin at this root file, and use no store' },
    MAX_STALE,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 bundle verify edu.bundle',
    'ironport-client bundle verify edu.bundle --root root.json --max-stale 30d',
  ],
  schema: 'ironport-client/bundle-verify/v1',
  async run(context) {
    const file = argument(context, 0, 'FILE');
    const bundle = await Bundle.open(file);
    try {
      const progress = context.ui.progress(file, bundle.size);
      const verified = await withTrust(context, (trust) =>
        verifyBundle(bundle, trust, (bytes) => progress.advance(bytes)),
      );
      progress.done();
      return {
        data: bundleData(bundle, verified),
        text: bundleText(bundle, verified, `verified: ${file}`),
      };
    } finally {
      await bundle.close();
    }
  },
};

async function withTrust<T>(
  context: CommandContext,
  act: (trust: BundleTrust) => Promise<T>,
): Promise<T> {
  const file = context.text('root');
  if (file === undefined) {
    return withRepository(
      context,
      ({ crypto, clock, maxStale, signal, store }) =>
        act({ crypto, clock, maxStale, signal, store: new OverlayStore(store) }),
      NO_NETWORK,
    );
  }
  const span = context.text('max-stale');
  return act({
    crypto: platformCrypto,
    clock: systemClock,
    maxStale: span === undefined ? 0 : parseSpan(span),
    signal: context.signal,
    store: new MemoryStore(await loadRootFile(file)),
  });
}
