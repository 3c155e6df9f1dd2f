/** The states of a device on a host. */

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  coreState,
  HOST_STATES,
  type HostState,
  hostTransition,
  isHostTransition,
} from '../../shared/manifest/host-lifecycle.ts';
import { isTransition } from '../../shared/manifest/lifecycle.ts';
import { holds } from './support.ts';

t.test('quarantine is reached from anywhere, and left by one way', async (t) => {
  for (const state of HOST_STATES) {
    t.ok(isHostTransition(state, 'quarantined'), state);
    for (const next of ['failed', 'lost'] as const)
      t.equal(isHostTransition(state, next), state !== 'quarantined', `${state} to ${next}`);
  }
  const out = HOST_STATES.filter((to) => isHostTransition('quarantined', to));
  t.strictSame(out.sort(), ['discovered', 'quarantined'], 'neither by failing nor by going away');
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

t.test('every walk', async (t) => {
  /** What must stand right before a state, where it is entered from below. */
  const stairs = ['discovered', 'verified', 'admitted', 'claimed', 'confined', 'active'] as const;
  holds(
    t,
    'no step is left out on the way up, and quarantine ends by a release alone',
    fc.property(fc.array(fc.constantFrom(...HOST_STATES), { maxLength: 60 }), (wishes) => {
      const walk: HostState[] = ['absent'];
      for (const to of wishes) if (isHostTransition(walk.at(-1) as HostState, to)) walk.push(to);
      for (const [i, state] of walk.entries()) {
        const before = walk[i - 1];
        if (before === 'quarantined') assert.ok(state === 'quarantined' || state === 'discovered');
        const step = stairs.indexOf(state as (typeof stairs)[number]);
        if (step < 1) continue;
        // Down again it comes from above, or from what follows `active`.
        const above: readonly HostState[] = [...stairs.slice(step + 1), 'suspended', 'draining'];
        assert.ok(before === stairs[step - 1] || above.includes(before as HostState), walk.join());
      }
    }),
    500,
  );
  for (const low of ['absent', 'discovered', 'verified', 'admitted'] as const)
    for (const high of ['confined', 'active', 'suspended', 'draining', 'released'] as const)
      t.notOk(isHostTransition(low, high), `${low} to ${high}`);
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
