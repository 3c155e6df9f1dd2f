// A summary of what several repositories agreed on, judged again from what was recorded of each.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program } from '../../client/main.ts';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const DRIVER = utf8('driver');

async function repository(name: string, bytes: Uint8Array = DRIVER): Promise<Simulator> {
  const sim = new Simulator(systemClock(), name);
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, bytes);
  sim.publish('targets');
  return sim;
}

/** Two that agree and one that does not, and a summary of what came of it. */
async function scene(t: Test) {
  const folder = t.testdir({ store: {}, roots: {} });
  const place = (...names: string[]): string => join(folder, ...names);
  const sims = { vendors: await repository('v'), lab: await repository('l', utf8('other')) };
  const all = { ...sims, fleet: await repository('f') };
  const repositories: Record<string, string[]> = {};
  for (const [name, sim] of Object.entries(all)) {
    const served = await serve(sim);
    t.teardown(() => served.close());
    repositories[name] = [served.url];
    await writeFile(place('roots', `${name}.json`), sim.roots.get(1) as Uint8Array);
  }
  const names = Object.keys(all);
  const mapping = { paths: ['acme/*/*/*'], repositories: names, threshold: 2, terminating: true };
  await writeFile(place('map.json'), JSON.stringify({ repositories, mapping: [mapping] }));
  const run = (...argv: string[]) => runInProcess(program, argv, { HOME: folder });
  const vsa = place('edu.vsa.json');
  const ran = await run(
    ...['get-verified', EDU, place('edu.js'), '--map', place('map.json'), '--vsa', vsa],
    ...['--roots', place('roots'), '--store', place('store')],
  );
  const keys = join(place('store'), 'keys');
  const replay = async (file: string, ...more: string[]) =>
    documentOf(
      await run('vsa', 'replay', file, '--key', join(keys, 'host.pub.json'), ...more, '--json'),
    );
  /** The summary with other inputs beside it, truly signed by the host. */
  const lie = async (change: (inputs: Inputs) => void): Promise<string> => {
    const inputs = JSON.parse(await readFile(`${vsa}.inputs.json`, 'utf8'));
    change(inputs);
    const bytes = utf8(JSON.stringify(inputs));
    const { payload } = JSON.parse(await readFile(vsa, 'utf8'));
    const statement = Buffer.from(payload, 'base64')
      .toString()
      .replace(
        /("ironport.vsa-map-inputs\/v1","digest":\{"sha256":")[0-9a-f]{64}/,
        `$1${toHex(platformCrypto.sha256(bytes))}`,
      );
    const signer = await loadFileSigner(join(keys, 'host.json'));
    const type = 'application/vnd.in-toto+json';
    await writeFile(place('lie'), await signEnvelope(type, utf8(statement), [{ signer }]));
    await writeFile(place('lie.inputs.json'), bytes);
    return place('lie');
  };
  return { ran, vsa, place, replay, lie, sims: all };
}

interface Inputs {
  map: string;
  repositories: Record<string, Record<string, unknown>>;
}

t.test('replayed, it is the same: each from its own root, and the map is met again', async (t) => {
  const { ran, vsa, place, replay } = await scene(t);
  t.equal(ran.exit, 0, ran.stderr);
  const agreement = { threshold: 2, agreed: ['vendors', 'fleet'] };
  for (const roots of [[], ['--roots', place('roots')]])
    t.match((await replay(vsa, ...roots)).data, { path: EDU, result: 'PASSED', agreement });
  const { payload } = JSON.parse(await readFile(vsa, 'utf8'));
  const { predicate } = JSON.parse(Buffer.from(payload, 'base64').toString());
  t.match(predicate, { ironshim_agreement: agreement, verificationResult: 'PASSED' });
  const inputs: Inputs = JSON.parse(await readFile(`${vsa}.inputs.json`, 'utf8'));
  t.strictSame(Object.keys(inputs.repositories), ['vendors', 'fleet'], 'who did not count is out');
});

t.test('from other roots, and from roots of the other kind, nothing is replayed', async (t) => {
  const { vsa, place, replay, sims } = await scene(t);
  t.equal((await replay(vsa, '--root', place('roots', 'fleet.json'))).error.code, 'E_USAGE');
  await writeFile(place('roots', 'fleet.json'), sims.lab.roots.get(1) as Uint8Array);
  t.equal((await replay(vsa, '--roots', place('roots'))).error.code, 'E_NO_PIN');
});

t.test('what a host signs that is not so', async (t) => {
  const { lie, replay } = await scene(t);
  const refused = async (what: string, code: string, change: (inputs: Inputs) => void) =>
    t.equal((await replay(await lie(change))).error?.code, code, what);
  await refused('one of the two left out', 'E_NOT_AGREED', ({ repositories }) => {
    delete repositories.fleet;
  });
  await refused('one of them twice', 'E_NOT_AGREED', ({ repositories }) => {
    repositories.fleet = repositories.vendors as Record<string, unknown>;
  });
  await refused('one that is not in the map', 'E_SCHEMA', ({ repositories }) => {
    repositories.stranger = repositories.fleet as Record<string, unknown>;
  });
  await refused('a name that is no name', 'E_NAME', ({ repositories }) => {
    repositories['../fleet'] = repositories.fleet as Record<string, unknown>;
  });
  await refused('no repository at all', 'E_SCHEMA', (inputs) => {
    inputs.repositories = {};
  });
  await refused('a map that asks for less', 'E_EVIDENCE', (inputs) => {
    const map = JSON.parse(Buffer.from(inputs.map, 'base64').toString());
    map.mapping[0].threshold = 1;
    inputs.map = Buffer.from(JSON.stringify(map)).toString('base64');
  });
  await refused('a root of somebody else', 'E_THRESHOLD', ({ repositories }) => {
    const [vendors, fleet] = [repositories.vendors, repositories.fleet];
    if (vendors !== undefined && fleet !== undefined) fleet.root = vendors.root;
  });
  await refused('another time', 'E_EXPIRED', ({ repositories }) => {
    for (const part of Object.values(repositories)) part.time = '2099-01-01T00:00:00Z';
  });
});
