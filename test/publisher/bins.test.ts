/** A vendor's role in hash bins (TAP 15): split, published into, renewed, divided again, put together. */

import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { program as clientProgram } from '../../client/main.ts';
import { exchanged } from '../../publisher/renew-exchanged.ts';
import {
  REPOSITORY_OPTION,
  ROOT_OPTION,
  verifiedBase,
  withSession,
} from '../../publisher/session.ts';
import { DIR_OPTION, PASSPHRASE_OPTION } from '../../publisher/signers.ts';
import { parseAdmission } from '../../shared/api/admission.ts';
import { parseResignedRole } from '../../shared/api/resigned-role.ts';
import { utf8 } from '../../shared/bytes.ts';
import type { ProgramSpec } from '../../shared/cli/command.ts';
import { PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { binFor } from '../../shared/tuf/delegations.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { parseSnapshot } from '../../shared/tuf/snapshot.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { run } from '../cli/support.ts';
import { EDU_MODULE } from '../evidence/elf-support.ts';
import { ironport, operator, Scene, vendor } from './support.ts';

t.setTimeout(600_000);
const folder = mkdtempSync(join(tmpdir(), 'ironport-bins-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const scene = new Scene(folder);
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
const at = () => ['--dir', scene.at('acme'), '--repository', scene.url];
const metadata = (name: string) => readFile(scene.at('repo', 'tree', 'metadata', name));
const snapshot = async () => {
  const names = await readdir(scene.at('repo', 'tree', 'metadata'));
  const versions = names.flatMap((name) => /^(\d+)\.snapshot\.json$/.exec(name)?.[1] ?? []);
  return parseSnapshot(await metadata(`${Math.max(...versions.map(Number))}.snapshot.json`));
};
const verify = async (path: string): Promise<string> => {
  const store = mkdtempSync(join(folder, 'store-'));
  await run(clientProgram, [
    'init',
    '--store',
    store,
    '--root',
    scene.at('signed', '1.root.json'),
    '--repository',
    scene.url,
  ]);
  const ran = await run(clientProgram, [
    new URL(scene.url).host,
    'get-verified',
    path,
    join(store, 'out'),
    '--store',
    store,
    '--json',
  ]);
  return ran.exit === 0
    ? (JSON.parse(ran.stdout).data.evidence ?? 'ok') && 'ok'
    : ran.stdout + ran.stderr;
};
/** Ids of the TUF keys that a request names. */
const tufKeysOf = (request: string): string[] =>
  parseAdmission(utf8(request)).request.tuf.keys.map((key) => keyId(platformCrypto, key));
const whole = async () => (await ironportRepoFsck()).findings;
const ironportRepoFsck = async () => (await operator('fsck', '--dir', scene.at('repo'))).data;

await writeFile(scene.at('driver.bin'), 'one driver');
await vendor(...scene.publishing('driver.bin', '1.0.0', ...scene.root));

t.test('split: every entry goes into its bin, and the own role lists none', async (t) => {
  const { data } = await vendor('split', '--bins', '4', ...at());
  t.match(data, { role: 'acme', version: 2, bins: 4, targets: 6 });
  const own = parseTargets(await metadata('2.acme.json'), 'acme');
  t.same(own.paths(), []);
  t.match(own.delegations?.succinct, { bitLength: 2, namePrefix: 'acme.b2' });
  const { version, roles: listed } = await snapshot();
  t.same(
    ['0', '1', '2', '3'].map((bin) => listed.get(`acme.b2-${bin}`)?.version),
    [1, 1, 1, 1],
  );
  t.equal(await verify('acme/edu/1.0.0/driver.bin'), 'ok');
  t.same(await whole(), []);
  t.equal((await ironport('split', '--bins', '4', ...at())).error?.code, 'E_NOTHING_TO_DO');
  for (const bins of ['3', '0', '32768', 'x'])
    t.equal((await ironport('split', '--bins', bins, ...at())).error?.code, 'E_USAGE', bins);
  for (const said of [
    [],
    ['--targets', '-1'],
    ['--targets', 'x'],
    ['--bins', '4', '--targets', '9'],
  ])
    t.equal((await ironport('split', ...said, ...at())).error?.code, 'E_USAGE', said.join(' '));
  t.equal((await snapshot()).version, version, 'none of these changed anything');
});

t.test('a publication touches the bins of its paths and nothing else', async (t) => {
  await writeFile(scene.at('driver.bin'), 'another driver');
  const before = (await snapshot()).roles;
  const { data } = await vendor(...scene.publishing('driver.bin', '1.1.0'));
  const succinct = parseTargets(await metadata('2.acme.json'), 'acme').delegations?.succinct;
  const paths = [
    'acme/edu/index/index.json',
    data.path,
    ...data.sidecars.map(({ path }: { path: string }) => path),
  ];
  const touched = new Set(paths.map((path) => binFor(platformCrypto, succinct as never, path)));
  const after = (await snapshot()).roles;
  for (const [role, { version }] of after)
    t.equal(version, (before.get(role)?.version ?? 0) + (touched.has(role) ? 1 : 0), role);
  t.same(data.bins.map(({ role }: { role: string }) => role).sort(), [...touched].sort());
  t.equal(await verify('acme/edu/1.1.0/driver.bin'), 'ok');
  t.equal(
    (await ironport(...scene.publishing('driver.bin', '1.1.0'))).error?.code,
    'E_NOTHING_TO_DO',
  );
  await writeFile(scene.at('driver.bin'), 'other bytes');
  t.equal((await ironport(...scene.publishing('driver.bin', '1.1.0'))).error?.code, 'E_EXISTS');
});

t.test('renew: role and bins with a new date and nothing else', async (t) => {
  const before = (await snapshot()).roles;
  const { data } = await vendor('renew', ...at());
  t.equal(data.bins, 4);
  for (const [role, { version }] of (await snapshot()).roles) {
    if (role === 'targets') continue;
    const old = before.get(role)?.version as number;
    t.equal(version, old + 1, role);
    const [a, b] = [
      parseTargets(await metadata(`${old}.${role}.json`), role),
      parseTargets(await metadata(`${version}.${role}.json`), role),
    ];
    const bare = ({ envelope }: typeof a) => ({ ...envelope.tree, version: 0, expires: '' });
    t.same(bare(a), bare(b), role);
  }
  t.same(await whole(), []);
});

t.test('what was signed elsewhere is not renewed unasked', async (t) => {
  await writeFile(scene.at('acme', 'signed', 'bins.log'), '');
  t.equal((await ironport('renew', ...at())).error?.code, 'E_CONFLICT');
  await writeFile(scene.at('acme', 'signed', 'bins.log'), 'no line of ours\n');
  t.equal((await ironport('renew', ...at())).error?.code, 'E_STORE');
  await writeFile(scene.at('acme', 'signed', 'bins.log'), '');
  t.equal((await vendor('renew', '--adopt', ...at())).data.bins, 4);
});

t.test('a list is published together', async (t) => {
  const artifacts = [];
  for (let i = 0; i < 12; i++) {
    await writeFile(scene.at(`many-${i}.bin`), `driver ${i}`);
    artifacts.push({
      file: `many-${i}.bin`,
      product: 'many',
      version: '1.0.0',
      ceiling: 'ceiling.json',
    });
  }
  const list = async (content: unknown) => {
    await writeFile(scene.at('list.json'), JSON.stringify(content));
    return ['publish-batch', scene.at('list.json'), ...at()];
  };
  const schema = 'ironport.artifact-list/v1';
  const twice = await list({ schema, artifacts: [artifacts[0], artifacts[0]] });
  t.equal((await ironport(...twice)).error?.code, 'E_USAGE');
  t.equal((await ironport(...(await list({ schema, artifacts: [] })))).error?.code, 'E_USAGE');
  t.equal(
    (await ironport(...(await list({ schema, artifacts: [{ file: 'x' }] })))).error?.code,
    'E_SCHEMA',
  );
  // What is wrong with the last one is found before anything of the first one is sent.
  const edu = { ...artifacts[1], product: 'edu', as: 'driver.bin' };
  for (const [wrong, code] of [
    [artifacts[0], 'E_USAGE'],
    [edu, 'E_EXISTS'],
    [{ ...artifacts[1], file: 'nowhere.bin' }, 'E_NOT_FOUND'],
  ] as const) {
    const refused = await ironport(...(await list({ schema, artifacts: [artifacts[0], wrong] })));
    t.equal(refused.error?.code, code);
    const there = await readdir(scene.at('repo', 'private', 'quarantine', 'acme'));
    t.same(there, [], `${code}: nothing was sent`);
  }
  const { version } = await snapshot();
  const { data } = await vendor(...(await list({ schema, artifacts })));
  t.match(data, { published: true, targets: 60, snapshot: version + 1, version: null });
  t.equal(await verify('acme/many/1.0.0/many-11.bin'), 'ok');
});

t.test('a line of a list states what the options of publish do', async (t) => {
  await writeFile(scene.at('stated.ko'), EDU_MODULE);
  const bill = scene.at('stated.spdx.json');
  await vendor(...['sbom', scene.at('stated.ko'), '--version', '1.0.0', '--out', bill]);
  await writeFile(
    scene.at('tests.json'),
    JSON.stringify({ result: 'PASSED', configuration: [{ name: 'lab' }] }),
  );
  const line = {
    ...{ file: 'stated.ko', product: 'stated', version: '1.0.0', ceiling: 'ceiling.json' },
    ...{ sbom: 'stated.spdx.json', test_results: ['tests.json'] },
    release: 'pkg:generic/acme/stated@1.0.0',
  };
  const list = async (...lines: unknown[]): Promise<string[]> => {
    const content = { schema: 'ironport.artifact-list/v1', artifacts: lines };
    await writeFile(scene.at('list.json'), JSON.stringify(content));
    return ['publish-batch', scene.at('list.json'), ...at()];
  };
  for (const [wrong, code] of [
    [{ ...line, sbom: 'nowhere.json' }, 'E_NOT_FOUND'],
    [{ ...line, sbom: ['stated.spdx.json'] }, 'E_SCHEMA'],
    [{ ...line, test_results: 'tests.json' }, 'E_SCHEMA'],
    [{ ...line, test_results: Array(65).fill('tests.json') }, 'E_SCHEMA'],
    [{ ...line, release: 'pkg:generic/acme/stated@2.0.0' }, 'E_USAGE'],
    [{ ...line, module_certificates: ['tests.json'] }, 'E_KEY'],
    [{ ...line, module_certificate: 'tests.json' }, 'E_SCHEMA'],
  ] as const)
    t.equal((await ironport(...(await list(wrong)))).error?.code, code, JSON.stringify(wrong));
  t.match((await vendor(...(await list(line)))).data, { published: true });
  t.equal(await verify('acme/stated/1.0.0/stated.ko'), 'ok');
  const sidecars = await readdir(scene.at('repo', 'tree', 'targets', 'acme', 'stated', '1.0.0'));
  const read = async (end: string): Promise<string> => {
    const name = sidecars.find((one) => one.endsWith(end)) as string;
    const place = scene.at('repo', 'tree', 'targets', 'acme', 'stated', '1.0.0', name);
    return await readFile(place, 'utf8');
  };
  t.equal(await read('.spdx.json'), await readFile(bill, 'utf8'), 'the bill that was given');
  const types = (await read('.intoto.jsonl'))
    .trim()
    .split('\n')
    .map((text) => JSON.parse(Buffer.from(JSON.parse(text).payload, 'base64').toString()))
    .map(({ predicateType }) => predicateType);
  for (const type of [PREDICATE_TYPES.testResult, PREDICATE_TYPES.release])
    t.ok(types.includes(type), type);
});

t.test('divided again and put together: roles stay in the snapshot', async (t) => {
  t.match((await vendor('split', '--bins', '8', ...at())).data, { bins: 8, targets: 78 });
  t.equal(await verify('acme/edu/1.0.0/driver.bin'), 'ok');
  t.match((await vendor('split', '--targets', '30', ...at())).data, { bins: 16, targets: 78 });
  t.equal(await verify('acme/many/1.0.0/many-11.bin'), 'ok');
  t.equal((await ironport('split', '--targets', '30', ...at())).error?.code, 'E_NOTHING_TO_DO');
  t.match((await vendor('split', '--bins', '1', ...at())).data, { bins: 1, targets: 78 });
  const listed = (await snapshot()).roles;
  for (const role of ['acme.b2-3', 'acme.b3-7', 'acme.b4-f']) t.ok(listed.has(role), role);
  t.equal(await verify('acme/many/1.0.0/many-3.bin'), 'ok');
  const before = listed.get('acme.b2-3')?.version as number;
  await vendor('split', '--bins', '4', ...at());
  t.equal((await snapshot()).roles.get('acme.b2-3')?.version, before + 1, 'it is not begun anew');
  t.same(await whole(), []);
});

t.test('new keys of the role are those of its bins, in one snapshot', async (t) => {
  const signed = (name: string): string => scene.at('signed', name);
  await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'tuf', '--list', 'api');
  const request = await scene.exchange('acme', 3);
  const log = await readFile(scene.at('acme', 'signed', 'bins.log'));
  await writeFile(scene.at('acme', 'signed', 'bins.log'), '');
  const unknown = await ironport('renew', ...at(), '--out', signed('acme.json'));
  t.match(unknown.error, {
    code: 'E_CONFLICT',
    message: /acme\.b2-\d says was not signed in this folder/,
  });
  await writeFile(scene.at('acme', 'signed', 'bins.log'), log);

  const before = await snapshot();
  t.match((await vendor('renew', ...at(), '--out', signed('acme.json'))).data, { bins: 4 });
  t.equal((await snapshot()).version, before.version, 'nothing was handed in');
  await scene.submit('3.targets.json', 'acme.json');
  const after = await snapshot();
  t.equal(after.version, before.version + 1);
  for (const role of ['acme', 'acme.b2-0', 'acme.b2-1', 'acme.b2-2', 'acme.b2-3'])
    t.equal(after.roles.get(role)?.version, (before.roles.get(role)?.version ?? 0) + 1, role);
  const own = parseTargets(await metadata(`${after.roles.get('acme')?.version}.acme.json`), 'acme');
  const keys = tufKeysOf(await readFile(request, 'utf8'));
  t.same(own.delegations?.succinct?.keyids, keys, 'the bins are of the new key');

  await writeFile(scene.at('driver.bin'), 'a driver by the new key');
  await vendor(...scene.publishing('driver.bin', '9.0.0'));
  t.equal(await verify('acme/edu/9.0.0/driver.bin'), 'ok', 'and it publishes at once');
  t.equal(await verify('acme/edu/1.0.0/driver.bin'), 'ok');
  t.equal((await ironport('split', '--bins', '4', ...at())).error?.code, 'E_NOTHING_TO_DO');
  const again = await vendor('renew', ...at(), '--out', signed('acme-again.json'));
  t.match(again.data, { bins: 0 }, 'no bin comes along where no key is exchanged');
  t.same(await whole(), []);
});

t.test('bins that are too much for a file are uploaded', async (t) => {
  await vendor('rotate-keys', '--dir', scene.at('acme'), '--list', 'tuf');
  const spec: ProgramSpec = {
    name: 'uploading',
    summary: 'the real command has room for bins in its file',
    commands: [
      {
        name: 'make',
        summary: 'none',
        options: [DIR_OPTION, REPOSITORY_OPTION, ROOT_OPTION, PASSPHRASE_OPTION],
        examples: ['x'],
        schema: 'uploading/v1',
        run: (context) =>
          withSession(context, async (session) => {
            const { role, ...base } = await verifiedBase(session);
            if (role === undefined) throw new Error('no role');
            const made = await exchanged(session, { ...base, role }, Date.now() / 1000 + 86_400, {
              ...{ adopt: false, room: 0 },
            });
            await writeFile(scene.at('signed', 'acme-large.json'), made.bytes);
            return { data: parseResignedRole(made.bytes).bins.map(({ bytes }) => bytes ?? null) };
          }),
      },
    ],
  };
  const ran = await run(spec, ['make', ...at(), '--json']);
  t.same(JSON.parse(ran.stdout).data, [null, null, null, null], ran.stdout);
  const request = scene.at('acme-3.admission.json');
  const { data } = await vendor('request', '--dir', scene.at('acme'), '--out', request);
  await operator(
    ...['vendor', 'rotate-keys', request, '--yes'],
    ...['--targets', scene.at('signed', '3.targets.json')],
    ...['--root', scene.at('signed', '1.root.json'), '--key', scene.at('t1.json')],
    ...['--fingerprint', data.fingerprint, '--out', scene.at('signed', '4.targets.json')],
  );
  await scene.submit('4.targets.json', 'acme-large.json');
  await vendor('renew', '--adopt', ...at());
  t.equal(await verify('acme/edu/9.0.0/driver.bin'), 'ok');
  t.same(await whole(), []);
});
