// One honest mirror among hostile ones: whatever those send, or do not, the update succeeds.

import { readdir, readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import t from 'tap';
import { equalBytes } from '../../shared/bytes.ts';
import { EDU } from '../support/artifact.ts';
import { DRIVER, Fleet, placeOf, refusal, state } from '../support/fleet.ts';
import { signFile } from '../support/simulator.ts';

type Attack = (response: ServerResponse) => void;

const ATTACKS: readonly (readonly [string, Attack])[] = [
  [
    'E_TOO_LARGE|E_LENGTH',
    function endlessData(response) {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(DRIVER));
      };
      response.on('drain', more);
      more();
    },
  ],
  [
    'E_SLOW',
    function slowLoris(response) {
      response.writeHead(200);
      const timer = setInterval(() => response.write('{'), 50);
      response.on('close', () => clearInterval(timer));
    },
  ],
  ['E_NETWORK|E_SLOW', function silence() {}],
  [
    'E_NETWORK',
    function brokenOff(response) {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('{', () => response.destroy());
    },
  ],
  [
    'E_NETWORK',
    function redirectToItself(response) {
      response.writeHead(302, { location: '?' }).end();
    },
  ],
];

for (const [code, attack] of ATTACKS) {
  t.test(attack.name, async (t) => {
    const sim = await state(1);
    const honest = await state(1);
    await Promise.all(
      ['metadata/timestamp.json', 'metadata/2.acme.json', placeOf(sim, EDU)].map(async (place) => {
        const fleet = new Fleet(t);
        const [bad, good] = [await fleet.serve(sim), await fleet.serve(honest)];
        bad.misbehave = (_, response, path) => {
          if (path !== place) return false;
          attack(response);
          return true;
        };
        const out = join(fleet.folder, 'edu.js');
        await (await fleet.open(bad, good)).getVerified(EDU, out);
        t.ok(equalBytes(await readFile(out), DRIVER), place);
        t.match(fleet.notes, [new RegExp(`was left with (${code}),`)]);
        t.strictSame((await readdir(fleet.folder)).sort(), ['edu.js', 'store']);
      }),
    );
  });
}

t.test('wrong signers, of every role that is fetched', async (t) => {
  const honest = await state(2);
  const stranger = [honest.newKey()];
  const files = [
    ['metadata/timestamp.json', { ...honest.timestamp, version: 99 }],
    ['metadata/3.snapshot.json', honest.snapshot],
    ['metadata/3.targets.json', honest.targets],
    ['metadata/3.acme.json', honest.role('acme')],
    ['metadata/2.root.json', { ...honest.root, version: 2 }],
  ] as const;
  for (const [path, signed] of files) {
    const fleet = new Fleet(t);
    await (await fleet.open(await fleet.serve(await state(1)))).refresh();
    const bad = await state(2);
    bad.overrides.set(path, signFile(signed, stranger));
    const served = [await fleet.serve(bad), await fleet.serve(honest)];
    const alone = await fleet.open(served[0] as (typeof served)[0]);
    t.equal((await refusal(alone.verify(EDU))).code, 'E_THRESHOLD', path);
    await (await fleet.open(...served)).verify(EDU);
    t.match(fleet.notes, [/was left with E_THRESHOLD/], path);
    t.equal((await fleet.store.floors()).timestamp, 3);
  }
});

t.test('many hostile mirrors, and the honest one last', async (t) => {
  const fleet = new Fleet(t);
  const bad = await Promise.all(
    // Those that keep nobody waiting; the slow ones had their turn above.
    ATTACKS.filter(([code]) => !code.includes('E_SLOW')).map(async ([, attack]) => {
      const served = await fleet.serve(await state(1));
      served.misbehave = (_, response) => {
        attack(response);
        return true;
      };
      return served;
    }),
  );
  const before = await fleet.open(...bad);
  const stored = await fleet.stored();
  t.equal(
    (await refusal(before.refresh())).code,
    'E_TOO_LARGE',
    'what was sent tells more than silence',
  );
  t.strictSame(await fleet.stored(), stored, 'nothing changed');
  const repository = await fleet.open(...bad, await fleet.serve(await state(1)));
  t.equal((await repository.refresh()).snapshot().version, 2);
});
