/** The states of a device on a host. */

import t from 'tap';
import {
  coreState,
  HOST_STATES,
  type HostState,
  hostTransition,
  isHostTransition,
} from '../../shared/manifest/host-lifecycle.ts';
import { isTransition } from '../../shared/manifest/lifecycle.ts';

t.test('quarantine is reached from anywhere, and left by one way', async (t) => {
  for (const state of HOST_STATES) {
    for (const next of ['quarantined', 'failed', 'lost'] as const)
      t.ok(isHostTransition(state, next), `${state} to ${next}`);
  }
  const out = HOST_STATES.filter((to) => isHostTransition('quarantined', to));
  t.strictSame(out.sort(), ['discovered', 'failed', 'lost', 'quarantined']);
  for (const to of ['released', 'active', 'claimed', 'admitted', 'absent'] as const)
    t.throws(() => hostTransition('quarantined', to), { code: 'E_AGENT_REFUSED' }, to);
});

t.test('a whole life', async (t) => {
  const life: HostState[] = [
    ...(['absent', 'discovered', 'verified', 'admitted', 'claimed', 'confined', 'active'] as const),
    ...(['suspended', 'active', 'draining', 'released', 'discovered'] as const),
  ];
  for (let i = 1; i < life.length; i++)
    t.equal(hostTransition(life[i - 1] as HostState, life[i] as HostState), life[i]);
  for (const [from, to] of [
    ['discovered', 'active'],
    ['verified', 'claimed'],
    ['admitted', 'confined'],
    ['claimed', 'active'],
    ['released', 'active'],
    ['lost', 'active'],
    ['failed', 'claimed'],
  ] as const)
    t.notOk(isHostTransition(from, to), `${from} to ${to}`);
});

t.test('what the core has a state for, it lets go the same way', async (t) => {
  for (const from of HOST_STATES) {
    for (const to of HOST_STATES) {
      const [a, b] = [coreState(from), coreState(to)];
      if (a === undefined || b === undefined || a === b || !isHostTransition(from, to)) continue;
      // The core does not shut down what never ran, and has no way back; the host has.
      if (b === 'created' || b === 'shutdown') continue;
      t.ok(isTransition(a, b), `${from} to ${to}: ${a} to ${b}`);
    }
  }
});
