// The example of the library is the README's, is type-checked like all else, and runs.

import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { chdir, cwd } from 'node:process';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const EXAMPLE = new URL('../../examples/library/get-verified.ts', import.meta.url);

t.test('the README has it word for word', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [, snippet] = /```ts\n([\s\S]*?)```/.exec(readme) ?? [];
  t.equal(snippet, readFileSync(EXAMPLE, 'utf8'));
});

t.test('it runs', async (t) => {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('driver'));
  sim.publish('targets');
  const served = await serve(sim);
  const [home, argv] = [cwd(), process.argv];
  const said: string[] = [];
  const { log } = console;
  // What is installed under this name in others' projects is not built here.
  const hooks = registerHooks({
    resolve: (name, context, next) =>
      name === 'ironport'
        ? next(new URL('../../client/index.ts', import.meta.url).href, context)
        : next(name, context),
  });
  t.teardown(() => {
    chdir(home);
    process.argv = argv;
    console.log = log;
    hooks.deregister();
    return served.close();
  });
  chdir(t.testdir());
  await writeFile('root.json', sim.roots.get(1) as Uint8Array);
  process.argv = ['node', 'example', served.url, EDU];
  process.env.XDG_STATE_HOME = cwd();
  console.log = (text: string) => said.push(text);
  await import(EXAMPLE.href);
  t.equal(await readFile('driver.js', 'utf8'), 'driver');
  t.equal(said[0], `${EDU}: 6 bytes`);
  t.match(said[1], /^6 bytes, \d+ checks, signed by acme$/);
  t.notOk(process.exitCode, 'no error was met');
});
