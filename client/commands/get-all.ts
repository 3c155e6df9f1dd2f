/** `ironport-client ADDRESS get-all FOLDER NAME…`. */

import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  Progress,
} from '../../shared/cli/command.ts';
import { IronError, isIronError } from '../../shared/errors.ts';
import { onPath } from '../../shared/node/file-system.ts';
import type { Agreement } from '../../shared/verify/agreement.ts';
import type { GetOptions, Gotten, Wanted } from '../repository.ts';
import { agreementData, agreementText, MAP, refuseRoots, withMapped } from './map-options.ts';
import {
  argument,
  hostPolicy,
  LIMIT_RATE,
  MIRROR,
  OFFLINE,
  POLICY,
  REPOSITORY,
  ROOT,
  withPinned,
} from './options.ts';
import { verdictData, verdictText } from './show.ts';

export const getAllCommand: CommandSpec = {
  name: 'get-all',
  summary: 'download several artifacts, each verified, some at a time',
  description:
    'Verifies all of them first, as `get-verified` does, and then brings four at a time into ' +
    'FOLDER, each under the last part of its name. The first that fails stops the rest; what was ' +
    'brought before it is whole and verified, and running it again goes on from there.',
  arguments: [
    { name: 'folder', description: 'the folder to write to; it is made when it is not there' },
    { name: 'names', description: 'target paths: VENDOR/PRODUCT/VERSION/FILE', variadic: true },
  ],
  options: [...REPOSITORY, MIRROR, LIMIT_RATE, ROOT, ...OFFLINE, ...POLICY, ...MAP],
  examples: [
    'ironport-client 127.0.0.1:8080 get-all drivers acme/edu/1.0.0/edu.js acme/nic/2.1.0/nic.js',
    'ironport-client get-all --map map.json drivers acme/edu/1.0.0/edu.js acme/nic/2.1.0/nic.js',
  ],
  schema: 'ironport-client/get-all/v1',
  run: (context) => {
    if (context.text('map') !== undefined)
      return withMapped(context, (mapped) => getAll(context, mapped));
    refuseRoots(context);
    return withPinned(context, (repository) => getAll(context, repository));
  },
};

type Brought = Gotten & { readonly agreement?: Agreement };

async function getAll(
  context: CommandContext,
  from: {
    getAllVerified(wanted: readonly Wanted[], options: GetOptions): Promise<readonly Brought[]>;
  },
): Promise<CommandResult> {
  const folder = argument(context, 0, 'FOLDER');
  const wanted = placed(folder, context.rest);
  const policy = (await hostPolicy(context))?.policy;
  await makeFolder(folder);
  let progress: Progress | undefined;
  const gotten = await from.getAllVerified(wanted, {
    policy,
    signal: context.signal,
    onBytes: (bytes) => {
      progress ??= context.ui.progress(`${wanted.length} artifacts`);
      progress.advance(bytes);
    },
  });
  progress?.done();
  const artifacts = gotten.map((one, at) => ({ ...one, out: wanted[at]?.out ?? '' }));
  return {
    data: {
      verified: true,
      folder,
      artifacts: artifacts.map((one) => ({
        out: one.out,
        outcome: one.outcome,
        verdict: verdictData(one),
        agreement: one.agreement === undefined ? null : agreementData(one.agreement),
      })),
    },
    text: artifacts
      .map((one) => {
        const word = one.outcome === 'kept' ? 'was there already' : 'written';
        return [
          verdictText(one),
          ...(one.agreement === undefined ? [] : [agreementText(one.agreement)]),
          `  ${word}: ${one.out}`,
        ].join('\n');
      })
      .join('\n'),
  };
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await onPath(folder, () => mkdir(folder, { recursive: true }));
  } catch (error) {
    if (!isIronError(error, 'E_IO') || error.context.errno !== 'EEXIST') throw error;
    throw new IronError('E_EXISTS', `${folder} is not a folder`, {
      hint: 'nothing was done; FOLDER comes before the names: `get-all FOLDER NAME…`',
      cause: error,
      context: { path: folder },
    });
  }
}

/** Where each goes. Two that would be one file are refused before anything is asked for. */
function placed(folder: string, names: readonly string[]): { path: string; out: string }[] {
  const wanted = [...new Set(names)].map((path) => ({ path, out: join(folder, basename(path)) }));
  const outs = new Map<string, string>();
  for (const { path, out } of wanted) {
    // Some file systems keep one file of two names that differ in case alone.
    const other = outs.get(out.toLowerCase());
    if (other !== undefined) {
      throw new IronError('E_USAGE', `${other} and ${path} would both be ${out}`, {
        hint: 'nothing was changed; bring them into two folders',
      });
    }
    outs.set(out.toLowerCase(), path);
  }
  return wanted;
}
