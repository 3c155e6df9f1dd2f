/** `ironport-client ADDRESS get-verified NAME OUT`. */

import type {
  CommandContext,
  CommandResult,
  CommandSpec,
  Progress,
} from '../../shared/cli/command.ts';
import { demandOutFile } from '../out-file.ts';
import { hostSigner, writeMapSummary, writeSummary } from '../vsa/write.ts';
import { choiceData, choiceText, DEVICE, HOST, SYSFS, verifyNamed } from './host-options.ts';
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

export const getVerifiedCommand: CommandSpec = {
  name: 'get-verified',
  summary: 'download an artifact, verified from the pinned root down to its bytes',
  description:
    'Checks the metadata (TUF), the evidence beside the artifact, and that the vendor may speak ' +
    'for the hardware; then the bytes, while they arrive. OUT gets its name only when all of it ' +
    'holds. The verdict says what was checked, by which keys, and what was not. Of a product, the ' +
    'version for this host is chosen by its signed index, and the verdict says why.',
  arguments: [
    {
      name: 'name',
      description:
        'VENDOR/PRODUCT, VENDOR/PRODUCT@CHANNEL, or a whole path VENDOR/PRODUCT/VERSION/FILE',
    },
    { name: 'out', description: 'the file to write' },
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
      flags: '--vsa <file>',
      description:
        'write a verification summary here, signed by this host, and FILE.inputs.json beside it',
    },
    {
      flags: '--vsa-key <file>',
      description: 'sign it with this key instead of the one that this store keeps for its host',
    },
  ],
  examples: [
    'ironport-client 127.0.0.1:8080 get-verified acme/edu/1.0.0/edu.js edu.js --root root.json',
    'ironport-client 127.0.0.1:8080 get-verified acme/edu/1.0.0/edu.js edu.js --json',
    'ironport-client 127.0.0.1:8080 get-verified acme/edu/1.0.0/edu.js edu.js --vsa edu.vsa.json',
    'ironport-client 127.0.0.1:8080 get-verified acme/edu edu.js --device 0000:00:05.0',
    'ironport-client 127.0.0.1:8080 get-verified acme/edu@testing edu.js',
    'ironport-client get-verified --map map.json --roots roots acme/edu/1.0.0/edu.js edu.js',
    'ironport-client get-verified --map map.json acme/edu edu.js',
  ],
  schema: 'ironport-client/get-verified/v1',
  run: (context) => (context.text('map') === undefined ? fromOne(context) : fromMap(context)),
};

function fromOne(context: CommandContext): Promise<CommandResult> {
  refuseRoots(context);
  return withPinned(context, async (repository) => {
    const [name, out] = [argument(context, 0, 'NAME'), argument(context, 1, 'OUT')];
    await demandOutFile(out, name);
    let progress: Progress | undefined;
    const loaded = await hostPolicy(context);
    const { verified, choice } = await verifyNamed(context, repository, name, loaded?.policy);
    if (choice !== undefined) context.ui.stage(`${verified.verdict.path} is chosen`);
    const gotten = await repository.download(verified, out, {
      onStart: (path, length) => {
        context.ui.stage('metadata, evidence and hardware are verified');
        progress = context.ui.progress(path, length);
      },
      onBytes: (bytes) => progress?.advance(bytes),
    });
    progress?.done();
    const vsa = context.text('vsa') ?? null;
    if (vsa !== null) {
      const signer = await hostSigner(
        repository.store.folder,
        context.text('vsa-key'),
        context.env,
      );
      await writeSummary({ repository, verified: gotten, loaded, signer, out: vsa });
    }
    const { outcome } = gotten;
    return {
      data: {
        verified: true,
        out,
        outcome,
        vsa,
        ...verdictData(gotten),
        choice: choice === undefined ? null : choiceData(choice),
        agreement: null,
      },
      text: [
        ...(choice === undefined ? [] : [choiceText(choice)]),
        verdictText(gotten),
        `  ${outcome === 'kept' ? 'was there already' : 'written'}: ${out}`,
        ...(vsa === null ? [] : [`  verification summary: ${vsa}`]),
      ].join('\n'),
    };
  });
}

/** The same of several repositories that must agree (TAP 4). */
function fromMap(context: CommandContext): Promise<CommandResult> {
  const [name, out] = [argument(context, 0, 'NAME'), argument(context, 1, 'OUT')];
  return withMapped(context, async (mapped, map) => {
    await demandOutFile(out, name);
    let progress: Progress | undefined;
    const loaded = await hostPolicy(context);
    const { verified, choice } = await verifyNamed(context, mapped, name, loaded?.policy);
    if (choice !== undefined) context.ui.stage(`${verified.verdict.path} is chosen`);
    const gotten = await mapped.download(verified, out, {
      onStart: (path, length) => {
        context.ui.stage('metadata, evidence and hardware are verified, and the map is met');
        progress ??= context.ui.progress(path, length);
      },
      onBytes: (bytes) => progress?.advance(bytes),
    });
    progress?.done();
    const { outcome, agreement } = gotten;
    const vsa = context.text('vsa') ?? null;
    if (vsa !== null) {
      const signer = await hostSigner(mapped.folder, context.text('vsa-key'), context.env);
      await writeMapSummary({ map, verified: gotten, loaded, signer, out: vsa });
    }
    return {
      data: {
        verified: true,
        out,
        outcome,
        vsa,
        ...verdictData(gotten),
        choice: choice === undefined ? null : choiceData(choice),
        agreement: agreementData(agreement),
      },
      text: [
        ...(choice === undefined ? [] : [choiceText(choice)]),
        verdictText(gotten),
        agreementText(agreement),
        `  ${outcome === 'kept' ? 'was there already' : 'written'}: ${out}`,
        ...(vsa === null ? [] : [`  verification summary: ${vsa}`]),
      ].join('\n'),
    };
  });
}
