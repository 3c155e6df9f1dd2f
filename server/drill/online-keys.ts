/** Rehearsals of what follows when the online keys are stolen, alone or with the service's disk. */

import { join } from 'node:path';
import type { CommandContext } from '../../shared/cli/command.ts';
import { passphraseSource } from '../../shared/cli/secret.ts';
import { data, tree } from '../../shared/layout.ts';
import { passphraseFor } from '../../shared/node/signers/passphrase.ts';
import { OnlineKeys } from '../publish/online-keys.ts';
import type { Rehearsal } from './rehearsal.ts';

/** What the operators sign in a rehearsal is good for so long, wherever it may get to. */
export const LIFE = '1h';

/**
 * Hosts are first shown what a thief can show, a timestamp far ahead. Then both online keys are
 * replaced; hosts that were led astray must come back, and the stolen keys must be good for nothing.
 * @param original the folder whose keys were stolen; they are used here as the thief would
 */
export async function replaceOnlineKeys(it: Rehearsal, original: string): Promise<void> {
  const before = await it.published();
  const paths = await it.paths(before);
  const stolen = await openKeys(it.context, join(original, data.onlineKeys));
  const signers = stolen.those(before.root, 'timestamp');
  const [steady, misled] = [it.newcomer(before), it.newcomer(before)];
  await it.holds('a host, before', () => steady.read([it.tree], paths));
  if (signers.length > 0) {
    const thief = await it.forge(signers, before, 1000);
    await it.holds('a host that the thief misleads, before', () =>
      misled.read([thief, it.tree], paths),
    );
  }

  const next = before.root.version + 1;
  const root = join(it.work, `${next}.root.json`);
  const keyOf = (role: string): string => join(it.home, data.onlineKeys, `${role}-drill.json`);
  for (const role of ['snapshot', 'timestamp'])
    await it.steps.run('key', 'make', '--out', keyOf(role));
  await it.steps.run(
    ...['root', 'rotate', '--root', join(it.tree, tree.metadata('root', next - 1))],
    ...['--replace-snapshot', keyOf('snapshot'), '--replace-timestamp', keyOf('timestamp')],
    ...it.keys.root.flatMap((key) => ['--key', key]),
    ...['--expires-in', LIFE, '--out', root, '--yes'],
  );
  await it.steps.run('submit', root, '--dir', it.home);
  it.recovered = it.steps.seconds;
  await it.wholeTree();

  await it.holds('a host, after', () => steady.read([it.tree], paths));
  if (signers.length > 0)
    await it.holds('the host that was misled, after', () => misled.read([it.tree], paths));
  const after = await it.published();
  await it.holds('a host that begins at root 1', () => it.newcomer(after).read([it.tree], paths));
  if (signers.length === 0) return;
  const thief = await it.forge(signers, after, 2000);
  await it.refused('the thief, after', () => it.newcomer(after).read([thief, it.tree], paths));
}

async function openKeys(context: CommandContext, folder: string): Promise<OnlineKeys> {
  const ask = (): Promise<string> => passphraseFor('an online key', passphraseSource(context));
  const keys = new OnlineKeys(folder, ask);
  await keys.load();
  return keys;
}
