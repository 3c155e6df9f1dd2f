// Several repositories by a map file, over HTTP: enough of them must say the same.

import { existsSync, readdirSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import t, { type Test } from 'tap';
import { isIronError, openMapped, parseMapFile } from '../../client/index.ts';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, CEILING, EDU } from '../support/artifact.ts';
import { TODAY } from '../support/clock.ts';
import { addProduct } from '../support/product.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { addRevocations, testList } from '../support/revocations.ts';
import type { Served } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';
import { mapOf } from './map-support.ts';

const DRIVER = utf8('driver');

async function repository(name: string, bytes: Uint8Array | null = DRIVER): Promise<Simulator> {
  const sim = new Simulator(systemClock(), name);
  addVendor(sim, 'acme');
  if (bytes !== null) await addArtifact(sim, EDU, bytes);
  sim.publish('targets');
  return sim;
}

async function scene(t: Test, sims: Readonly<Record<string, Simulator>>, change: object = {}) {
  const { folder, map, place, served } = await mapOf(t, sims, change);
  const args = ['--map', place('map.json'), '--roots', place('roots'), '--store', place('store')];
  return {
    ...{ map, place, served },
    async get(...more: string[]) {
      const argv = ['get-verified', EDU, place('out'), ...args, ...more];
      return documentOf(await runInProcess(program, [...argv, '--json'], { HOME: folder }));
    },
    run: (...argv: string[]) => runInProcess(program, [...argv, ...args], { HOME: folder }),
  };
}

t.test('two of three agree', async (t) => {
  const sims = {
    vendors: await repository('v'),
    fleet: await repository('f'),
    lab: await repository('l', null),
  };
  const { get, place, run, served } = await scene(t, sims);
  const { data } = await get();
  t.match(data, { verified: true, path: EDU, outcome: 'downloaded', choice: null, vsa: null });
  t.match(data.agreement, {
    threshold: 2,
    agreed: ['vendors', 'fleet'],
    repositories: [
      { name: 'vendors', word: 'listed' },
      { name: 'fleet', word: 'listed' },
      { name: 'lab', word: 'absent', what: 'does not list it' },
    ],
  });
  t.match(data.checks.at(-2).what, '2 of 3 repositories give it the same length and hashes');
  t.equal(await readFile(place('out'), 'utf8'), 'driver');
  t.strictSame(readdirSync(place('store')), ['repositories']);
  t.strictSame(readdirSync(place('store', 'repositories')).sort(), ['fleet', 'lab', 'vendors']);
  t.equal((await get()).data.outcome, 'kept');

  const words = await run('get-verified', EDU, place('other'));
  t.match(words.stdout, /agrees\s+vendors\s+6 bytes, sha256 /);
  t.match(words.stdout, /does not count\s+lab\s+does not list it/);

  // One of the two is gone: the other alone is not enough, and nothing is written.
  (served.get('fleet') as Served).misbehave = (_, response) => {
    response.writeHead(404).end();
    return true;
  };
  const refused = await run('get-verified', EDU, place('third'));
  t.equal(refused.exit, 14);
  t.match(
    refused.stderr.replace(/\s+/g, ' '),
    /E_NOT_AGREED.* vendors: 6 bytes.* fleet: E_NETWORK/,
  );
  t.notOk(existsSync(place('third')));
});

t.test('another file of the same name is not taken from either', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f', utf8('wurmig')) };
  const { get, place, run } = await scene(t, sims);
  t.match((await get()).error, { code: 'E_NOT_AGREED' });
  t.notOk(existsSync(place('out')));
  const { stderr } = await run('get-verified', EDU, place('out'));
  for (const [name, text] of [
    ['vendors', 'driver'],
    ['fleet', 'wurmig'],
  ] as const)
    t.match(
      stderr.replace(/\s+/g, ' '),
      `${name}: 6 bytes, sha256 ${digest('sha256', utf8(text)).slice(0, 16)}`,
    );
});

t.test('each repository is verified as if it were the only one', async (t) => {
  const sims = {
    vendors: await repository('v'),
    fleet: await repository('f'),
    lab: await repository('l'),
  };
  const { get } = await scene(t, sims);
  // No evidence there, and a vendor's role that expired here: neither counts.
  delete sims.vendors.role('acme').targets[`${EDU}.intoto.jsonl`];
  sims.fleet.role('acme').expires = sims.fleet.expiry(-1);
  sims.vendors.publish('acme');
  sims.fleet.publish('acme');
  const { error } = await get();
  t.equal(error.code, 'E_NOT_AGREED');
});

t.test('what one of them withdrew or revoked is not outvoted', async (t) => {
  const withdrawing = await repository('l', null);
  await addProduct(withdrawing, [
    { version: '1.0.0', withdrawn: { at: TODAY, reason: 'loses writes' }, unlisted: true },
  ]);
  const revoking = await repository('r');
  const digests = new Map([[digest('sha256', DRIVER), { reason: 'malware' }]]);
  await addRevocations(revoking, testList(1, { issued: systemClock(), digests }));
  revoking.publish('targets');
  const two = { vendors: await repository('v'), fleet: await repository('f') };
  const withdrawn = await scene(t, { ...two, lab: withdrawing });
  t.match((await withdrawn.get()).error, { code: 'E_WITHDRAWN', message: /^lab: / });
  const revoked = await scene(t, { ...two, lab: revoking });
  t.match((await revoked.get()).error, { code: 'E_REVOKED', message: /^lab: / });
});

t.test('the second address of a repository, and bytes from whoever has them', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f') };
  const { map, place, get, served } = await scene(t, sims);
  map.repositories.vendors = [place('nothing'), ...(map.repositories.vendors ?? [])];
  await writeFile(place('map.json'), JSON.stringify(map));
  (served.get('vendors') as Served).misbehave = (_, response, path) => {
    if (!path.endsWith('.edu.js')) return false;
    response.writeHead(404).end();
    return true;
  };
  const { data } = await get();
  t.strictSame(data.agreement.agreed, ['vendors', 'fleet']);
  t.equal(await readFile(place('out'), 'utf8'), 'driver');
});

t.test('what does not go together is refused before anybody is asked', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f') };
  const { run, get, place, served } = await scene(t, sims);
  const url = served.get('vendors')?.url ?? '';
  const root = place('roots', 'fleet.json');
  for (const argv of [
    [url, 'get-verified', EDU, place('x')],
    ['get-verified', EDU, place('x'), '--root', root],
  ])
    t.equal((await run(...argv)).exit, 2, argv.join(' '));
  const alone = [url, 'get-verified', EDU, place('x'), '--roots', place('roots')];
  t.match((await runInProcess(program, alone)).stderr, /--roots is for --map/);
  t.strictSame(served.get('vendors')?.log, []);
  t.strictSame(readdirSync(place('store')), []);

  await writeFile(place('policy.json'), '{"schema":"ironport.product-policy/v1","approved":[]}');
  t.equal((await get('--product-policy', place('policy.json'))).error.code, 'E_POLICY');
  await writeFile(root, sims.vendors.roots.get(1) as Uint8Array);
  t.equal((await get()).error.code, 'E_PIN_EXISTS', 'another root under a known name');
});

t.test('a product is chosen by an index that they agree on', async (t) => {
  const product = async (name: string, versions: readonly string[]): Promise<Simulator> => {
    const sim = await repository(name, null);
    await addProduct(
      sim,
      versions.map((version) => ({ version })),
    );
    sim.publish('targets');
    return sim;
  };
  const newer = ['1.0.0', '1.1.0'];
  const sims = {
    vendors: await product('v', newer),
    fleet: await product('f', newer),
    lab: await product('l', ['1.0.0']),
  };
  const { run, place, served } = await scene(t, sims);
  const argv = ['get-verified', 'acme/edu', place('edu.js'), '--json'];
  const { data } = documentOf(await run(...argv));
  t.equal(data.path, 'acme/edu/1.1.0/edu.js');
  t.match(data.choice, { product: 'acme/edu', chosen: ['acme/edu/1.1.0/edu.js'] });
  t.strictSame(data.agreement.agreed, ['vendors', 'fleet']);
  t.match(await readFile(place('edu.js'), 'utf8'), /1\.1\.0/);
  const words = await run('get-verified', 'acme/edu', place('other.js'));
  t.match(words.stdout, /^acme\/edu\/1\.1\.0\/edu\.js\n/);

  // One of the two does not answer: what the third lists is another index, and decides nothing.
  (served.get('fleet') as Served).misbehave = (_, response) => {
    response.writeHead(404).end();
    return true;
  };
  const refused = documentOf(await run('get-verified', 'acme/edu', place('third.js'), '--json'));
  t.equal(refused.error.code, 'E_NOT_AGREED');
  t.match(refused.error.message, 'acme/edu/index/index.json');
  t.notOk(existsSync(place('third.js')));
  const absent = documentOf(await run('get-verified', 'acme/none', place('x'), '--json'));
  t.equal(absent.error.code, 'E_NOT_AGREED', 'one cannot be asked');
});

t.test('an index is held against what each of those that agree on it lists', async (t) => {
  const product = async (name: string, bend: object = {}): Promise<Simulator> => {
    const sim = await repository(name, null);
    await addProduct(sim, [{ version: '1.0.0', ...bend }]);
    return sim;
  };
  const refused = async (vendors: Simulator, fleet: Simulator): Promise<string> => {
    for (const sim of [vendors, fleet]) sim.publish('targets');
    const { run, place } = await scene(t, { vendors, fleet });
    const answer = documentOf(await run('get-verified', 'acme/edu', place('edu.js'), '--json'));
    t.equal(existsSync(place('edu.js')), answer.error === undefined);
    return answer.error?.code;
  };
  const lie = { sha256: 'ab'.repeat(32) };
  t.equal(await refused(await product('v', lie), await product('f', lie)), 'E_CONFLICT');
  // The same bytes and the same index; in the second, under a ceiling that is none of the index's.
  const other = await product('f');
  const path = 'acme/edu/1.0.0/edu.js';
  const ceilingPredicate = { ...CEILING, generation: 2 };
  const bytes = utf8(`export const driver = '${path}';\n`);
  await addArtifact(other, path, bytes, { generation: 2, ceilingPredicate });
  t.equal(await refused(await product('v'), other), 'E_CONFLICT');
  t.equal(await refused(await product('v'), await product('f')), undefined);
});

t.test('the policy for products speaks, whoever agrees', async (t) => {
  const sims = { vendors: await repository('v', null), fleet: await repository('f', null) };
  for (const sim of Object.values(sims)) {
    await addProduct(sim, [{ version: '1.0.0' }, { version: '1.1.0' }]);
    sim.publish('targets');
  }
  const { run, place } = await scene(t, sims);
  const policy = { schema: 'ironport.product-policy/v1', hold: { 'acme/edu': '1.0.0' } };
  await writeFile(place('policy.json'), JSON.stringify(policy));
  const by = ['--product-policy', place('policy.json'), '--json'];
  const held = documentOf(await run('get-verified', 'acme/edu', place('edu.js'), ...by));
  t.equal(held.data?.path, 'acme/edu/1.0.0/edu.js');
});

t.test('a hand-over is of a repository that agreed', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f') };
  const { run, place, served } = await scene(t, sims);
  // It lists the file, and does not deliver it.
  (served.get('vendors') as Served).misbehave = (_, response, path) => {
    if (!path.endsWith('.edu.js')) return false;
    response.writeHead(404).end();
    return true;
  };
  const { data, error } = documentOf(await run('handoff', EDU, place('handed'), '--json'));
  t.equal(error?.message, undefined);
  t.strictSame(data.agreement.agreed, ['vendors', 'fleet']);
  t.equal(data.repository, 'fleet', 'and it is said which');
  t.ok(data.checks.some(({ rule }: { rule: string }) => rule === 'TAP 4'));
  const verify = async (name: string): Promise<number | null | undefined> => {
    const store = ['--store', place('store', 'repositories', name)];
    const argv = [served.get(name)?.url ?? '', 'verify', place('handed'), ...store];
    return (await runInProcess(program, argv)).exit;
  };
  t.equal(await verify('fleet'), 0);
  t.not(await verify('vendors'), 0, 'by the root of another repository it is nothing');

  sims.fleet.addTarget('acme', EDU, utf8('wurmig'));
  sims.fleet.publish('acme');
  const refused = documentOf(await run('handoff', EDU, place('second'), '--json'));
  t.equal(refused.error.code, 'E_NOT_AGREED');
  t.notOk(existsSync(place('second')));
  const alone = [served.get('fleet')?.url ?? '', 'handoff', EDU, place('x'), '--roots', 'roots'];
  t.match((await runInProcess(program, alone)).stderr, /--roots is for --map/);
});

t.test('a repository without a root counts as one that cannot be asked', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f') };
  const { run, place } = await scene(t, sims);
  for (const name of Object.keys(sims)) await rm(place('roots', `${name}.json`));
  const { stderr, exit } = await run('get-verified', EDU, place('x'));
  t.equal(exit, 14);
  t.match(stderr, /vendors: E_NO_PIN[\s\S]*fleet: E_NO_PIN/);
});

t.test('the library', async (t) => {
  const sims = { vendors: await repository('v'), fleet: await repository('f') };
  const { place } = await scene(t, sims);
  const stop = new AbortController();
  const mapped = await openMapped({
    map: parseMapFile(await readFile(place('map.json'))),
    store: place('store'),
    signal: stop.signal,
  });
  t.teardown(() => mapped.close());
  for (const [name, sim] of Object.entries(sims))
    t.equal(await mapped.pin(name, sim.roots.get(1) as Uint8Array), 'written');
  t.throws(() => mapped.pin('other', DRIVER), { code: 'E_NOT_FOUND' });
  const gotten = await mapped.getVerified(EDU, place('out'));
  t.strictSame(gotten.agreement.agreed, ['vendors', 'fleet']);
  t.equal(gotten.outcome, 'downloaded');
  stop.abort();
  await mapped.verify(EDU).then(
    () => t.fail('stopped work went on'),
    (error) => t.ok(!isIronError(error) || error.code === 'E_CANCELLED'),
  );
});
