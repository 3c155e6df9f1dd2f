/** The programs of those who run a repository, over their command lines. */

import { spawn } from 'node:child_process';
import { appendFile, chmod, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { program } from '../../server/main.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { DAY } from '../../shared/time.ts';
import { type Ran, run } from '../cli/support.ts';
import { signedRoot, signedTargets, testOperators, testVendor } from '../support/repository.ts';
import { temporaryHome } from './support.ts';

const BIN = fileURLToPath(new URL('../../bin/ironport-repo.js', import.meta.url));

const repo = (...argv: string[]): Promise<Ran> => run(program, [...argv, '--json']);
const dataOf = (ran: Ran) => JSON.parse(ran.stdout).data;
const errorOf = (ran: Ran) => JSON.parse(ran.stdout).error;

/** Runs the program as a process until the test ends; resolves when it says that it serves. */
async function serving(t: Test, argv: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [BIN, ...argv], {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const exit = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const url = await new Promise<string | undefined>((resolve) => {
    child.stderr.on('data', (data) => {
      said += data;
      const match = /serving .* on (http:\/\/\S+)/.exec(said);
      if (match !== null) resolve(match[1]);
    });
    child.once('exit', () => resolve(undefined));
  });
  t.teardown(() => child.kill('SIGKILL'));
  return {
    url,
    said: () => said,
    pid: child.pid as number,
    kill: () => child.kill('SIGKILL'),
    async stop(): Promise<number | null> {
      child.kill('SIGTERM');
      return await exit;
    },
    exit,
  };
}

/** Signed files on the disk, as a ceremony leaves them. */
async function files(t: Test) {
  const home = temporaryHome(t);
  const operators = await testOperators(home);
  const now = systemClock();
  const at = (name: string): string => join(home, name);
  const write = async (name: string, bytes: Uint8Array): Promise<string> => {
    await writeFile(at(name), bytes);
    return at(name);
  };
  const acme = testVendor('acme');
  return {
    home,
    root: await write('1.root', await signedRoot(operators, 1, { expires: now + 300 * DAY })),
    targets: await write(
      '1.targets',
      await signedTargets(operators, 1, [], { expires: now + DAY }),
    ),
    next: await write(
      '2.targets',
      await signedTargets(operators, 2, [acme], { expires: now + DAY }),
    ),
  };
}

t.test('without a service, submit publishes by itself', async (t) => {
  const { home, root, targets, next } = await files(t);
  t.equal(errorOf(await repo('status', '--dir', home)).code, 'E_NO_PIN');
  const alone = await repo('submit', root, '--dir', home);
  t.equal(errorOf(alone).code, 'E_USAGE', 'root 1 alone is no repository');
  const first = await repo('submit', targets, root, '--dir', home);
  t.equal(first.exit, 0, first.stdout);
  t.match(dataOf(first), { state: 'published', by: 'this command', published: { snapshot: 1 } });
  const second = await repo('submit', next, '--dir', home);
  t.match(dataOf(second), { state: 'published', role: 'targets', version: 2 });
  const status = dataOf(await repo('status', '--dir', home));
  t.match(status, { service: null, vendors: [{ vendor: 'acme', version: 0 }] });
  t.equal(status.roles.length, 4);
  t.equal(errorOf(await repo('submit', next, '--dir', home)).code, 'E_CONFLICT');
  t.equal((await run(program, ['status', '--dir', home])).stdout.trim().split('\n').length, 7);
});

t.test('with a service, submit hands it over', async (t) => {
  const { home, root, targets, next } = await files(t);
  const service = await serving(t, ['127.0.0.1:0', home]);
  const url = service.url as string;
  const stranger = await repo('submit', root, targets, '--url', url);
  t.equal(errorOf(stranger).code, 'E_NO_PIN', 'a first root is only taken from the owner');
  const first = await repo('submit', root, targets, '--dir', home);
  t.match(dataOf(first), { state: 'published', by: 'service' });
  t.equal((await repo('submit', next, '--url', url)).exit, 0);
  t.equal((await fetch(`${url}/metadata/2.targets.json`)).status, 200);
  t.equal(dataOf(await repo('status', '--dir', home)).service, url);
  const other = await serving(t, ['127.0.0.1:0', home]);
  t.equal(await other.exit, 75, 'one writer');
  t.match(other.said(), /E_LOCKED/);
  t.equal(await service.stop(), 0);
  t.match(service.said(), /nothing is published yet/);
  t.notOk((await readdir(join(home, 'private'))).includes('service.json'));
  const gone = await repo('submit', next, '--url', url);
  t.equal(errorOf(gone).code, 'E_NETWORK');
});

t.test('after a kill, submit does not wait for the dead', async (t) => {
  const { home, root, targets, next } = await files(t);
  const service = await serving(t, ['127.0.0.1:0', 'serve', home]);
  t.equal((await repo('submit', root, targets, '--dir', home)).exit, 0);
  service.kill();
  await service.exit;
  t.match(dataOf(await repo('submit', next, '--dir', home)), { by: 'this command' });
});

t.test('start makes a development repository, once, and not in production', async (t) => {
  const home = temporaryHome(t);
  const argv = ['127.0.0.1:0', 'start', '--dir', home];
  const refused = await serving(t, argv, { NODE_ENV: 'production' });
  t.equal(await refused.exit, 2);
  t.same(await readdir(home), [], 'nothing was made');
  const first = await serving(t, argv);
  t.match(first.said(), /development repository: all of its keys/);
  t.equal((await fetch(`${first.url}/healthz`)).status, 200);
  t.equal(await first.stop(), 0);
  const second = await serving(t, argv);
  t.notMatch(second.said(), /development/);
  t.equal(await second.stop(), 0);
  const production = await serving(t, argv, { NODE_ENV: 'production' });
  t.equal(await production.exit, 2, 'nor are they used there');
  t.same(
    (await readdir(join(home, 'private/keys-dev'))).filter((name) => !/pub/.test(name)),
    [
      ...['renewal.json', 'root-1.json', 'root-2.json', 'root-3.json'],
      ...['security-1.json', 'security-2.json', 'security-3.json', 'targets-1.json'],
    ],
  );
});

t.test('fsck finds what was done to a tree', async (t) => {
  const { home, root, targets, next } = await files(t);
  await repo('submit', root, targets, '--dir', home);
  await repo('submit', next, '--dir', home);
  const whole = await repo('fsck', '--dir', home);
  t.equal(whole.exit, 0, whole.stdout);
  const at = (name: string): string => join(home, 'tree/metadata', name);
  await writeFile(at('.tmp-left'), 'x');
  await writeFile(join(home, 'tree/targets.txt'), 'x');
  const old = await readFile(at('1.snapshot.json'));
  await rm(at('1.snapshot.json'));
  await chmod(at('1.targets.json'), 0o644);
  await appendFile(at('1.targets.json'), ' x');
  const found = await repo('fsck', '--dir', home);
  t.equal(found.exit, 6);
  const places = dataOf(found).findings.map(({ at }: { at: string }) => at);
  for (const place of [
    'metadata/.tmp-left',
    'targets.txt',
    'metadata/1.snapshot.json',
    'metadata/1.targets.json',
  ])
    t.ok(places.includes(place), place);
  await writeFile(at('1.snapshot.json'), old);
  const rebuilt = await repo('fsck', '--dir', home, '--rebuild');
  t.equal(dataOf(rebuilt).indexed, 0);
});

t.test('a damaged database is put aside and made again', async (t) => {
  const { home, root, targets, next } = await files(t);
  await repo('submit', root, targets, '--dir', home);
  await writeFile(
    join(home, 'private/state.sqlite'),
    'this is no database, but long enough to be one',
  );
  t.equal(errorOf(await repo('submit', next, '--dir', home)).code, 'E_STORE');
  t.equal((await repo('fsck', '--dir', home, '--rebuild')).exit, 0);
  t.equal((await repo('submit', next, '--dir', home)).exit, 0);
});
