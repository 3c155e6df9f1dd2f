/** Each attack of the demo is refused for its own reason, by the party that must, unchanged. */

import { rm } from 'node:fs/promises';
import t from 'tap';
import { ATTACKS } from '../../scripts/demo/attacks/index.ts';
import { mount, prepare } from '../../scripts/demo/attacks/run.ts';
import { makeScene, type Scene } from '../../scripts/demo/scene.ts';

// Some twenty programs run one after the other; a slow machine is no failure.
t.setTimeout(600_000);

let scene: Scene;

t.before(async () => {
  scene = await makeScene();
  await prepare(scene);
});

t.teardown(async () => {
  await scene.service?.stop();
  await rm(scene.folder, { recursive: true, force: true });
});

for (const attack of ATTACKS) {
  t.test(attack.name, async (t) => {
    const { answers, said } = await mount(scene, attack);
    t.ok(answers.length > 0, 'somebody was asked');
    t.ok(said.length > 0, 'the attack says what it did');
    for (const { party, error, expected, context, changed } of answers) {
      t.equal(error?.code, expected, `the ${party} refuses with ${expected}`);
      t.has(error?.context ?? {}, context ?? {}, 'for the facts of this attack');
      t.same(changed, [], 'and nothing was changed');
    }
  });
}
