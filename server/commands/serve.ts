/** `serve`, which is also what `ironport-repo ADDRESS FOLDER` means. */

import { resolve } from 'node:path';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { PASSPHRASE_OPTION } from '../ceremony/signers.ts';
import {
  DEFAULT_HOME,
  DEFAULT_LISTEN,
  PUBLIC_NAME_OPTION,
  parseListen,
  WATCH_OPTIONS,
} from '../config.ts';
import { openToServe, serveUntilStopped } from './run-service.ts';

export const serve: CommandSpec = {
  name: 'serve',
  summary: 'serve a repository and take uploads',
  description:
    'Serves the published tree of FOLDER, takes what vendors and operators hand in, publishes it, and renews snapshot and timestamp. The keys of those two lie in FOLDER/private/keys. Stops on SIGINT or SIGTERM.',
  arguments: [{ name: 'folder', description: "the service's folder", optional: true }],
  options: [PUBLIC_NAME_OPTION, PASSPHRASE_OPTION, ...WATCH_OPTIONS],
  examples: ['ironport-repo 127.0.0.1:8080 repo-data', 'ironport-repo serve repo-data'],
  schema: 'ironport-repo/serve/v1',
  async run(context) {
    const listen = parseListen(context.address ?? DEFAULT_LISTEN);
    const home = resolve(context.args[0] ?? context.env.IRONPORT_REPO_DIR ?? DEFAULT_HOME);
    const opened = await openToServe(context, home, 'ironport-repo serve');
    return await serveUntilStopped(context, opened, listen, context.list('public-name'));
  },
};
