import { agentArgs } from '../honest.ts';
import { changedPaths, folderState } from '../support/folder-state.ts';
import { ask, must } from '../support/programs.ts';
import type { Attack } from './attack.ts';
import { handOver, handOverOlder } from './handed-over.ts';
import { answer } from './victim.ts';

/** An older record is validly signed in every part; only the agent's own floors tell. */
export const handoffReplayed: Attack = {
  name: 'handoff-replayed',
  summary: 'an older hand-over, validly signed, is offered after a newer one',
  async run(scene, say) {
    const older = await handOverOlder(scene);
    const newer = await handOver(scene, scene.artifact, 'newer');
    await must('ironport-agent', ['accept', newer, ...agentArgs(scene)]);
    say('the agent accepted the newer record; now it is offered the older one');
    const before = await folderState(scene.agent);
    const document = await ask('ironport-agent', ['accept', older, ...agentArgs(scene)]);
    const changed = changedPaths(before, await folderState(scene.agent)).filter(
      (path) => !/audit|lock/.test(path),
    );
    return [answer('agent', document, { expected: 'E_ROLLBACK' }, changed)];
  },
};
