/** `start`: a repository to try things out with, from nothing to serving in one command. */

import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { makeDevelopmentSet, renewDevelopment } from '../ceremony/development.ts';
import { PASSPHRASE_OPTION } from '../ceremony/signers.ts';
import {
  DEFAULT_LISTEN,
  DIR_OPTION,
  homeOf,
  PUBLIC_NAME_OPTION,
  parseListen,
  WATCH_OPTIONS,
} from '../config.ts';
import type { Repository } from '../repository.ts';
import { openToServe, serveUntilStopped } from './run-service.ts';

export const start: CommandSpec = {
  name: 'start',
  summary: 'serve a repository, and make one with development keys if there is none',
  description:
    'The first start makes every key itself, the root keys too, and keeps them all on this machine: good for trying things out and for nothing else. With NODE_ENV=production it refuses to.',
  options: [DIR_OPTION, PUBLIC_NAME_OPTION, PASSPHRASE_OPTION, ...WATCH_OPTIONS],
  examples: ['ironport-repo start', 'ironport-repo 127.0.0.1:9000 start --dir /tmp/repo'],
  schema: 'ironport-repo/start/v1',
  async run(context) {
    const listen = parseListen(context.address ?? DEFAULT_LISTEN);
    const home = homeOf(context);
    await refuseInProduction(context, home);
    const opened = await openToServe(context, home, 'ironport-repo start');
    const { repository } = opened;
    try {
      if ((await repository.current.get()) === undefined) await begin(context, repository);
      else await renew(repository);
    } catch (error) {
      await opened.operations?.close();
      await repository.close();
      throw error;
    }
    return await serveUntilStopped(context, opened, listen, context.list('public-name'));
  },
};

/** Development keys in production: neither made nor used. */
async function refuseInProduction(context: CommandContext, home: string): Promise<void> {
  if (context.env.NODE_ENV !== 'production') return;
  const has = (path: string): Promise<boolean> =>
    access(join(home, path)).then(
      () => true,
      () => false,
    );
  const isReal =
    (await has(join(data.tree, 'metadata', 'timestamp.json'))) &&
    !(await has(data.developmentKeys));
  if (isReal) return;
  throw new IronError('E_CONFIG', 'development keys have no place in production', {
    why: 'NODE_ENV is production, and whoever reads this folder would hold every key of the root',
    hint: 'nothing was changed; hold a ceremony with `ironport-repo ceremony`, then `submit` and `serve`',
    context: { home },
  });
}

/** What a timer does elsewhere: without it, hosts would refuse a repository of last week. */
async function renew({ home, crypto, clock, intake, worker, current }: Repository): Promise<void> {
  const published = await (await current.need()).revocations();
  const role = await renewDevelopment(home, crypto, published, clock());
  if (role === undefined) return;
  await intake.submitOperatorFiles([role], false);
  await worker.drain();
}

async function begin(context: CommandContext, repository: Repository): Promise<void> {
  const { home, crypto, clock, intake, worker } = repository;
  const { files, folder } = await makeDevelopmentSet(home, crypto, clock());
  context.ui.warn(
    `this is a development repository: all of its keys, the root keys too, were made just now and lie in ${folder}. Whoever reads that folder can sign anything. Never use it for real devices.`,
  );
  const { id } = await intake.submitOperatorFiles(files, true);
  await worker.drain();
  const { state, error } = intake.find(id, undefined);
  if (state === 'published') return;
  throw new IronError('E_INTERNAL', 'the development root was not published', {
    why: error?.message ?? `it is ${state}`,
  });
}
