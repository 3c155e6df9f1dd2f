// A store in the states that hosts bring it into, and what the doctor says and does about each.

import { spawnSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process, { geteuid } from 'node:process';
import t, { type Test } from 'tap';
import { examine, repair } from '../../client/doctor/doctor.ts';
import type { Finding } from '../../client/doctor/finding.ts';
import { writeReport } from '../../client/doctor/report.ts';
import type { Fetcher } from '../../client/fetch/fetcher.ts';
import { IronError } from '../../shared/errors.ts';
import { withLock } from '../../shared/node/lock.ts';
import { becoming } from '../agent/other-user.ts';
import type { Simulator } from '../support/simulator.ts';
import { Machine, repositoryWithArtifact } from './bundle/support.ts';

interface Scene {
  readonly sim: Simulator;
  readonly machine: Machine;
  at(name: string): string;
}

async function scene(t: Test, folder = t.testdir()): Promise<Scene> {
  const sim = await repositoryWithArtifact();
  const machine = new Machine(folder);
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

/** A user without rights, whose the store is. */
const USER = 64_001;
const whyNot = geteuid?.() !== 0 && 'only root can become another user';

/** What that user is told of a store, in a process of its own; with `mend`, all of it is mended then. */
function lookAsUser(folder: string, mend = false): Finding[] {
  const kinds = new URL('../../client/doctor/kinds.ts', import.meta.url).href;
  const script = `
    const { lookAtKinds } = await import(${JSON.stringify(kinds)});
    ${becoming(USER)}
    const found = await lookAtKinds({ store: { folder: ${JSON.stringify(folder)} } });
    if (${mend}) for (const one of found) await one.repair?.();
    console.log(JSON.stringify(found.map((one) => ({ ...one, mends: 'repair' in one }))));`;
  const words = ['--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  return JSON.parse(stdout || JSON.stringify(stderr));
}

/** A store of that user, in a place that everybody can reach. */
async function storeOfUser(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'ironport-doctor-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const made = await scene(t, folder);
  await writeFile(made.at('lock'), '', { flag: 'a' });
  await mkdir(made.at('downloads'), { recursive: true });
  await writeFile(made.at('downloads/abc'), '');
  t.equal(spawnSync('chown', ['-R', `${USER}:${USER}`, folder]).status, 0);
  return made;
}

t.test('a folder of the cache that cannot be entered', { skip: whyNot }, async (t) => {
  const { machine, at } = await storeOfUser(t);
  t.strictSame(lookAsUser(machine.store.folder), [], 'control: a store that is well');
  for (const mode of [0o600, 0o300, 0]) {
    await chmod(at('metadata'), mode);
    const found = lookAsUser(machine.store.folder, true);
    t.match(found, [{ state: 'heals', subject: 'metadata', what: 'may not be entered' }]);
    t.equal((await stat(at('metadata'))).mode & 0o777, 0o700);
  }
});

t.test('a lock of somebody else is left alone, and told of', { skip: whyNot }, async (t) => {
  const { sim, machine, at } = await storeOfUser(t);
  const paths = ['lock', 'downloads/abc'];
  const each = async (act: (place: string) => Promise<void>): Promise<void> => {
    for (const path of paths) await act(at(path));
  };
  const look = (mend = false) =>
    lookAsUser(machine.store.folder, mend).toSorted((a, b) => (a.subject < b.subject ? 1 : -1));
  const before = await stat(at('lock'));
  await each((place) => chmod(place, 0o600));
  await each((place) => chown(place, 0, 0));
  const found = look(true);
  t.match(
    found,
    paths.map((subject) => ({ state: 'broken', subject, what: /user 0/, mends: false })),
  );
  t.strictSame(await repair(machine.repository(sim), found), [], 'nothing is done beside it');
  t.equal((await stat(at('lock'))).ino, before.ino);

  // One's own is opened, and the same file goes on to be the lock.
  await each((place) => chown(place, USER, USER));
  await each((place) => chmod(place, 0));
  t.match(
    look(true),
    paths.map((subject) => ({ state: 'heals', subject, mends: true })),
  );
  t.match(await stat(at('lock')), { ino: before.ino, uid: USER });
  t.strictSame(look(), []);
});
