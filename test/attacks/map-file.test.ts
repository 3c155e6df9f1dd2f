// Attacks by what a map file names, and on what several repositories are for.

import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mappedFolder, openMapped } from '../../client/map/mapped.ts';
import { utf8 } from '../../shared/bytes.ts';
import { type MapFile, parseMapFile } from '../../shared/tuf/map-file.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { TestClock } from '../support/clock.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const NAMES = [
  '../escaped',
  '..',
  '.',
  '',
  '/tmp/escaped',
  'a/../../b',
  'a\\b',
  'A',
  'ﬂeet',
  'a\u0000',
];

const mapOf = (name: string, url: string): object => ({
  repositories: Object.fromEntries([[name, [url]]]),
  mapping: [{ paths: ['*'], repositories: [name], threshold: 1, terminating: true }],
});

t.test('CVE-2026-24686: the name of a repository never leaves the store', async (t) => {
  for (const name of NAMES) {
    const folder = t.testdir({ store: {} });
    const map = mapOf(name, folder);
    t.throws(() => parseMapFile(utf8(JSON.stringify(map))), { code: 'E_CONFIG' }, name);
    t.throws(() => mappedFolder(join(folder, 'store'), name), { code: 'E_NAME' }, name);
    // A map that nobody parsed, as a program may make one.
    const unparsed: MapFile = { repositories: new Map([[name, [folder]]]), mapping: [] };
    await t.rejects(openMapped({ map: unparsed, store: join(folder, 'store') }), {
      code: 'E_NAME',
    });
    t.strictSame(readdirSync(folder), ['store'], name);
    t.strictSame(readdirSync(join(folder, 'store')), [], name);
  }
});

t.test('CVE-2026-24686: nor does a link in the place of its folder', async (t) => {
  const folder = t.testdir({ store: { repositories: {} }, outside: {} });
  symlinkSync(join(folder, 'outside'), join(folder, 'store', 'repositories', 'fleet'));
  const sim = new Simulator();
  const map = parseMapFile(utf8(JSON.stringify(mapOf('fleet', folder))));
  const mapped = await openMapped({ map, store: join(folder, 'store') });
  await t.rejects(mapped.pin('fleet', sim.roots.get(1) as Uint8Array), { code: 'E_IO' });
  t.strictSame(readdirSync(join(folder, 'outside')), []);
});

t.test('one repository under two names, at two addresses, is counted once', async (t) => {
  const clock = new TestClock();
  const sim = new Simulator(clock.read());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('driver'));
  sim.publish('targets');
  const [one, two] = [await serve(sim), await serve(sim)];
  t.teardown(() => Promise.all([one.close(), two.close()]));
  const map = parseMapFile(
    utf8(
      JSON.stringify({
        repositories: { one: [one.url], two: [two.url] },
        mapping: [
          { paths: ['*/*/*/*'], repositories: ['one', 'two'], threshold: 2, terminating: true },
        ],
      }),
    ),
  );
  const mapped = await openMapped({ map, store: t.testdir(), clock: clock.read });
  t.teardown(() => mapped.close());
  // Another file of the same root: its next version, which adds a key.
  await mapped.pin('one', sim.roots.get(1) as Uint8Array);
  sim.nextRoot(() => sim.addKey('root'));
  await mapped.pin('two', sim.roots.get(2) as Uint8Array);
  await t.rejects(mapped.verify(EDU), { code: 'E_NOT_AGREED' });
});
