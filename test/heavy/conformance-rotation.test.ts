// Rotations of keys, role by role, with every combination of who signed.

import t from 'tap';
import { Subject } from '../conformance/subject.ts';
import { type TestKey, testKey } from '../support/keys.ts';
import type { RoleDraft, Simulator } from '../support/simulator.ts';

const KEYS = Array.from({ length: 10 }, (_, i) => testKey(`rotation ${i}`));

/** Which keys a role has, how many must sign, and which did. */
type State = readonly [keys: readonly number[], threshold: number, signed: readonly number[]];

function become(sim: Simulator, role: string, [keys, threshold, signed]: State): void {
  const draft = sim.root.roles[role] as RoleDraft;
  draft.keyids = [];
  draft.threshold = threshold;
  for (const i of keys) sim.addKey(role, KEYS[i]);
  sim.signers.set(
    role,
    signed.map((i) => KEYS[i] as TestKey),
  );
}

const FIVE = [0, 1, 2, 3, 4];
/** One of five is another. */
const OTHER_FIVE = [0, 1, 3, 4, 5];

/** Versions of a root; the last of a case is refused when its name begins with `refused`. */
const ROOTS: Readonly<Record<string, readonly State[]>> = {
  'one key for another': [
    [[1], 1, [1]],
    [[2], 1, [2, 1]],
    [[2], 1, [2]],
  ],
  'signatures of strangers beside': [
    [[1], 1, [3, 1, 4]],
    [[2], 1, [3, 2, 1, 4]],
    [[2], 1, [3, 2, 4]],
  ],
  'any three of five': [
    [FIVE, 3, [0, 2, 4]],
    [FIVE, 3, [0, 4, 1]],
    [FIVE, 3, [0, 1, 3]],
  ],
  'one of five is another, signed by three that stay': [
    [FIVE, 3, [0, 2, 4]],
    [OTHER_FIVE, 3, [0, 4, 1]],
  ],
  'one of five is another, with old and new': [
    [FIVE, 3, [0, 2, 4]],
    [OTHER_FIVE, 3, [0, 2, 4, 5]],
    [OTHER_FIVE, 3, [0, 4, 5]],
  ],
  'all five are others': [
    [FIVE, 3, [0, 2, 4]],
    [[5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]],
    [[5, 6, 7, 8, 9], 3, [5, 6, 7]],
  ],
  'a raised threshold': [
    [[1, 2, 3], 1, [1]],
    [[1, 2, 3], 2, [1, 2]],
  ],
  'a lowered threshold': [
    [[1, 2, 3], 2, [1, 2]],
    [[1, 2, 3], 1, [1, 2]],
    [[1, 2, 3], 1, [1]],
  ],
  'one more key and a raised threshold': [
    [[1], 1, [1]],
    [[1, 2], 2, [1, 2]],
  ],
  'refused: not signed by the old': [
    [[1], 1, [1]],
    [[2], 1, [2, 3, 4]],
  ],
  'refused: not signed by the new': [
    [[1], 1, [1]],
    [[2], 1, [1, 3, 4]],
  ],
  'refused: two of the new three': [
    [FIVE, 3, [0, 2, 4]],
    [OTHER_FIVE, 3, [0, 2, 4]],
  ],
  'refused: two of the old three': [
    [FIVE, 3, [0, 2, 4]],
    [OTHER_FIVE, 3, [0, 4, 5]],
  ],
  'refused: below the raised threshold': [
    [[1, 2, 3], 1, [1]],
    [[1, 2, 3], 2, [2]],
  ],
  'refused: below the threshold that is being lowered': [
    [[1, 2, 3], 2, [1, 2]],
    [[1, 2, 3], 1, [1]],
  ],
};

t.test('rotations of the root', async (t) => {
  for (const [name, states] of Object.entries(ROOTS)) {
    const subject = await Subject.begin(t);
    const { sim } = subject;
    sim.root.version = 0;
    for (const state of states) {
      become(sim, 'root', state);
      sim.root.version++;
      sim.publishRoot();
    }
    t.equal(await subject.init(), 0);
    const refused = name.startsWith('refused');
    t.equal(await subject.refresh(), refused ? 1 : 0, name);
    const last = sim.roots.get(refused ? states.length - 1 : states.length);
    t.same(subject.bytes('root'), last, `${name}: the last good root, byte for byte`);
  }
});

/** States that follow one key of one, and whether what they signed counts. */
const OTHERS: Readonly<Record<string, State>> = {
  'another key': [[2], 1, [2]],
  'signatures of strangers beside': [[1], 1, [3, 1, 4]],
  'three of five': [FIVE, 3, [4, 2, 0]],
  'another three of five': [FIVE, 3, [1, 2, 3]],
  'refused: signed by the key of before': [[2], 1, [1, 3, 4]],
  'refused: two of three, and one that is none of the five': [OTHER_FIVE, 3, [0, 2, 4]],
  'refused: two of three': [OTHER_FIVE, 3, [0, 4]],
  'refused: more are needed than there are': [[1, 2], 3, [1, 2]],
};

for (const role of ['timestamp', 'snapshot', 'targets']) {
  t.test(`rotations of ${role}`, async (t) => {
    for (const [name, state] of Object.entries(OTHERS)) {
      const subject = await Subject.initialised(t);
      const { sim } = subject;
      sim.nextRoot(() => become(sim, role, [[1], 1, [1]]));
      t.equal(await subject.refresh(), 0);
      sim.nextRoot(() => become(sim, role, state));
      sim.publish('targets');
      const refused = name.startsWith('refused');
      t.equal(await subject.refresh(), refused ? 1 : 0, name);
      t.match(subject.trusted(), 'root 3', 'the root stands in any case');
      if (!refused) t.same(subject.bytes(role), sim.fileOf(role));
    }
  });
}
