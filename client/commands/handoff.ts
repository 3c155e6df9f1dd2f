/** `ironport-client ADDRESS handoff NAME FOLDER`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import type { Source } from '../download.ts';
import { localSource, writeHandoff } from '../handoff/write.ts';
import { choiceData, DEVICE, HOST, SYSFS, verifyNamed } from './host-options.ts';
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
import { verdictData } from './show.ts';

export const handoffCommand: CommandSpec = {
  name: 'handoff',
  summary: 'write an artifact with everything by which the agent can verify it again',
  description:
    'FOLDER appears when it is whole: record.json (the signed metadata and the digests), the ' +
    'artifact and its sidecars. The agent trusts none of it and verifies from its own root.',
  arguments: [
    {
      name: 'name',
      description:
        'VENDOR/PRODUCT, VENDOR/PRODUCT@CHANNEL, or a whole path VENDOR/PRODUCT/VERSION/FILE',
    },
    { name: 'folder', description: 'the folder to write; it must not exist' },
  ],
  options: [
    ...REPOSITORY,
    MIRROR,
    LIMIT_RATE,
    ROOT,
    ...OFFLINE,
    DEVICE,
    SYSFS,
    ...HOST,
    ...POLICY,
    {
      flags: '--artifact <file>',
      description: 'take the bytes from here, as `get-verified` wrote them; they are hashed again',
    },
    { flags: '--replace', description: 'replace an earlier hand-over that stands there' },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 handoff acme/edu/1.0.0/edu.js /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 handoff acme/edu/1.0.0/edu.js out --artifact edu.js',
  ],
  schema: 'ironport-client/handoff/v1',
  run: (context) =>
    withPinned(context, async (repository) => {
      const [name, folder] = [argument(context, 0, 'NAME'), argument(context, 1, 'FOLDER')];
      const local = context.text('artifact');
      const policy = (await hostPolicy(context))?.policy;
      const { verified, choice } = await verifyNamed(context, repository, name, policy);
      const { path } = verified.verdict;
      context.ui.stage('metadata, evidence and hardware are verified');
      const from = async (source: Source) => {
        const progress = context.ui.progress(path, verified.target.length);
        const record = await writeHandoff({
          ...{ verified, source, folder, signal: context.signal },
          replace: context.flag('replace'),
          lockFolder: repository.store.folder,
          onBytes: (bytes) => progress.advance(bytes),
        });
        progress.done();
        return record;
      };
      const record =
        local === undefined
          ? await repository.fromMirrors(({ fetcher }) => from(fetcher))
          : await from(localSource(local));
      return {
        data: {
          folder,
          sidecars: record.sidecars,
          ...verdictData(verified),
          choice: choice === undefined ? null : choiceData(choice),
        },
        text: `handed over: ${folder}, ${path} and ${record.sidecars.length} sidecars`,
      };
    }),
};
