/** What a ceremony is told: by its options, or, at a terminal, in answer to its questions. */

import type { CommandContext, Person } from '../../shared/cli/command.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { IronError } from '../../shared/errors.ts';
import { demandRoom } from './outcome.ts';
import { Questions } from './questions.ts';
import { type Participant, participants, publicKeyOf } from './signers.ts';

/** Who takes part, each with a key that could be opened. */
export interface Answers {
  readonly out: string;
  readonly root: readonly Participant[];
  readonly rootThreshold: number;
  readonly targets: readonly Participant[];
  readonly targetsThreshold: number;
  readonly snapshot: PublicKey;
  readonly timestamp: PublicKey;
  readonly security: readonly Participant[];
  readonly securityThreshold: number;
  readonly renewal: Participant | undefined;
}

const NEEDED = ['out', 'root-threshold', 'snapshot-key', 'timestamp-key'] as const;

/**
 * The answers of the command line; where some are missing, those of the person at the terminal.
 * `E_USAGE` where nobody can be asked, `E_EXISTS` when something is where the result should go.
 */
export async function answersOf(context: CommandContext): Promise<Answers> {
  const missing = [
    ...NEEDED.filter((name) => context.text(name) === undefined),
    ...['root-key', 'targets-key'].filter((name) => context.list(name).length === 0),
  ];
  const out = context.text('out');
  if (out !== undefined) await demandRoom(out);
  if (missing.length === 0) return await scripted(context);
  if (context.person === undefined)
    throw new IronError('E_USAGE', `the option --${missing[0]} is needed`, {
      why: 'at a terminal it would be asked for; here nobody can be',
      hint: 'nothing was written; `ironport-repo ceremony --help` has an example',
    });
  return await guided(context, context.person);
}

async function scripted(context: CommandContext): Promise<Answers> {
  const people = (option: string) => participants(context, context.list(option));
  const renewal = context.text('renewal-key');
  return {
    out: context.need('out'),
    root: await people('root-key'),
    rootThreshold: context.number('root-threshold', 1) ?? 1,
    targets: await people('targets-key'),
    targetsThreshold: context.number('targets-threshold', 1) ?? 1,
    security: await people('security-key'),
    securityThreshold: context.number('security-threshold', 1) ?? 1,
    renewal: renewal === undefined ? undefined : (await participants(context, [renewal]))[0],
    snapshot: await publicKeyOf(context, context.need('snapshot-key')),
    timestamp: await publicKeyOf(context, context.need('timestamp-key')),
  };
}

async function guided(context: CommandContext, person: Person): Promise<Answers> {
  context.ui.stage(
    [
      'a ceremony says who may sign what in a repository, from its first day on.',
      'A key is a file, a signer (pkcs11:…, ssh-agent:…, plugin:…), or the public half (NAME.pub.json)',
      'of one that signs later on its own machine. A file that is not there yet can be made.',
    ].join('\n'),
  );
  const ask = new Questions(context, person);
  const root = await ask.keys('root-key', 'root key, kept offline');
  const rootThreshold = await ask.threshold('root-threshold', 'root', root.length);
  const targets = await ask.keys('targets-key', 'targets key, which admits vendors, kept offline');
  const targetsThreshold = await ask.threshold('targets-threshold', 'targets', targets.length);
  const security = await ask.keys('security-key', 'key of the security team, which revokes', 0);
  const securityThreshold = await ask.threshold(
    'security-threshold',
    'revocations',
    security.length,
  );
  const offline = [...root, ...targets, ...security].map(({ key }) => key);
  const renewal =
    security.length === 0
      ? undefined
      : await ask.renewal('renewal-key', 'key of the renewal timer', offline);
  const hot = [...offline, ...(renewal === undefined ? [] : [renewal.key])];
  const snapshot = await ask.online(
    'snapshot-key',
    'snapshot key of the service: its public half',
    hot,
  );
  const timestamp = await ask.online(
    'timestamp-key',
    'timestamp key of the service: its public half',
    [...hot, snapshot],
  );
  return {
    ...{ root, rootThreshold, targets, targetsThreshold, security, securityThreshold, renewal },
    ...{ snapshot, timestamp },
    out: context.text('out') ?? (await ask.place()),
  };
}
