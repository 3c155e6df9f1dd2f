import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isTransition, STATES, type State, transition } from '../../shared/manifest/lifecycle.ts';
import { holds, refused } from './support.ts';

/** The same rules in IronShim-rs's own words, a line each. */
function allowed(from: State, to: State): boolean {
  if (to === 'quarantined') return true;
  if (to === 'shutdown') return from === 'running' || from === 'suspended';
  if (from === 'created') return to === 'initialized';
  if (from === 'initialized') return to === 'running';
  return (from === 'running' && to === 'suspended') || (from === 'suspended' && to === 'running');
}

t.test('every pair of states', async (t) => {
  for (const from of STATES) {
    for (const to of STATES) {
      t.equal(isTransition(from, to), allowed(from, to), `${from} to ${to}`);
      if (allowed(from, to)) t.equal(transition(from, to), to);
      else refused(t, () => transition(from, to), 'E_AGENT_REFUSED', /cannot become/);
    }
  }
});

t.test('every walk', async (t) => {
  holds(
    t,
    'nothing runs that was not initialized, nothing leaves quarantine, nothing runs after the end',
    fc.property(fc.array(fc.constantFrom(...STATES), { maxLength: 30 }), (wishes) => {
      const walk: State[] = ['created'];
      for (const to of wishes) if (isTransition(walk.at(-1) as State, to)) walk.push(to);
      const running = walk.indexOf('running');
      if (running !== -1) assert.equal(walk[running - 1], 'initialized');
      for (const last of ['quarantined', 'shutdown'] as const) {
        const at = walk.indexOf(last);
        if (at !== -1) assert.ok(walk.slice(at + 1).every((state) => state === 'quarantined'));
      }
    }),
  );
});
