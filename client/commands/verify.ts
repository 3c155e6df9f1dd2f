/** `ironport-client ADDRESS verify FOLDER|FILE`: the same checks, without the network. */

import { stat } from 'node:fs/promises';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { formatInstant } from '../../shared/time.ts';
import { verifyFile, verifyFolder } from '../verify-offline.ts';
import {
  argument,
  hostPolicy,
  MAX_STALE,
  NO_NETWORK,
  POLICY,
  REPOSITORY,
  ROOT,
  withPinned,
} from './options.ts';
import { checkData, checkRow, staleData, staleText } from './show.ts';

export const verifyCommand: CommandSpec = {
  name: 'verify',
  summary: 'verify a hand-over folder or a file again, without the network',
  description:
    'From the root and the version floors of this machine, judged by its clock: what expired ' +
    'since does not verify. A file is verified as the target --as, by the metadata of the last ' +
    'refresh; its evidence is judged when it lies beside it, or was kept by get-verified.',
  arguments: [{ name: 'place', description: 'a folder that `handoff` wrote, or a file' }],
  options: [
    ...REPOSITORY,
    ROOT,
    MAX_STALE,
    ...POLICY,
    { flags: '--as <name>', description: 'the target path that a file should be' },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 verify /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 verify edu.js --as acme/edu/1.0.0/edu.js',
  ],
  schema: 'ironport-client/verify/v1',
  run: (context) =>
    withPinned(
      context,
      async (repository) => {
        const place = argument(context, 0, 'FOLDER or FILE');
        const name = context.text('as');
        const isFolder = (await onPath(place, () => stat(place), 'E_NOT_FOUND')).isDirectory();
        if (isFolder !== (name === undefined)) {
          throw new IronError(
            'E_USAGE',
            'a file needs --as NAME, and a hand-over folder has none',
            {
              hint: 'name the target that the file should be: --as acme/edu/1.0.0/edu.js',
            },
          );
        }
        const policy = (await hostPolicy(context))?.policy;
        const verdict =
          name === undefined
            ? await verifyFolder(repository, place, policy)
            : await verifyFile(repository, place, name, policy);
        const { path, length, sha256, checks, notChecked, stale, artifact } = verdict;
        const until = artifact === undefined ? null : formatInstant(artifact.freshUntil);
        return {
          data: {
            verified: true,
            path,
            length,
            sha256,
            evidence: artifact !== undefined,
            fresh_until: until,
            stale: staleData(stale),
            checks: checks.map(checkData),
            not_checked: notChecked,
          },
          text: [
            table(checks.map(checkRow)),
            ...notChecked.map((what) => `not checked: ${what}`),
            ...stale.map((file) => `by leave: ${staleText(file)}`),
            `verified: ${place} is ${path}, ${length} bytes`,
          ].join('\n'),
        };
      },
      NO_NETWORK,
    ),
};
