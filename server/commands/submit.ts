/** `submit`: hands files that operators signed to the repository. */

import { errorFromBody, type SubmissionReply } from '../../shared/api/upload.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { METADATA_LIMITS } from '../../shared/limits.ts';
import { readFileCapped } from '../../shared/node/files.ts';
import { PASSPHRASE_OPTION } from '../ceremony/signers.ts';
import { DIR_OPTION, homeOf } from '../config.ts';
import { handToService, publishHere, runningService } from './hand-in.ts';

export const submit: CommandSpec = {
  name: 'submit',
  summary: 'hand signed root or targets files to the repository',
  description:
    "Gives the files to the service that runs over the folder, or to the one at --url; when none runs, takes the writer's lock and publishes them itself. The signatures decide, not who calls. Only here, on the machine itself, a first root is taken.",
  arguments: [{ name: 'file', description: 'signed root or targets files', variadic: true }],
  options: [
    DIR_OPTION,
    { flags: '--url <url>', description: 'the service, when it runs elsewhere' },
    PASSPHRASE_OPTION,
  ],
  examples: [
    'ironport-repo submit 1.root.json 1.targets.json --dir repo-data',
    'ironport-repo submit 7.targets.json --url https://drivers.example',
  ],
  schema: 'ironport-repo/submit/v1',
  async run(context) {
    const files: Uint8Array[] = [];
    for (const path of context.rest)
      files.push(await readFileCapped(path, METADATA_LIMITS.targets));
    const url = context.text('url');
    const home = homeOf(context);
    let reply: SubmissionReply | undefined;
    let by = 'service';
    if (url !== undefined) {
      reply = await handToService(context, { url, token: undefined }, files, false);
    } else {
      const service = await runningService(home);
      if (service !== undefined) reply = await handToService(context, service, files, true);
    }
    if (reply === undefined) {
      by = 'this command';
      reply = await publishHere(context, home, files);
    }
    for (const { check, ok, detail } of reply.verdicts) {
      if (ok) context.ui.stage(`${check}: ${detail}`);
      else context.ui.warn(`${check}: ${detail}`);
    }
    if (reply.error !== undefined) throw errorFromBody(reply.error);
    return {
      data: { ...reply, by },
      text:
        reply.published === undefined
          ? `${reply.role} ${reply.version} waits for publication as ${reply.id}`
          : `${reply.role} ${reply.version} published, in snapshot ${reply.published.snapshot}`,
      ...(reply.state === 'published' ? {} : { exit: 75 }),
    };
  },
};
