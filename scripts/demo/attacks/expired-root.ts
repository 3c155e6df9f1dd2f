import { DAY } from '../../../shared/time.ts';
import type { Attack } from './attack.ts';
import { attackClient } from './victim.ts';

/** TUF 5.3.10: the last root of the chain must be fresh, before anything is built on it. */
export const expiredRoot: Attack = {
  name: 'expired-root',
  summary: 'a mirror withholds new roots until the one that the host trusts has expired',
  async run(scene, say) {
    say('400 days pass, and no newer root is served');
    return [
      await attackClient(scene, new Map(), {
        expected: 'E_EXPIRED',
        context: { role: 'root' },
        clock: 400 * DAY,
      }),
    ];
  },
};
