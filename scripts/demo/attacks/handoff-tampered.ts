import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { handoff } from '../../../shared/layout.ts';
import { agentArgs } from '../honest.ts';
import { changedPaths, folderState } from '../support/folder-state.ts';
import { ask } from '../support/programs.ts';
import type { Attack } from './attack.ts';
import { handOver } from './handed-over.ts';
import { answer } from './victim.ts';

/** Whoever owns the client's account owns the hand-over folder; the agent believes none of it. */
export const handoffTampered: Attack = {
  name: 'handoff-tampered',
  summary: 'the hand-over folder is altered after the client verified it',
  async run(scene, say) {
    const folder = await handOver(scene, scene.artifact, 'tampered');
    const file = join(folder, handoff.target(scene.artifact));
    const bytes = await readFile(file);
    bytes[0] = (bytes[0] as number) ^ 1;
    await writeFile(file, bytes);
    say('one bit of the artifact in the folder is flipped; the record beside it is untouched');
    const before = await folderState(scene.agent);
    const document = await ask('ironport-agent', ['accept', folder, ...agentArgs(scene)]);
    const changed = changedPaths(before, await folderState(scene.agent)).filter(
      (path) => !/audit|lock/.test(path),
    );
    return [answer('agent', document, { expected: 'E_HASH' }, changed)];
  },
};
