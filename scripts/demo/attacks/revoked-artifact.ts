import { raiseFloor } from '../honest.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** Every signature is right and every file is the newest: the artifact is known to be bad. */
export const revokedArtifact: Attack = {
  name: 'revoked-artifact',
  summary: 'a driver with a known fault is still listed by its vendor, and is offered',
  async run(scene, say) {
    await raiseFloor(scene, 'acme/edu', 2);
    say('two of the security team signed: nothing of acme/edu below generation 2 is used any more');
    return [
      await attackClient(scene, new Map(), {
        expected: 'E_REVOKED',
        context: { reason: 'generation' },
        progress: [...HONEST_NEWS, 'revocations', 'acme'],
      }),
    ];
  },
};
