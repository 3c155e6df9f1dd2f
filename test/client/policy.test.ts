// A host's policy as its operators use it: written, signed, explained, enforced, summed up.

import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { BUILDERS } from '../../shared/evidence/identifiers.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { writeNewKey } from '../../shared/node/signers/write-key.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { documentOf, type Ran, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const POLICY = {
  schema: 'ironport.host-policy/v1',
  version: 1,
  evidence: {
    otherwise: 'refuse',
    rules: [
      {
        namespace: 'acme',
        builders: [{ id: BUILDERS.byHand, signers: ['vendor'], level: 1 }],
        minimum_level: 1,
      },
    ],
  },
};

interface Scene {
  readonly folder: string;
  run(...argv: string[]): Promise<Ran>;
  bare(...argv: string[]): Promise<Ran>;
  place(name: string): string;
  put(name: string, value: object | Uint8Array): Promise<string>;
}

async function scene(t: Test): Promise<Scene> {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('export const driver = 1;\n'));
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir({});
  const place = (name: string): string => join(folder, name);
  await writeFile(place('root.json'), sim.roots.get(1) as Uint8Array);
  const pinned = ['--root', place('root.json'), '--store', place('store')];
  return {
    folder,
    place,
    run: (...argv) => runInProcess(program, [served.url, ...argv, ...pinned], {}),
    bare: (...argv) => runInProcess(program, argv, {}),
    put: async (name, value) => {
      const bytes = value instanceof Uint8Array ? value : utf8(JSON.stringify(value));
      await writeFile(place(name), bytes, { mode: 0o644 });
      return place(name);
    },
  };
}

t.test('rules are printed with their verdicts, and a refusal changes nothing', async (t) => {
  const { run, put, place } = await scene(t);
  const policy = ['--host-policy', await put('policy.json', POLICY)];
  const ran = await run('get-verified', EDU, place('a'), ...policy, '--json');
  t.equal(ran.exit, 0, ran.stderr);
  const { data } = documentOf(ran);
  t.match(data.policy, { version: 1, namespace: 'acme', slsa_build_level: 1 });
  t.strictSame(
    data.policy.rules.map(({ rule, holds }: { rule: string; holds: boolean }) => [rule, holds]),
    [
      ['default', true],
      ['builders', true],
      ['minimum_level', true],
    ],
  );
  t.notOk(data.not_checked.some((what: string) => what.includes('builder')));
  t.ok(data.checks.some(({ rule }: { rule: string }) => rule === 'policy: builders'));

  const strict = structuredClone(POLICY) as { evidence: { rules: JsonObject[] } };
  strict.evidence.rules = [{ namespace: 'acme', minimum_level: 2, sources: ['x:y'] }];
  const refusing = ['--host-policy', await put('strict.json', strict)];
  for (const args of [
    ['get-verified', EDU, place('b')],
    ['handoff', EDU, place('c')],
  ]) {
    const refused = await run(...args, ...refusing, '--json');
    t.equal(refused.exit, 16);
    t.match(documentOf(refused).error, {
      code: 'E_POLICY',
      context: { reason: 'level', rule: 'minimum_level', namespace: 'acme' },
    });
  }
  await t.rejects(readFile(place('b')), 'nothing was written');
  const tested = await run('policy', 'test', EDU, ...refusing);
  t.equal(tested.exit, 16);
  t.match(tested.stdout, /REFUSED +minimum_level/);
  t.match(tested.stdout, /REFUSED +sources/);
  t.equal((await run('policy', 'test', EDU, ...policy)).exit, 0);
  t.equal((await run('handoff', EDU, place('d'), ...policy)).exit, 0);
  t.equal((await run('verify', place('d'), ...policy)).exit, 0);
  t.equal((await run('verify', place('d'), ...refusing)).exit, 16);
});

t.test('signed by m of n operators, or not taken', async (t) => {
  const { bare, put, place } = await scene(t);
  const [one, two, thief] = [place('one.json'), place('two.json'), place('thief.json')];
  const created = systemClock();
  const keys = [];
  for (const path of [one, two, thief])
    keys.push((await writeNewKey(path, 'ed25519', { created })).key);
  const fleet = {
    schema: 'ironport.fleet-keys/v1',
    threshold: 2,
    keys: keys.slice(0, 2).map(keyObject),
  };
  const fleetKeys = ['--fleet-keys', await put('fleet.json', fleet)];
  const plain = await put('policy.json', POLICY);
  const sign = (from: string, key: string, out: string) =>
    bare('policy', 'sign', from, '--key', key, '--out', place(out), '--json');
  const explain = (policy: string) => bare('policy', 'explain', '--host-policy', policy, '--json');
  const byFleet = (policy: string) =>
    bare('policy', 'explain', '--host-policy', policy, ...fleetKeys, '--json');

  t.equal(documentOf(await sign(plain, one, '1.json')).data.signatures, 1);
  t.equal(documentOf(await sign(place('1.json'), two, '2.json')).data.signatures, 2);
  t.equal(documentOf(await sign(place('1.json'), one, 'again.json')).data.signatures, 1);
  await sign(place('1.json'), thief, 'stolen.json');
  const good = documentOf(await byFleet(place('2.json')));
  t.equal(good.data.signed_by.length, 2);
  t.match(good.data.rules, [{ namespace: 'acme', demands: [/built by/, /level 1/] }]);

  const altered = JSON.parse(await readFile(place('2.json'), 'utf8'));
  altered.payload = Buffer.from(JSON.stringify({ ...POLICY, version: 2 })).toString('base64');
  const typed = { ...altered, payloadType: 'application/vnd.in-toto+json' };
  for (const [name, path] of [
    ['not signed', plain],
    ['by too few', place('1.json')],
    ['by one twice', place('again.json')],
    ['by one and somebody who is none', place('stolen.json')],
    ['altered', await put('altered.json', altered)],
    ['as something else', await put('typed.json', typed)],
    ['cut', await put('cut.json', (await readFile(place('2.json'))).subarray(0, 50))],
  ] as const) {
    const ran = await byFleet(path);
    t.equal(ran.exit, name === 'cut' ? 2 : 16, `${name}: ${ran.stdout}`);
  }
  t.match(documentOf(await explain(place('2.json'))).error, {
    code: 'E_POLICY',
    context: { reason: 'policy-signature' },
  });
  const missing = await bare('policy', 'explain', ...fleetKeys, '--json');
  t.match(documentOf(missing).error, { code: 'E_POLICY', context: { reason: 'policy-missing' } });

  const wrong: [string, object][] = [
    ['threshold 0', { ...fleet, threshold: 0 }],
    ['threshold over all', { ...fleet, threshold: 3 }],
    ['a key twice', { ...fleet, keys: [fleet.keys[0], fleet.keys[0]] }],
    ['unknown field', { ...fleet, keyz: [] }],
  ];
  for (const [name, value] of wrong) {
    const files = ['--host-policy', place('2.json'), '--fleet-keys', await put('f.json', value)];
    t.equal((await bare('policy', 'explain', ...files)).exit, 2, name);
  }
  await chmod(plain, 0o666);
  t.match(documentOf(await explain(plain)).error, { code: 'E_CONFIG', why: /mode is 666/ });
});

t.test('a summary of the verdict, signed by the host, that is replayed to the same', async (t) => {
  const { run, bare, put, place } = await scene(t);
  const policy = ['--host-policy', await put('policy.json', { ...POLICY, epoch: 4 })];
  const vsa = place('edu.vsa.json');
  const ran = await run('get-verified', EDU, place('edu.js'), ...policy, '--vsa', vsa);
  t.equal(ran.exit, 0, ran.stderr);
  const key = ['--key', join(place('store'), 'keys', 'host.pub.json')];
  const root = ['--root', place('root.json')];
  const replay = (...args: string[]) => bare('vsa', 'replay', vsa, ...key, ...args, '--json');
  const replayed = await replay(...root);
  t.equal(replayed.exit, 0, replayed.stdout);
  const which = { namespace: 'acme', epoch: 4, version: POLICY.version };
  t.match(documentOf(replayed).data, { path: EDU, result: 'PASSED', ...which });
  const told = await run('get-verified', EDU, place('again.js'), ...policy, '--json');
  t.match(documentOf(told).data.policy, which);

  const { payload } = JSON.parse(await readFile(vsa, 'utf8'));
  const statement = JSON.parse(Buffer.from(payload, 'base64').toString());
  t.match(statement, {
    predicateType: 'https://slsa.dev/verification_summary/v1',
    predicate: {
      verificationResult: 'PASSED',
      verifiedLevels: ['SLSA_BUILD_LEVEL_1'],
      resourceUri: 'pkg:generic/acme/edu@1.0.0#edu.js',
      policy: { digest: { sha256: /^[0-9a-f]{64}$/ } },
    },
  });
  const again = await run('get-verified', EDU, place('edu.js'), '--vsa', place('plain.vsa.json'));
  t.equal(again.exit, 0);
  t.equal(
    (await bare('vsa', 'replay', place('plain.vsa.json'), ...key)).exit,
    0,
    'without a policy',
  );

  // Another key, other inputs, and a host that signed what is not so.
  const stranger = place('stranger.json');
  const { publicPath } = await writeNewKey(stranger, 'ed25519', { created: systemClock() });
  const foreign = await bare('vsa', 'replay', vsa, '--key', publicPath, '--json');
  t.equal(documentOf(foreign).error.code, 'E_SIGNATURE');
  const swapped = await replay('--inputs', `${place('plain.vsa.json')}.inputs.json`);
  t.equal(documentOf(swapped).error.code, 'E_HASH');
  const elsewhere = await replay(
    '--root',
    await put('other.json', new Simulator(systemClock(), 'x').roots.get(1) as Uint8Array),
  );
  t.equal(documentOf(elsewhere).error.code, 'E_NO_PIN');

  // The words of a verdict are the program's, and change with it; the verdict is what is compared.
  const hostKey = join(place('store'), 'keys', 'host.json');
  const said = await readFile(`${vsa}.inputs.json`);
  const spoken = structuredClone(statement);
  const ofRules = spoken.predicate.ironshim_rules as { what: string; holds: boolean }[];
  (ofRules[1] as { what: string }).what = 'in the words of another version';
  await put('spoken', await forge(spoken, said, hostKey));
  await put('spoken.inputs.json', said);
  const older = await bare('vsa', 'replay', place('spoken'), ...key, '--json');
  t.equal(older.exit, 0, older.stdout);
  t.match(older.stderr, /warning: the summary words builders otherwise; the verdict is the same/);
  t.notMatch((await replay()).stderr, /otherwise/);
  for (const change of [
    (rules: typeof ofRules) => rules.pop(),
    (rules: typeof ofRules) => rules.reverse(),
    (rules: typeof ofRules) => ((rules[0] as { holds: boolean }).holds = false),
    (rules: typeof ofRules) => rules.push({ what: '', holds: true }),
  ]) {
    const lying = structuredClone(statement);
    change(lying.predicate.ironshim_rules);
    await put('lying', await forge(lying, said, hostKey));
    await put('lying.inputs.json', said);
    const ran = await bare('vsa', 'replay', place('lying'), ...key, '--json');
    t.match(documentOf(ran).error, { code: 'E_EVIDENCE', context: { reason: 'disagree' } });
  }

  const inputs = `${vsa}.inputs.json`;
  const document = JSON.parse(await readFile(inputs, 'utf8'));
  document.policy.file = Buffer.from(JSON.stringify({ ...POLICY, version: 9 })).toString('base64');
  const lied = utf8(JSON.stringify(document));
  await put('lied.inputs.json', lied);
  const forged = await forge(statement, lied, hostKey);
  await put('lied', forged);
  const other = await bare('vsa', 'replay', place('lied'), ...key, '--json');
  t.match(documentOf(other).error, { code: 'E_EVIDENCE', context: { reason: 'disagree' } });
});

/** The summary with other inputs, truly signed by the host. */
async function forge(statement: object, inputs: Uint8Array, key: string): Promise<Uint8Array> {
  const { createHash } = await import('node:crypto');
  const { loadFileSigner } = await import('../../shared/node/signers/file.ts');
  const { signEnvelope } = await import('../../shared/evidence/dsse.ts');
  const sha256 = createHash('sha256').update(inputs).digest('hex');
  const text = JSON.stringify(statement).replace(
    /("ironport.vsa-inputs\/v1","digest":\{"sha256":")[0-9a-f]{64}/,
    `$1${sha256}`,
  );
  const signer = await loadFileSigner(key);
  return signEnvelope('application/vnd.in-toto+json', utf8(text), [{ signer }]);
}
