/** `ironport-client ADDRESS handoff NAME FOLDER`. */

import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import type { HandoffRecord } from '../../shared/handoff/record.ts';
import type { Choice } from '../../shared/product/choose.ts';
import type { Agreement } from '../../shared/verify/agreement.ts';
import type { Source } from '../fetch/source.ts';
import { localSource, writeHandoff } from '../handoff/write.ts';
import type { Repository } from '../repository.ts';
import type { KeepableTarget } from '../verify-target.ts';
import { choiceData, DEVICE, HOST, SYSFS, verifyNamed } from './host-options.ts';
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
import { verdictData } from './show.ts';

interface Verified {
  readonly repository: Repository;
  readonly verified: KeepableTarget;
}

interface Outcome {
  readonly verified: KeepableTarget;
  readonly record: HandoffRecord;
  readonly choice: Choice | undefined;
  readonly agreement: Agreement | undefined;
  /** Of the map, by its name there: the one that it is from. */
  readonly from: string | undefined;
}

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
    ...MAP,
    {
      flags: '--artifact <file>',
      description: 'take the bytes from here, as `get-verified` wrote them; they are hashed again',
    },
    { flags: '--replace', description: 'replace an earlier hand-over that stands there' },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 handoff acme/edu/1.0.0/edu.js /run/ironport/handoff',
    'ironport-client 127.0.0.1:8080 handoff acme/edu/1.0.0/edu.js out --artifact edu.js',
    'ironport-client handoff --map map.json acme/edu/1.0.0/edu.js out',
  ],
  schema: 'ironport-client/handoff/v1',
  run: (context) => (context.text('map') === undefined ? fromOne(context) : fromMap(context)),
};

function fromOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withPinned(context, async (repository) => {
    const policy = (await hostPolicy(context))?.policy;
    const { verified, choice } = await verifyNamed(context, repository, nameOf(context), policy);
    context.ui.stage('metadata, evidence and hardware are verified');
    const record = await handOver(context, { repository, verified });
    return result(context, { verified, record, choice, agreement: undefined, from: undefined });
  });
}

/** Of several repositories that must agree (TAP 4): what is handed over is one repository's. */
function fromMap(context: CommandContext): Promise<CommandResult> {
  return withMapped(context, async (mapped) => {
    const policy = (await hostPolicy(context))?.policy;
    const { verified, choice } = await verifyNamed(context, mapped, nameOf(context), policy);
    context.ui.stage('metadata, evidence and hardware are verified, and the map is met');
    const { agreement } = verified;
    // A record names one root: the agent must have pinned that of the repository that it is from.
    const { record, source } = await mapped.fromSources(verified, async (source) => ({
      record: await handOver(context, source),
      source,
    }));
    const from = source.name;
    return result(context, { verified: source.verified, record, choice, agreement, from });
  });
}

function nameOf(context: CommandContext): string {
  return argument(context, 0, 'NAME');
}

/** Writes the folder, with the bytes of `--artifact` or of the repository. */
function handOver(
  context: CommandContext,
  { repository, verified }: Verified,
): Promise<HandoffRecord> {
  const local = context.text('artifact');
  const from = async (source: Source): Promise<HandoffRecord> => {
    const progress = context.ui.progress(verified.verdict.path, verified.target.length);
    const record = await writeHandoff({
      ...{ verified, source, folder: argument(context, 1, 'FOLDER'), signal: context.signal },
      replace: context.flag('replace'),
      lockFolder: repository.store.folder,
      onBytes: (bytes) => progress.advance(bytes),
    });
    progress.done();
    await verified.keep();
    return record;
  };
  return local === undefined
    ? repository.fromMirrors(({ fetcher }) => from(fetcher))
    : from(localSource(local));
}

function result(
  context: CommandContext,
  { verified, record, choice, agreement, from }: Outcome,
): CommandResult {
  const folder = argument(context, 1, 'FOLDER');
  const { path } = verified.verdict;
  return {
    data: {
      folder,
      sidecars: record.sidecars,
      ...verdictData(verified),
      choice: choice === undefined ? null : choiceData(choice),
      agreement: agreement === undefined ? null : agreementData(agreement),
      repository: from ?? null,
    },
    text: [
      `handed over: ${folder}, ${path} and ${record.sidecars.length} sidecars`,
      ...(agreement === undefined ? [] : [agreementText(agreement)]),
      ...(from === undefined
        ? []
        : [`it is from ${from}: the agent must have pinned the root of that one`]),
    ].join('\n'),
  };
}
