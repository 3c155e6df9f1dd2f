/**
 * The guide for hosts, word for word and in its order: what begins with `$ ` is run, a line
 * `error[CODE]: …` below it is the refusal that must come, and each other line must be part of
 * what is printed.
 */

import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { chdir, cwd } from 'node:process';
import t from 'tap';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { CODES, type Code } from '../../shared/errors.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { steps } from '../support/guide.ts';
import { runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

t.test('every line of docs/guide/host.md', async (t) => {
  const page = readFileSync('docs/guide/host.md', 'utf8');
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('export const driver = 1;\n'));
  sim.publish('targets');
  const served = await serve(sim);
  const second = new Simulator(systemClock(), 'fleet');
  addVendor(second, 'acme');
  await addArtifact(second, EDU, utf8('export const driver = 1;\n'));
  second.publish('targets');
  const fleet = await serve(second);
  const home = cwd();
  t.teardown(() => {
    chdir(home);
    return Promise.all([served.close(), fleet.close()]);
  });
  const folder = t.testdir({ state: {} });
  chdir(folder);
  await writeFile('root.json', sim.roots.get(1) as Uint8Array);
  const env = { XDG_STATE_HOME: `${folder}/state`, XDG_CONFIG_HOME: folder };
  const address = new URL(served.url).host;
  const [, map = ''] = /^```json\n([^`]*"mapping"[^`]*)^```$/m.exec(page) ?? [];
  const addresses = map.replace('127.0.0.1:8080', address);
  await writeFile('map.json', addresses.replace('127.0.0.1:8081', new URL(fleet.url).host));
  await mkdir('roots');
  await writeFile('roots/vendors.json', sim.roots.get(1) as Uint8Array);
  await writeFile('roots/fleet.json', second.roots.get(1) as Uint8Array);
  const all = steps(page);
  t.ok(all.length > 20, 'there are lines');
  for (const { line, shown } of all) {
    const [name, ...words] = line.split(' ');
    t.equal(name, 'ironport-client', line);
    const argv = words.map((word) => word.replace('127.0.0.1:8080', address));
    const { exit, stdout, stderr } = await runInProcess(program, argv, env);
    const [, code] = /^error\[(\w+)\]/.exec(shown[0] ?? '') ?? [];
    t.equal(exit, code === undefined ? 0 : CODES[code as Code].exit, line, { stdout, stderr });
    for (const text of shown) {
      const expected = text.replaceAll('127.0.0.1:8080', address);
      t.ok((stdout + stderr).includes(expected), `${line}\n${text}`, { stdout, stderr });
    }
  }
});
