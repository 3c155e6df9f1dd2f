import { systemClock } from '../../../shared/node/clock.ts';
import { rotateOnlineKeys, storeOf } from '../honest.ts';
import { treeOf } from '../scene.ts';
import { startHostileServer } from '../support/hostile-server.ts';
import { ask } from '../support/programs.ts';
import { forgeOnline, publishedState } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, refreshHonestly } from './victim.ts';

const FAR = Number.MAX_SAFE_INTEGER - 1;

/** TUF 1.5.2, fast-forward: versions near the end of the numbers, so that no honest one follows. */
export const fastForward: Attack = {
  name: 'fast-forward',
  summary: 'stolen online keys publish a version near 2^53, so that the honest one looks old',
  async run(scene, say) {
    const forged = await forgeOnline(scene, systemClock(), new Map(), {
      timestamp: FAR,
      snapshot: FAR,
    });
    const server = await startHostileServer(treeOf(scene), forged);
    const accepted = await ask('ironport-client', [
      server.url,
      'refresh',
      '--store',
      storeOf(scene),
    ]);
    await server.stop();
    if (!accepted.ok)
      throw new Error(`the forged versions were not accepted: ${accepted.error?.message}`);
    say(
      `accepted: timestamp and snapshot ${FAR}, because the stolen keys are still the right ones`,
    );

    const refused = await attackClient(scene, new Map(), {
      expected: 'E_ROLLBACK',
      context: { role: 'timestamp' },
    });
    say('the honest repository now looks like a rollback, and nothing was installed');

    await rotateOnlineKeys(scene);
    const healed = await refreshHonestly(scene);
    if (!healed.ok)
      throw new Error(`the rotated root did not heal the host: ${healed.error?.message}`);
    const { timestamp } = await publishedState(scene);
    say(
      `recovered: a root with new online keys was published, and timestamp ${timestamp.version} is accepted again`,
    );
    return [refused];
  },
};
