import { systemClock } from '../../../shared/node/clock.ts';
import { DAY } from '../../../shared/time.ts';
import { forgeOnline } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** A thief of the service keeps a newer list back. Online keys renew everything but the list. */
export const staleRevocations: Attack = {
  name: 'stale-revocations',
  summary: 'the server is stolen, and goes on without the newest revocations',
  async run(scene, say) {
    const later = systemClock() + 8 * DAY;
    const lies = await forgeOnline(scene, later, new Map());
    say('eight days pass; timestamp and snapshot are fresh, signed with the stolen online keys');
    return [
      await attackClient(scene, lies, {
        expected: 'E_REVOCATIONS_STALE',
        context: { role: 'revocations' },
        progress: HONEST_NEWS,
        clock: 8 * DAY,
      }),
    ];
  },
};
