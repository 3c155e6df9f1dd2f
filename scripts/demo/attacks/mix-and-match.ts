import { tree } from '../../../shared/layout.ts';
import { readRole, readTree } from '../support/thief.ts';
import type { Attack } from './attack.ts';
import { attackClient, HONEST_NEWS } from './victim.ts';

/** TUF 1.5.2, mix-and-match: files of two states, each validly signed, are combined. */
export const mixAndMatch: Attack = {
  name: 'mix-and-match',
  summary: "a mirror combines today's snapshot with the vendor's file of an earlier one",
  async run(scene, say) {
    const { version } = await readRole(scene, 'acme');
    const older = await readTree(scene, tree.metadata('acme', version - 1));
    say(`acme ${version - 1} is served under the name of acme ${version}`);
    const lies = new Map([[tree.metadata('acme', version), older]]);
    return [
      await attackClient(scene, lies, {
        expected: 'E_MIX_AND_MATCH',
        context: { role: 'acme', found: version - 1, named: version },
        progress: HONEST_NEWS,
      }),
    ];
  },
};
