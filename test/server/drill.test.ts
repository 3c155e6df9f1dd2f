/** Thefts, rehearsed by the program itself against a copy; the original is not touched. */

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import { run } from '../../scripts/demo/support/programs.ts';
import { operator, Scene, vendor } from '../publisher/support.ts';
import { temporaryHome } from './support.ts';

t.setTimeout(600_000);

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
await writeFile(scene.at('edu.js'), 'a driver\n');
await vendor(...scene.publishing('edu.js', '1.0.0', ...scene.root));
await scene.admit('other', 3);
mkdirSync(scene.at('work'));
// The service answers before it has cleared away what it staged (ADR 0045).
while (readdirSync(scene.at('repo', 'private', 'staging')).length > 0) await setTimeout(10);

/**
 * Every file of the repository, by its digest and the time of its last change. The database is left
 * out: the service that runs beside writes there by itself, by the clock.
 */
function everything(folder = scene.at('repo')): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || entry.name.startsWith('state.sqlite')) continue;
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex');
    files.set(path, `${digest} ${statSync(path).mtimeMs}`);
  }
  return files;
}

interface Done {
  readonly exit: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the documents hold is what is tested
  readonly data: any;
  readonly error?: { readonly code: string; readonly message: string };
  readonly stderr: string;
}

async function drill(...more: string[]): Promise<Done> {
  const place = ['--dir', scene.at('repo'), '--work', scene.at('work')];
  const ran = await run('ironport-repo', ['drill', ...place, '--json', ...more]);
  return { ...ran, ...JSON.parse(ran.stdout) };
}

const keys = (...names: string[]): string[] =>
  names.flatMap((name) => ['--key', scene.at(`${name}.json`)]);

t.test('three thefts, recovered from, beside a service that runs', async (t) => {
  const before = everything();
  const { data, exit } = await drill(...keys('r1', 't1'), '--yes');
  t.equal(exit, 0);
  t.strictSame(
    data.rehearsals.map((one: { scenario: string }) => one.scenario),
    ['online-key', 'vendor-key', 'server-disk'],
  );
  for (const { scenario, recovered, checks, steps, seconds } of data.rehearsals) {
    t.equal(recovered, true, scenario);
    t.ok(seconds > 0 && steps.length >= 4, `${scenario}: it was measured`);
    for (const { what, ok, detail } of checks) t.ok(ok, `${scenario}: ${what}: ${detail}`);
    t.ok(
      checks.some(({ what }: { what: string }) => what === 'a host that begins at root 1'),
      'the client looked from root 1',
    );
  }
  const [online, acme, disk] = data.rehearsals;
  t.match(acme, { vendor: 'acme' });
  for (const { checks, steps } of [online, disk]) {
    t.match(steps.at(-2).command, /^ironport-repo submit /);
    const what = checks.map((check: { what: string }) => check.what);
    t.ok(what.includes('the host that was misled, after') && what.includes('the thief, after'));
  }
  t.strictSame(everything(), before, 'not a byte of the repository was touched');
  t.strictSame(readdirSync(scene.at('work')), [], 'and what was signed is gone');
});

t.test('one of them alone, and what it cannot begin with', async (t) => {
  const before = everything();
  const one = await drill(...keys('t1'), '--only', 'vendor-key', '--vendor', 'acme', '--yes');
  t.match(one.data.rehearsals, [{ scenario: 'vendor-key', vendor: 'acme', recovered: true }]);
  const text = await run('ironport-repo', [
    ...['drill', '--dir', scene.at('repo'), '--work', scene.at('work'), '--yes'],
    ...[...keys('r1'), '--only', 'server-disk'],
  ]);
  t.match(text.stdout, /the disk of the service is stolen +recovered +\d+\.\d s +\d commands/);
  t.match(text.stdout, /ok +server-disk: the thief, after: /);
  const refused: [string, string[], string][] = [
    ['without keys', ['--yes'], 'E_USAGE'],
    ['with keys of targets alone', [...keys('t1'), '--yes'], 'E_USAGE'],
    ['by nobody', keys('r1', 't1'), 'E_USAGE'],
    ['of another theft', [...keys('r1', 't1'), '--only', 'bicycle', '--yes'], 'E_USAGE'],
    [
      'of a vendor without a role',
      [...keys('t1'), '--only', 'vendor-key', '--vendor', 'other', '--yes'],
      'E_NOT_FOUND',
    ],
  ];
  for (const [name, argv, code] of refused) t.equal((await drill(...argv)).error?.code, code, name);
  t.strictSame(everything(), before);
  t.strictSame(readdirSync(scene.at('work')), [], 'nothing is left, of failures neither');
});

t.test('a repository that is damaged is not called recovered', async (t) => {
  const { targets } = JSON.parse(readFileSync(scene.at('repo/tree/metadata/1.acme.json'), 'utf8'))
    .signed as { targets: Record<string, unknown> };
  t.ok(Object.keys(targets).length > 0);
  const [name] = readdirSync(scene.at('repo/tree/targets/acme/edu/1.0.0'));
  const victim = scene.at('repo/tree/targets/acme/edu/1.0.0', name as string);
  const bytes = readFileSync(victim);
  await writeFile(victim, 'something else');
  const bad = await drill(...keys('r1'), '--only', 'online-key', '--yes');
  t.equal(bad.exit, 6);
  t.match(bad.data.rehearsals, [{ recovered: false }]);
  await writeFile(victim, bytes);
  const { data } = await operator('fsck', '--dir', scene.at('repo'));
  t.ok(data, 'and it is whole again');
});
