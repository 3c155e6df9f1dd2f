/** `serve-static`: the published tree, as any static server would serve it. */

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { IronError } from '../../shared/errors.ts';
import { data, tree } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { DEFAULT_LISTEN, LOG_OPTION, parseListen } from '../config.ts';
import { serveTree } from '../http/static-server.ts';
import { Log } from '../observe/log.ts';

export const serveStatic: CommandSpec = {
  name: 'serve-static',
  summary: 'serve a published tree, or a copy of one, and nothing else',
  description:
    'For mirrors, and for a read path apart from the service: it holds no key and no database, takes nothing, and answers for the tree exactly as the service does. FOLDER is a tree, or the folder of a service. Stops on SIGINT or SIGTERM.',
  arguments: [{ name: 'folder', description: 'the tree, or the folder that has it' }],
  options: [LOG_OPTION],
  examples: ['ironport-repo 0.0.0.0:8080 serve-static /srv/mirror'],
  schema: 'ironport-repo/serve-static/v1',
  async run(context) {
    const { ui, signal } = context;
    const folder = await treeIn(resolve(context.args[0] ?? ''));
    const server = await serveTree({
      folder,
      listen: parseListen(context.address ?? DEFAULT_LISTEN),
      log: context.flag('log-json') ? new Log((line) => ui.line(line), systemClock) : undefined,
      onFailure: ({ code, message }) => ui.warn(`${code}: ${message}`),
    });
    ui.stage(`serving ${folder} on ${server.url}`);
    if (!signal.aborted) {
      await new Promise<void>((end) => {
        signal.addEventListener('abort', () => end(), { once: true });
      });
    }
    await server.close();
    return { data: { url: server.url, folder, stopped: true } };
  },
};

/** The folder itself or its `tree/`, whichever has metadata. */
async function treeIn(folder: string): Promise<string> {
  for (const candidate of [folder, join(folder, data.tree)]) {
    const found = await stat(join(candidate, tree.metadataFolder)).catch(() => undefined);
    if (found?.isDirectory() === true) return candidate;
  }
  throw new IronError('E_NOT_FOUND', `there is no published tree in ${folder}`, {
    why: `neither it nor its ${data.tree}/ has a folder ${tree.metadataFolder}/`,
    hint: 'nothing was served; give the folder of a service, or a copy of its tree',
    context: { folder },
  });
}
