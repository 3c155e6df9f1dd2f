import { DAY } from '../../../shared/time.ts';
import type { Attack } from './attack.ts';
import { attackClient, refreshHonestly } from './victim.ts';

/** TUF 1.5.2, indefinite freeze: nothing is forged, the host is only kept from hearing news. */
export const freeze: Attack = {
  name: 'freeze',
  summary: 'a mirror goes on serving what it has, so that no withdrawal is ever heard of',
  async run(scene, say) {
    await refreshHonestly(scene);
    say("two days pass; the mirror's files are as they were");
    return [
      await attackClient(scene, new Map(), {
        expected: 'E_EXPIRED',
        context: { role: 'timestamp' },
        clock: 2 * DAY,
      }),
    ];
  },
};
