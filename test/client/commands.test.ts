// The program, word for word as a host operator types it, against a repository over HTTP.

import { access, chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program } from '../../client/main.ts';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import type { Bill } from '../../shared/evidence/bill/bill.ts';
import { writeCycloneDx } from '../../shared/evidence/bill/write-cyclonedx.ts';
import { writeSpdx3 } from '../../shared/evidence/bill/write-spdx3.ts';
import { handoff, type Sidecar, sidecarPath } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { formatPublicKey } from '../../shared/node/signers/key-file.ts';
import { addArtifact, addVendor, CEILING, EDU } from '../support/artifact.ts';
import { testKey } from '../support/keys.ts';
import { documentOf, type Ran, runInProcess } from '../support/program.ts';
import { type Served, serve } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';

const DRIVER = utf8('export const driver = 1;\n');

interface Scene {
  readonly sim: Simulator;
  readonly served: Served;
  readonly folder: string;
  readonly root: string;
  /** Runs the program against the served repository. */
  run(...argv: string[]): Promise<Ran>;
  /** The same without the leading address. */
  bare(...argv: string[]): Promise<Ran>;
  place(name: string): string;
}

async function scene(t: Test): Promise<Scene> {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, DRIVER);
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir({ state: {} });
  const root = join(folder, 'root.json');
  await writeFile(root, sim.roots.get(1) as Uint8Array);
  const env = { XDG_STATE_HOME: join(folder, 'state') };
  const address = served.url.replace('http://', '').replace(/\/$/, '');
  return {
    sim,
    served,
    folder,
    root,
    run: (...argv) => runInProcess(program, [address, ...argv], env),
    bare: (...argv) => runInProcess(program, argv, env),
    place: (name) => join(folder, name),
  };
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

t.test('without a pin nothing is trusted, and the refusal says how', async (t) => {
  const { run, place, sim } = await scene(t);
  const ran = await run('get-verified', EDU, place('edu.js'));
  t.equal(ran.exit, 7);
  t.match(ran.stderr, /E_NO_PIN/);
  t.match(ran.stderr, /--root FILE/);
  t.equal(ran.stdout, '');
  t.notOk(await exists(place('edu.js')));
  t.strictSame(sim.requests, [], 'nobody was asked anything');
});

t.test(
  '--root pins once; then get-verified writes the file and says what it checked',
  async (t) => {
    const { run, place, root, sim } = await scene(t);
    const ran = await run('get-verified', EDU, place('edu.js'), '--root', root);
    t.equal(ran.exit, 0, ran.stderr);
    t.strictSame(new Uint8Array(await readFile(place('edu.js'))), DRIVER);
    for (const line of [
      'TUF 5.2',
      'TUF 5.3.10',
      'TUF 5.4.2-4',
      'TUF 5.5.2-6',
      'TUF 5.6.7',
      'TUF 5.7.2',
      'evidence: provenance',
      'evidence: ceiling',
      'hardware',
      'not checked: ',
    ]) {
      t.ok(ran.stdout.includes(line), line);
    }
    const again = await run('get-verified', EDU, place('edu.js'), '--json');
    const { data } = documentOf(again);
    t.match(data, {
      verified: true,
      outcome: 'kept',
      path: EDU,
      length: DRIVER.length,
      sha256: digest('sha256', DRIVER),
      vendor: 'acme',
      devices: ['PCI:0x1234:0x11e8'],
      versions: { root: 1, timestamp: 2, snapshot: 2, targets: 2, acme: 1 },
    });
    t.ok(data.checks.every((check: { rule: string; what: string }) => check.rule && check.what));
    t.ok(data.not_checked.some((what: string) => what.includes('revocations')));

    const other = new Simulator(systemClock(), 'other').roots.get(1) as Uint8Array;
    await writeFile(place('other.json'), other);
    const refused = await run('refresh', '--root', place('other.json'), '--json');
    t.equal(refused.exit, 7);
    t.equal(documentOf(refused).error.code, 'E_PIN_EXISTS');
    t.equal((await run('refresh', '--root', root)).exit, 0, 'the same root again is fine');
    t.ok(sim.requests.length > 0);
  },
);

t.test('init: by file, by digest, on first use; and never two of them', async (t) => {
  const one = await scene(t);
  const byFile = await one.run('init', '--root', one.root, '--json');
  t.match(documentOf(byFile).data, { pinned: true, version: 1 });
  t.match(documentOf(await one.run('init', '--root', one.root, '--json')).data, { pinned: false });

  const two = await scene(t);
  const sha256 = digest('sha256', two.sim.roots.get(1) as Uint8Array);
  t.equal((await two.run('init', '--root-sha256', '0'.repeat(64))).exit, 13);
  t.equal((await two.run('status')).exit, 7, 'nothing was pinned');
  t.equal((await two.run('init', '--root-sha256', 'abc')).exit, 2);
  t.equal((await two.run('init', '--root-sha256', sha256)).exit, 0);
  t.equal((await two.run('refresh')).exit, 0);

  const three = await scene(t);
  t.equal((await three.run('init')).exit, 2);
  t.equal((await three.run('init', '--root', three.root, '--trust-on-first-use')).exit, 2);
  const blind = await three.run('init', '--trust-on-first-use');
  t.equal(blind.exit, 0);
  t.match(blind.stderr, /warning: trusting whoever answered/);
  t.equal((await three.run('refresh')).exit, 0);

  await writeFile(three.place('bad.json'), '{"signed":{},"signatures":[]}');
  t.equal(
    (await one.bare('--repository', '127.0.0.1:1', 'init', '--root', three.place('bad.json'))).exit,
    9,
  );
});

t.test('get says loudly that it verifies nothing', async (t) => {
  const { run, place } = await scene(t);
  const ran = await run('get', EDU, place('edu.js'), '--quiet');
  t.equal(ran.exit, 0);
  t.match(ran.stderr, /warning: UNVERIFIED/);
  t.match(ran.stdout, /UNVERIFIED/);
  t.strictSame(new Uint8Array(await readFile(place('edu.js'))), DRIVER);
  t.equal(documentOf(await run('get', EDU, place('b'), '--json')).data.verified, false);
  t.equal((await run('get', 'acme/edu/1.0.0/none', place('c'))).exit, 14);
});

t.test('index lists artifacts; the address alone means index', async (t) => {
  const { run, sim, root } = await scene(t);
  addVendor(sim, 'evil');
  sim.addTarget('evil', 'acme/edu/9.9.9/edu.js', utf8('outside its namespace'));
  sim.addTarget('evil', 'evil/x/1/x', utf8('x'));
  addVendor(sim, 'gone');
  sim.signers.set('gone', [testKey('stranger')]);
  sim.publish('targets');
  await run('init', '--root', root);
  const ran = await run();
  t.equal(ran.exit, 0, ran.stderr);
  t.match(ran.stdout, /acme\/edu\/1\.0\.0\/edu\.js +25 B +by acme/);
  t.notMatch(ran.stdout, /ceiling\.json|9\.9\.9/);
  t.match(ran.stderr, /gone is left out/);
  const { data } = documentOf(await run('index', '--all', '--json'));
  t.equal(data.targets.length, 6);
  t.match(data.failed, [{ role: 'gone', code: 'E_THRESHOLD' }]);
});

t.test('handoff, and verify without the network', async (t) => {
  const { run, served, place, root } = await scene(t);
  t.equal((await run('handoff', EDU, place('out'), '--root', root)).exit, 0);
  t.strictSame((await readdir(place('out'))).sort(), ['record.json', 'targets']);
  t.equal((await readdir(join(place('out'), 'targets'))).length, 5);
  t.strictSame(new Uint8Array(await readFile(join(place('out'), handoff.target(EDU)))), DRIVER);
  t.equal((await run('handoff', EDU, place('out'))).exit, 18, 'it is not overwritten unasked');
  t.equal((await run('handoff', EDU, place('out'), '--replace')).exit, 0);
  await run('get-verified', EDU, place('edu.js'));
  t.equal((await run('handoff', EDU, place('two'), '--artifact', place('edu.js'))).exit, 0);
  await writeFile(place('fake.js'), 'export const driver = 2;\n');
  t.equal((await run('handoff', EDU, place('three'), '--artifact', place('fake.js'))).exit, 13);
  t.notOk(await exists(place('three')), 'half a hand-over never has the name of one');
  t.equal((await run('handoff', EDU, place('state'))).exit, 18, 'a folder that is something else');

  await served.close();
  const verified = await run('verify', place('out'), '--json');
  t.equal(verified.exit, 0, verified.stdout);
  t.match(documentOf(verified).data, { verified: true, path: EDU, evidence: true });
  await writeFile(join(place('out'), handoff.target(EDU)), 'export const driver = 2;\n');
  t.equal((await run('verify', place('out'))).exit, 13);
  await rm(join(place('out'), handoff.target(EDU)));
  t.equal((await run('verify', place('out'))).exit, 4);
  await writeFile(join(place('two'), handoff.target(sidecarPath(EDU, 'ceiling'))), '{}');
  t.equal((await run('verify', place('two'))).exit, 16);

  t.equal((await run('verify', place('edu.js'), '--as', EDU)).exit, 0);
  t.equal((await run('verify', place('fake.js'), '--as', EDU)).exit, 13);
  t.equal((await run('verify', place('edu.js'), '--as', 'acme/edu/1.0.0/no')).exit, 14);
  t.equal((await run('verify', place('edu.js'))).exit, 2);
});

t.test(
  'status: what is trusted, how long it lasts, and an exit status for monitoring',
  async (t) => {
    const { run, sim, root, served, place } = await scene(t);
    await run('init', '--root', root);
    t.equal((await run('status')).exit, 4, 'nothing was fetched yet');
    await run('get-verified', EDU, place('edu.js'));
    await served.close();
    const ran = await run('status', '--json');
    t.equal(ran.exit, 0, ran.stdout);
    const { data } = documentOf(ran);
    t.strictSame(
      data.roles.map(({ role, version }: { role: string; version: number }) => [role, version]),
      [
        ['root', 1],
        ['timestamp', 2],
        ['snapshot', 2],
        ['targets', 2],
        ['acme', 1],
      ],
    );
    t.equal((await run('status', '--warn', '2d')).exit, 30, 'the timestamp has a day');
    t.equal((await run('status', '--critical', '2d')).exit, 31);
    t.equal((await run('status', '--warn', 'soon')).exit, 2);
    t.equal((await run('status', '--warn', '0%')).exit, 2);
    t.match(data.roles[1], { role: 'timestamp', state: 'ok' });
    t.ok(data.roles[1].percent_left >= 99 && data.roles[1].age_seconds < 60);
    t.match(
      (await run('status')).stdout,
      /timestamp +2 +\d+ seconds? +\d{4}-.*in 2\d hours +\d+% +ok/,
    );
    t.equal(sim.timestamp.version, 2);
  },
);

t.test('status of an expired store', async (t) => {
  const { run, sim, root, place } = await scene(t);
  // The repository stands still; the timestamp ends two seconds from now.
  sim.timestamp.expires = sim.expiry(2 / 86_400);
  t.equal((await run('get-verified', EDU, place('edu.js'), '--root', root)).exit, 0);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const ran = await run('status');
  t.equal(ran.exit, 11);
  t.match(ran.stdout, /timestamp.*seconds? ago +0% +expired/);
  const refused = await run('get-verified', EDU, place('new.js'));
  t.equal(refused.exit, 11);
  t.notOk(await exists(place('new.js')));
});

t.test('inspect shows any file of the repository', async (t) => {
  const { bare, run, served, root, place } = await scene(t);
  await run('handoff', EDU, place('out'), '--root', root);
  const shows = async (file: string, what: RegExp): Promise<void> => {
    const ran = await bare('inspect', file);
    t.equal(ran.exit, 0, ran.stderr);
    t.match(ran.stdout, what, file);
    t.match(ran.stdout, /not verified/);
  };
  await shows(root, /TUF root.*\n(.*\n)*.*timestamp +1 of 1/);
  await shows(`${served.url}metadata/timestamp.json`, /TUF timestamp(.*\n)*snapshot +version 2/);
  await shows(`${served.url}metadata/2.snapshot.json`, /acme, version 1/);
  await shows(`${served.url}metadata/2.targets.json`, /acme\/\*\/\*\/\* to acme/);
  await shows(join(place('out'), 'record.json'), /hand-over record/);
  const beside = (suffix: Sidecar): string =>
    join(place('out'), handoff.target(sidecarPath(EDU, suffix)));
  await shows(beside('ceiling'), /DSSE envelope(.*\n)*.*subject +edu\.js/);
  await shows(beside('ceiling'), /device +PCI:0x1234:0x11e8(.*\n)*BAR +0: 0x0 up to 0x/);
  await shows(beside('sbom'), /SPDX document(.*\n)*packages +1\n(.*\n)*describes +edu/);
  await run('bundle', 'create', place('b'), EDU);
  await shows(place('b'), /bundle(.*\n)*created .*as it says itself(.*\n)*artifact +acme/);
  const { file, key } = await makeKeyFile('ed25519');
  await writeFile(place('key'), file);
  await shows(place('key'), /key file(.*\n)*private half +in the file, and not shown/);
  const secret = JSON.parse(fromUtf8(file)).private.pkcs8;
  t.notOk((await bare('inspect', place('key'))).stdout.includes(secret), 'no secret is shown');
  await writeFile(place('pub'), formatPublicKey(key));
  await shows(place('pub'), /public key(.*\n)*private half +not in the file/);
  await shows(beside('bundle'), /Sigstore bundle/);
  await shows(beside('statements'), /predicate type/);
  const sha256 = digest('sha256', DRIVER);
  const component = { name: 'edu', purpose: 'library', sha256, facts: [], needs: [] } as const;
  const components = ['a', 'b'].map((id) => ({ ...component, id }));
  const bill: Bill = { created: systemClock(), components, files: [], otherLicences: [] };
  await writeFile(place('bill'), writeSpdx3(bill, sha256));
  await shows(place('bill'), /SPDX document(.*\n)*.*3\.0\.1\npackages +2\ndescribes +edu\nSHA256 /);
  await writeFile(place('bill'), writeCycloneDx(bill, sha256));
  await shows(place('bill'), /CycloneDX document(.*\n)*packages +2\ndescribes +edu\nSHA256 /);
  await writeFile(place('x'), '{"a":1}');
  t.equal((await bare('inspect', place('x'))).exit, 9);
  t.equal((await bare('inspect', `${served.url}metadata/9.root.json`)).exit, 4);
});

t.test('what is refused: each for its reason, and OUT is not there', async (t) => {
  const cases: [name: string, exit: number, edit: (sim: Simulator) => unknown][] = [
    [
      'a ceiling for hardware that the vendor was not given',
      14,
      async (sim) => {
        addVendor(sim, 'acme2');
        sim.targets['x-ironport'] = { vendors: {} };
      },
    ],
    [
      'a ceiling for a class that the vendor was not given',
      14,
      (sim) => {
        addVendor(sim, 'acme2');
        const { vendors } = sim.targets['x-ironport'] as never as {
          vendors: Record<string, { hardware_ids: string[] }>;
        };
        (vendors.acme as { hardware_ids: string[] }).hardware_ids = ['PCI:0x1234,class=0x02'];
      },
    ],
    [
      'another hardware id',
      14,
      (sim) =>
        addArtifact(sim, EDU, DRIVER, {
          ceilingPredicate: { ...CEILING, devices: [{ vendor: '0x8086', device: '0x1533' }] },
        }),
    ],
    [
      'a generation that differs between entry and ceiling',
      16,
      (sim) => addArtifact(sim, EDU, DRIVER, { generation: 7 }),
    ],
    [
      "a vendor's path in somebody else's role, with the vendor's own evidence",
      14,
      async (sim) => {
        const entries = { ...sim.role('acme').targets };
        for (const path of Object.keys(entries)) delete sim.role('acme').targets[path];
        for (const role of sim.targets.delegations?.roles ?? []) role.terminating = false;
        sim.delegate('targets', 'distributor', { paths: ['acme/*/*/*'] });
        Object.assign(sim.role('distributor').targets, entries);
      },
    ],
    [
      'a sidecar that another role lists',
      14,
      (sim) => {
        const path = sidecarPath(EDU, 'sbom');
        const entry = sim.role('acme').targets[path];
        delete sim.role('acme').targets[path];
        sim.delegate('acme', 'acme.sub', { paths: ['acme/*/*/*'] });
        Object.assign(sim.role('acme.sub').targets, { [path]: entry });
      },
    ],
    [
      'evidence by a stranger',
      16,
      (sim) => addArtifact(sim, EDU, DRIVER, { signer: testKey('stranger') }),
    ],
    ['no evidence', 16, (sim) => sim.addTarget('acme', EDU, DRIVER)],
    [
      'a missing ceiling',
      16,
      (sim) => {
        delete sim.role('acme').targets[sidecarPath(EDU, 'ceiling')];
      },
    ],
    [
      'a ceiling that was swapped for that of another artifact',
      16,
      async (sim) => {
        const other = await addArtifact(sim, 'acme/edu/2.0.0/edu.js', utf8('other'));
        sim.addTarget('acme', sidecarPath(EDU, 'ceiling'), other.get('ceiling') as Uint8Array);
      },
    ],
  ];
  for (const [name, exit, edit] of cases) {
    await t.test(name, async (t) => {
      const { run, sim, root, place } = await scene(t);
      await edit(sim);
      sim.publish('acme', 'targets');
      const ran = await run('get-verified', EDU, place('edu.js'), '--root', root);
      t.equal(ran.exit, exit, ran.stderr);
      t.notOk(await exists(place('edu.js')));
    });
  }
});

t.test('an artifact whose bytes are others', async (t) => {
  const { run, sim, root, place } = await scene(t);
  const path = `targets/acme/edu/1.0.0/${digest('sha256', DRIVER)}.edu.js`;
  const evil = utf8('export const driver = 2;\n');
  sim.overrides.set(path, evil);
  await writeFile(place('edu.js'), 'what was there before');
  t.equal((await run('get-verified', EDU, place('edu.js'), '--root', root)).exit, 13);
  sim.overrides.set(path, utf8(`${'x'.repeat(100)}`));
  t.equal((await run('get-verified', EDU, place('edu.js'))).exit, 13);
  sim.overrides.set(path, null);
  t.equal((await run('get-verified', EDU, place('edu.js'))).exit, 4);
  t.equal(await readFile(place('edu.js'), 'utf8'), 'what was there before');
  t.strictSame(
    (await readdir(place('.'))).filter((name) => name.startsWith('.')),
    [],
  );
});

t.test('a repository in a folder is used the same way', async (t) => {
  const { sim, bare, root, place } = await scene(t);
  const tree = place('mirror');
  for (const name of [
    '2.targets.json',
    '2.snapshot.json',
    'timestamp.json',
    '1.acme.json',
    '1.root.json',
  ]) {
    await mkdir(join(tree, 'metadata'), { recursive: true });
    await writeFile(join(tree, 'metadata', name), sim.serve(`metadata/${name}`) as Uint8Array);
  }
  for (const [path, { hashes }] of Object.entries(sim.role('acme').targets)) {
    const cut = path.lastIndexOf('/') + 1;
    const name = `targets/${path.slice(0, cut)}${hashes.sha256}.${path.slice(cut)}`;
    await mkdir(join(tree, name, '..'), { recursive: true });
    await writeFile(join(tree, name), sim.serve(name) as Uint8Array);
  }
  const ran = await bare(
    '--repository',
    tree,
    'get-verified',
    EDU,
    place('edu.js'),
    '--root',
    root,
  );
  t.equal(ran.exit, 0, ran.stderr);
  t.strictSame(new Uint8Array(await readFile(place('edu.js'))), DRIVER);
  t.equal((await bare(`file://${tree}`, 'refresh')).exit, 0, 'a file URL names the same store');
  t.equal((await bare('--repository', place('unmounted'), 'refresh', '--root', root)).exit, 5);
});

t.test('command lines that are none', async (t) => {
  const { bare, run, place } = await scene(t);
  t.equal((await bare('refresh')).exit, 2);
  t.equal((await bare('nonsense', 'refresh')).exit, 2);
  t.equal((await run('get-verified')).exit, 2);
  t.equal((await run('get-verified', EDU)).exit, 2);
  t.equal((await run('get', '../../etc/passwd', place('x'))).exit, 9);
  t.equal((await bare('--repository', 'ftp://x/', 'refresh')).exit, 2);
});

t.test('a store that others can write into is taken back', async (t) => {
  const { run, root, folder } = await scene(t);
  await run('init', '--root', root);
  const [name] = await readdir(join(folder, 'state', 'ironport'));
  await chmod(join(folder, 'state', 'ironport', name as string), 0o777);
  t.equal((await run('refresh')).exit, 0);
});

t.test('--offline and bundles, as a host without a network uses them', async (t) => {
  const { run, bare, served, place, root } = await scene(t);
  await run('init', '--root', root);
  const bundle = place('edu.bundle');
  const made = documentOf(await run('bundle', 'create', bundle, EDU, '--json'));
  t.match(made.data, { artifacts: [EDU], files: 10 });
  t.equal((await run('bundle', 'create', bundle, EDU)).exit, 18);
  t.equal((await run('bundle', 'create', place('none'))).exit, 2);
  await served.close();
  t.equal((await run('refresh')).exit, 5);
  t.equal((await run('refresh', '--offline')).exit, 0);
  t.equal((await run('get-verified', EDU, place('a'), '--offline')).exit, 4, 'nothing stored yet');
  t.equal((await run('refresh', '--max-stale', '30d')).exit, 2, 'a network needs no leave');
  const byRoot = await bare('bundle', 'verify', bundle, '--root', root);
  t.equal(byRoot.exit, 0, byRoot.stderr);
  t.match(byRoot.stdout, /it says that it was made .*; nobody vouches for that/);
  t.match(byRoot.stdout, /verified: acme\/edu/);
  t.equal((await bare('bundle', 'verify', bundle)).exit, 2, 'from no root at all');
  t.equal((await run('bundle', 'verify', bundle, '--json')).exit, 0);
  t.equal((await run('bundle', 'import', bundle)).exit, 0);
  const gotten = await run('get-verified', EDU, place('a'), '--offline');
  t.equal(gotten.exit, 0, gotten.stderr);
  t.strictSame(new Uint8Array(await readFile(place('a'))), DRIVER);
  t.equal((await run('handoff', EDU, place('h'), '--offline')).exit, 0);
  t.equal((await run('index', '--offline')).exit, 0);
  await writeFile(bundle, 'ironport-bundle/v1 5\n');
  t.equal((await run('bundle', 'verify', bundle)).exit, 9);
});

t.test('doctor and env', async (t) => {
  const { run, place, root, served } = await scene(t);
  t.equal((await run('doctor')).exit, 6, 'nothing is pinned');
  await run('get-verified', EDU, place('a'), '--root', root);
  const well = await run('doctor');
  t.equal(well.exit, 0, well.stdout);
  const { store } = documentOf(await run('doctor', '--json')).data;
  await writeFile(join(store, 'metadata', 'targets.json'), 'x');
  t.match((await run('doctor', '--offline')).stdout, /heals +metadata\/targets\.json/);
  const repaired = await run('doctor', '--repair', '--report', place('report.json'));
  t.match(repaired.stdout, /refreshed from the pinned root/);
  t.equal(JSON.parse(await readFile(place('report.json'), 'utf8')).repository, served.url);
  await rm(join(store, 'floors.json'));
  t.equal((await run('doctor', '--repair')).exit, 6);
  const env = documentOf(await run('env', '--json')).data.variables;
  t.match(
    env.find(({ name }: { name: string }) => name === 'XDG_STATE_HOME'),
    { source: 'environment', secret: false },
  );
});
