/** `ironport-client ADDRESS get NAME OUT`: whatever the server sends. Says so loudly. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { downloadTarget } from '../download.ts';
import { demandOutFile } from '../out-file.ts';
import { locateUnverified } from '../unverified.ts';
import { argument, LIMIT_RATE, REPOSITORY, withRepository } from './options.ts';

export const getCommand: CommandSpec = {
  name: 'get',
  summary: 'download a file WITHOUT verifying it',
  description:
    'No signature is checked, no root is needed, and nothing is known about the file but that ' +
    'the server sent it. Use `get-verified` for everything that is going to be run.',
  arguments: [
    { name: 'name', description: 'the target path: VENDOR/PRODUCT/VERSION/FILE' },
    { name: 'out', description: 'the file to write' },
  ],
  options: [...REPOSITORY, LIMIT_RATE],
  examples: ['ironport-client 127.0.0.1:8080 get acme/edu/1.0.0/edu.js edu.js'],
  schema: 'ironport-client/get/v1',
  run: (context) =>
    withRepository(context, async (repository) => {
      const [name, out] = [argument(context, 0, 'NAME'), argument(context, 1, 'OUT')];
      await demandOutFile(out, name);
      context.ui.warn('UNVERIFIED: no signature is checked; do not run what this downloads');
      const { fetcher, crypto, store } = repository;
      const target = await locateUnverified(crypto, fetcher, name, context.signal);
      const progress = context.ui.progress(name, target.length);
      const outcome = await downloadTarget({
        fetcher,
        target,
        out,
        lockFolder: store.folder,
        signal: context.signal,
        onBytes: (bytes) => progress.advance(bytes),
      });
      progress.done();
      const sha256 = target.hashes.get('sha256') ?? null;
      return {
        data: { verified: false, path: name, out, outcome, length: target.length, sha256 },
        text: `UNVERIFIED: ${out}, ${target.length} bytes as the server sent them`,
      };
    }),
};
