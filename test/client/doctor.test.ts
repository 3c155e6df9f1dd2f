// A store in the states that hosts bring it into, and what the doctor says and does about each.

import { chmod, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { examine, repair } from '../../client/doctor/doctor.ts';
import type { Finding } from '../../client/doctor/finding.ts';
import { writeReport } from '../../client/doctor/report.ts';
import type { Fetcher } from '../../client/fetch/fetcher.ts';
import { IronError } from '../../shared/errors.ts';
import { withLock } from '../../shared/node/lock.ts';
import type { Simulator } from '../support/simulator.ts';
import { Machine, repositoryWithArtifact } from './bundle/support.ts';

interface Scene {
  readonly sim: Simulator;
  readonly machine: Machine;
  at(name: string): string;
}

async function scene(t: Test): Promise<Scene> {
  const sim = await repositoryWithArtifact();
  const machine = new Machine(t.testdir());
  await machine.pin(sim);
  sim.nextRoot();
  await machine.repository(sim).list();
  return { sim, machine, at: (name) => join(machine.store.folder, name) };
}

const states = (findings: readonly Finding[], state: string): string[] =>
  findings.filter((finding) => finding.state === state).map(({ subject }) => subject);

t.test('a store that is well', async (t) => {
  const { sim, machine } = await scene(t);
  const findings = await examine(machine.repository(sim));
  t.strictSame(new Set(findings.map(({ state }) => state)), new Set(['ok']));
  for (const subject of [
    'folder',
    'disk',
    'lock',
    'pinned root',
    'version floors',
    'metadata',
    'clock',
    'repository',
  ])
    t.ok(states(findings, 'ok').includes(subject), subject);
  t.notOk(
    (await examine(machine.repository())).some(({ subject }) => subject === 'repository'),
    'offline nobody is asked',
  );
});

t.test('damaged metadata heals, and floors outlive it', async (t) => {
  const { sim, machine, at } = await scene(t);
  const floors = await machine.store.floors();
  await writeFile(at('metadata/targets.json'), '{');
  await writeFile(at('roots/2.json'), 'damage');
  await rm(at('metadata/acme.json'));
  await mkdir(at('metadata/acme.json'));
  await rm(at('metadata/timestamp.json'));
  const findings = await examine(machine.repository(sim));
  t.strictSame(states(findings, 'broken'), []);
  const heals = states(findings, 'heals');
  t.ok(heals.includes('roots/2.json'), String(heals));
  const done = await repair(machine.repository(sim), findings);
  t.ok(done.some(({ what }) => what === 'refreshed from the pinned root'));
  await machine.repository(sim).list();
  t.strictSame(states(await examine(machine.repository(sim)), 'heals'), []);
  t.match(await machine.store.floors(), { root: 2, timestamp: floors.timestamp });
});

t.test('damage that only shows when nothing older hides it', async (t) => {
  const { sim, machine, at } = await scene(t);
  const bytes = await readFile(at('metadata/acme.json'));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 1;
  await writeFile(at('metadata/acme.json'), bytes);
  const findings = await examine(machine.repository(sim));
  t.ok(states(findings, 'heals').includes('metadata/acme.json'));
  await repair(machine.repository(), findings);
  await t.rejects(stat(at('metadata/acme.json')), 'it is removed, also without a network');
});

t.test('a pin or floors that are gone are never made up', async (t) => {
  for (const [name, subject] of [
    ['floors.json', 'version floors'],
    ['pinned-root.json', 'pinned root'],
  ] as const) {
    for (const damage of ['gone', 'cut short'] as const) {
      const { sim, machine, at } = await scene(t);
      if (damage === 'gone') await rm(at(name));
      else await writeFile(at(name), (await readFile(at(name))).subarray(0, 20));
      const findings = await examine(machine.repository(sim));
      t.strictSame(states(findings, 'broken'), [subject], `${name} ${damage}`);
      t.match(findings[0]?.advice, /nothing was changed|get root\.json/);
      await repair(machine.repository(sim), findings);
      t.strictSame(states(await examine(machine.repository(sim)), 'broken'), [subject]);
    }
  }
});

t.test('a folder that others can enter, or that is not there', async (t) => {
  const { sim, machine } = await scene(t);
  await chmod(machine.store.folder, 0o755);
  const findings = await examine(machine.repository(sim));
  t.strictSame(states(findings, 'heals'), ['folder']);
  for (const { repair: mend } of findings) await mend?.();
  t.equal((await stat(machine.store.folder)).mode & 0o777, 0o700);
  const nowhere = new Machine(t.testdirName, 'nowhere');
  t.strictSame(states(await examine(nowhere.repository()), 'broken'), ['folder']);
});

t.test('clock, expiry, lock and a repository that does not answer', async (t) => {
  const { sim, machine, at } = await scene(t);
  machine.clock.days(-2);
  t.strictSame(states(await examine(machine.repository(sim)), 'broken'), ['clock']);
  machine.clock.days(5);
  t.strictSame(states(await examine(machine.repository(sim)), 'note'), ['timestamp']);
  const dead: Fetcher = {
    origin: 'http://drivers.example/',
    fetchFile: () => Promise.reject(new IronError('E_NETWORK', 'nobody answers')),
    openFile: () => Promise.reject(new Error('not asked for')),
  };
  const findings = await withLock(at('lock'), () => examine(machine.repository(dead)));
  t.strictSame(states(findings, 'note').sort(), ['lock', 'repository', 'timestamp']);
  const empty = await examine(machine.repository({ ...dead, fetchFile: async () => undefined }));
  t.strictSame(states(empty, 'broken'), ['repository']);
});

t.test('the report tells what was found, and no secret', async (t) => {
  const { sim, machine, at } = await scene(t);
  await writeFile(at('metadata/targets.json'), '{');
  const repository = machine.repository(sim);
  const out = join(machine.folder, 'report.json');
  const env = {
    HOME: machine.folder,
    HTTPS_PROXY: 'http://jo:hunter2@proxy.example:3128/x?y=hunter2',
    http_proxy: 'jo:hunter2@proxy.example',
    no_proxy: 'localhost',
    MY_TOKEN: 'hunter2',
  };
  await writeReport(out, repository, await examine(repository), env);
  const text = await readFile(out, 'utf8');
  t.notMatch(text, /hunter2/);
  t.notOk(text.includes(machine.folder), 'nor where the home is');
  t.equal((await stat(out)).mode & 0o777, 0o600);
  const report = JSON.parse(text);
  t.match(report.store, /^~\/store$/);
  t.ok(report.findings.some(({ state }: { state: string }) => state === 'heals'));
  t.ok(
    report.files.some(
      ({ path, sha256 }: { path: string; sha256: string }) =>
        path === 'floors.json' && /^[0-9a-f]{64}$/.test(sha256),
    ),
  );
  t.match(
    report.environment.find(({ name }: { name: string }) => name === 'HTTPS_PROXY'),
    { value: 'http://(hidden)@proxy.example:3128', source: 'environment' },
  );
});
