/** `ironport-client ADDRESS verify FOLDER|FILE`: the same checks, without the network. */

import { stat } from 'node:fs/promises';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { table } from '../../shared/cli/table.ts';
import { IronError } from '../../shared/errors.ts';
import { onPath } from '../../shared/node/file-system.ts';
import { formatInstant } from '../../shared/time.ts';
import type { Agreement } from '../../shared/verify/agreement.ts';
import type { MappedRepositories } from '../map/mapped.ts';
import type { Repository } from '../repository.ts';
import { type OfflineVerdict, verifyFile, verifyFolder } from '../verify-offline.ts';
import { agreementData, agreementText, MAP, refuseRoots, withMapped } from './map-options.ts';
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
    ...MAP,
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 verify /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 verify edu.js --as acme/edu/1.0.0/edu.js',
    'ironport-client verify --map map.json edu.js --as acme/edu/1.0.0/edu.js',
  ],
  schema: 'ironport-client/verify/v1',
  run: (context) => (context.text('map') === undefined ? byOne(context) : byMap(context)),
};

function byOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  const verify = async (repository: Repository): Promise<CommandResult> => {
    const { place, name } = await whatToVerify(context);
    const policy = (await hostPolicy(context))?.policy;
    const verdict =
      name === undefined
        ? await verifyFolder(repository, place, policy)
        : await verifyFile(repository, place, name, policy);
    return result(place, verdict);
  };
  return withPinned(context, verify, NO_NETWORK);
}

/** A file, by what is stored of each repository of the map. */
function byMap(context: CommandContext): Promise<CommandResult> {
  const verify = async (mapped: MappedRepositories): Promise<CommandResult> => {
    const { place, name } = await whatToVerify(context);
    if (name === undefined) {
      throw new IronError('E_USAGE', 'a hand-over is of one repository, and a map is of several', {
        hint: 'verify it by the repository that it is from: `ironport-client ADDRESS verify FOLDER --store STORE/repositories/NAME`',
      });
    }
    const policy = (await hostPolicy(context))?.policy;
    const verdict = await mapped.verifyFile(place, name, { policy });
    return result(place, verdict, verdict.agreement);
  };
  return withMapped(context, verify, NO_NETWORK);
}

/** The place, and the name that it should be of when it is a file. */
async function whatToVerify(
  context: CommandContext,
): Promise<{ readonly place: string; readonly name: string | undefined }> {
  const place = argument(context, 0, 'FOLDER or FILE');
  const name = context.text('as');
  const isFolder = (await onPath(place, () => stat(place), 'E_NOT_FOUND')).isDirectory();
  if (isFolder !== (name === undefined)) {
    throw new IronError('E_USAGE', 'a file needs --as NAME, and a hand-over folder has none', {
      hint: 'name the target that the file should be: --as acme/edu/1.0.0/edu.js',
    });
  }
  return { place, name };
}

function result(place: string, verdict: OfflineVerdict, agreement?: Agreement): CommandResult {
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
      agreement: agreement === undefined ? null : agreementData(agreement),
    },
    text: [
      table(checks.map(checkRow)),
      ...notChecked.map((what) => `not checked: ${what}`),
      ...stale.map((file) => `by leave: ${staleText(file)}`),
      ...(agreement === undefined ? [] : [agreementText(agreement)]),
      `verified: ${place} is ${path}, ${length} bytes`,
    ].join('\n'),
  };
}
