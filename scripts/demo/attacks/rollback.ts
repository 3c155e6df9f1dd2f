import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tree } from '../../../shared/layout.ts';
import { publishedState } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, refreshHonestly } from './victim.ts';

/** TUF 1.5.2, rollback: an old state, validly signed in its day, is served again. */
export const rollback: Attack = {
  name: 'rollback',
  summary: 'a mirror serves the timestamp of yesterday, which is validly signed',
  async run(scene, say) {
    await refreshHonestly(scene);
    const { timestamp } = await publishedState(scene);
    const older = timestamp.version - 1;
    say(`the host trusts timestamp ${timestamp.version}; the mirror serves timestamp ${older}`);
    const lies = new Map([
      [tree.timestamp, await readFile(join(scene.recorded, `timestamp.${older}.json`))],
    ]);
    return [
      await attackClient(scene, lies, { expected: 'E_ROLLBACK', context: { role: 'timestamp' } }),
    ];
  },
};
