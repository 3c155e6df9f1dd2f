// The fuzzer finds each kind of fault, and keeps what did it.

import { readdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { fuzz } from '../../scripts/fuzz/run.ts';

t.setTimeout(900_000);

t.test('each kind of fault is found, and what did it is kept', async (t) => {
  const targets = new URL('broken-parsers.ts', import.meta.url);
  const kinds: [string, RegExp | undefined][] = [
    ['good', undefined],
    ['crash', /^crash: TypeError: of no use/],
    ['internal', /^crash: /],
    ['slow', /^slow: \d/],
    ['stuck', /^stuck: /],
    ['heap', /^memory or crash: it ended by SIGABRT/],
    ['buffers', /^memory: \d+ MiB of buffers/],
  ];
  for (const [name, expected] of kinds) {
    const folder = t.testdir({ [name]: {} });
    const corpus = pathToFileURL(`${folder}/${name}/`);
    const { calls, finding } = await fuzz({
      ...{
        target: `broken.ts#${name}`,
        seed: 1,
        targets,
        corpus,
        stuckSeconds: name === 'stuck' ? 2 : 300,
      },
      // The good one ends by the clock; the others by what is found, however slow the machine is.
      seconds: expected === undefined ? 1 : 600,
    });
    t.ok(calls > 0, name);
    const said = finding === undefined ? undefined : `${finding.kind}: ${finding.what}`;
    if (expected === undefined) t.equal(said, undefined, name);
    else t.match(said ?? 'nothing was found', expected, name);
    t.equal(readdirSync(corpus).length, expected === undefined ? 0 : 1, `${name}: kept`);
  }
});
