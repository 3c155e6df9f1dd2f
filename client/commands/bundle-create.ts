/** `ironport-client ADDRESS bundle create OUT NAME…`: for machines that no network reaches. */

import type { CommandSpec, Progress } from '../../shared/cli/command.ts';
import { formatBytes } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { formatInstant } from '../../shared/time.ts';
import { createBundle } from '../bundle/create.ts';
import { demandOutFile } from '../out-file.ts';
import { MAP_FILE } from './map-options.ts';
import { argument, LIMIT_RATE, MIRROR, OFFLINE, REPOSITORY, ROOT, withPinned } from './options.ts';

export const bundleCreateCommand: CommandSpec = {
  name: 'bundle create',
  summary: 'write artifacts, with all by which they can be verified, into one file',
  description:
    'Each artifact is verified as `get-verified` does it; then OUT gets the chain of roots, the ' +
    'metadata, the evidence and the bytes. Whoever reads it trusts none of it.',
  arguments: [
    { name: 'out', description: 'the file to write' },
    { name: 'names', description: 'target paths: VENDOR/PRODUCT/VERSION/FILE', variadic: true },
  ],
  options: [
    ...REPOSITORY,
    MIRROR,
    LIMIT_RATE,
    ROOT,
    ...OFFLINE,
    { flags: '--replace', description: 'replace a file that stands there' },
    { ...MAP_FILE, description: 'refused: a bundle is of one repository; one is made for each' },
  ],
  examples: ['ironport-client 127.0.0.1:8080 bundle create edu.bundle acme/edu/1.0.0/edu.js'],
  schema: 'ironport-client/bundle-create/v1',
  run: async (context) => {
    if (context.text('map') !== undefined) throw ofOneRepository();
    return withPinned(context, async (repository) => {
      const out = argument(context, 0, 'OUT');
      await demandOutFile(out, 'drivers.bundle');
      let progress: Progress | undefined;
      const { index, length, sha256 } = await createBundle({
        repository,
        names: context.rest,
        out,
        replace: context.flag('replace'),
        onStart: (bytes) => {
          context.ui.stage('metadata, evidence and hardware are verified');
          progress = context.ui.progress(out, bytes);
        },
        onBytes: (bytes) => progress?.advance(bytes),
      });
      progress?.done();
      return {
        data: {
          out,
          length,
          sha256,
          created: formatInstant(index.created),
          artifacts: index.artifacts,
          files: index.files.length,
        },
        text: [
          `written: ${out}, ${index.files.length} files, ${formatBytes(length)}`,
          `  sha256 ${sha256}`,
          ...index.artifacts.map((path) => `  for ${path}`),
        ].join('\n'),
      };
    });
  },
};

/**
 * A bundle is an excerpt of one tree, and whoever has it begins from one root. What several
 * repositories say of a file is for the map of the machine that uses it to judge, with each of them.
 */
function ofOneRepository(): IronError {
  return new IronError('E_USAGE', 'a bundle is of one repository, and a map is of several', {
    why: 'whoever has the bundle verifies it from one root, and could not ask the others whether they agree',
    hint: 'nothing was done; make one for each repository of the map, with `--store STORE/repositories/NAME`; `bundle import` each the same way, and `get-verified --map FILE --offline` there demands that they agree',
  });
}
