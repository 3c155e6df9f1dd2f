/** `ironport-client ADDRESS bundle import FILE`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { Bundle } from '../bundle/bundle.ts';
import { importBundle } from '../bundle/import.ts';
import { bundleData, bundleText } from './bundle.ts';
import { argument, MAX_STALE, NO_NETWORK, REPOSITORY, ROOT, withPinned } from './options.ts';

export const bundleImportCommand: CommandSpec = {
  name: 'bundle import',
  summary: 'verify a bundle and store it, for --offline',
  description:
    'From the root that this machine has pinned for the repository at ADDRESS, which need not be ' +
    'reachable. All is verified before anything is stored. Then `get-verified --offline`, ' +
    '`handoff --offline` and `index --offline` use it.',
  arguments: [{ name: 'file', description: 'the bundle' }],
  options: [...REPOSITORY, ROOT, MAX_STALE],
  examples: [
    'ironport-client 127.0.0.1:8080 bundle import edu.bundle',
    'ironport-client 127.0.0.1:8080 bundle import edu.bundle --root root.json',
  ],
  schema: 'ironport-client/bundle-import/v1',
  async run(context) {
    const file = argument(context, 0, 'FILE');
    const bundle = await Bundle.open(file);
    try {
      return await withPinned(
        context,
        async (repository) => {
          const progress = context.ui.progress(file, bundle.size);
          const verified = await importBundle(bundle, repository, (bytes) =>
            progress.advance(bytes),
          );
          progress.done();
          return {
            data: { ...bundleData(bundle, verified), store: repository.store.folder },
            text: bundleText(bundle, verified, `imported: ${file}`),
          };
        },
        NO_NETWORK,
      );
    } finally {
      await bundle.close();
    }
  },
};
