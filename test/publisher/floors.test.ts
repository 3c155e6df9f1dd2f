/** A vendor raises the generation floor of its product, alone and with a build, and hosts obey. */

import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { program as clientProgram } from '../../client/main.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { parseVendorFloors, raisedFloorsField } from '../../shared/tuf/vendor-floors.ts';
import { codeOf } from '../ceremony/support.ts';
import { run } from '../cli/support.ts';
import { CEILING, ironport, Scene, vendor } from './support.ts';

t.setTimeout(600_000);
const folder = mkdtempSync(join(tmpdir(), 'ironport-floors-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const scene = new Scene(folder);
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
const at = () => ['--dir', scene.at('acme'), '--repository', scene.url];
const raise = (product: string, generation: string) =>
  ironport('raise-floor', product, generation, ...at());

const published = async () =>
  parseTargets(await readFile(scene.at('acme', 'signed', 'published.json')), 'acme');
const floors = async () =>
  Object.fromEntries(parseVendorFloors((await published()).envelope.signed, 'acme'));

/** A build of that generation, with bytes of its own. */
async function build(version: string, generation: number, ...more: string[]) {
  await writeFile(scene.at('edu.js'), `the driver, ${version}`);
  await writeFile(scene.at('ceiling.json'), JSON.stringify({ ...CEILING, generation }));
  return await ironport(...scene.publishing('edu.js', version, ...more));
}

/** What the client of a new host says of a version: `ok`, or the code of its refusal. */
async function host(version: string): Promise<string> {
  const store = mkdtempSync(join(folder, 'store-'));
  const common = ['--store', store, '--json'];
  const root = ['--root', scene.at('signed', '1.root.json')];
  const ran = await run(clientProgram, [
    ...[new URL(scene.url).host, 'get-verified', `acme/edu/${version}/edu.js`],
    ...[join(store, 'out'), ...root, ...common],
  ]);
  return ran.exit === 0 ? 'ok' : JSON.parse(ran.stdout).error.code;
}

t.test('what is no floor is refused before anything is signed', async (t) => {
  t.equal((await build('1.0.0', 1, ...scene.root)).exit, 0);
  const before = await readFile(scene.at('acme', 'signed', 'last.json'));
  for (const wrong of ['0', '1.5', '-1', '01', 'x', '', '1e3', '1099511627777', '9'.repeat(40)])
    t.equal((await raise('edu', wrong)).error?.code, 'E_USAGE', wrong);
  for (const wrong of ['', '..', 'edu/1.0.0', '/edu', 'acme/edu', 'a\nb'])
    t.equal((await raise(wrong, '2')).error?.code, 'E_NAME', JSON.stringify(wrong));
  t.same(await readFile(scene.at('acme', 'signed', 'last.json')), before);
});

t.test('a floor that no listed version reaches is refused by the repository', async (t) => {
  const { error } = await raise('edu', '2');
  t.equal(error?.code, 'E_POLICY');
  t.same(await floors(), {});
  t.equal(await host('1.0.0'), 'ok');
});

t.test('with a build: hosts refuse every older one', async (t) => {
  t.match((await build('1.1.0', 2)).data, { published: true });
  t.same(await floors(), {}, 'nothing rises unasked');
  t.match((await build('1.2.0', 2, '--raise-floor')).data, { published: true });
  t.same(await floors(), { 'acme/edu': 2 });
  t.equal(await host('1.0.0'), 'E_REVOKED');
  t.equal(await host('1.1.0'), 'ok');
  t.equal(await host('1.2.0'), 'ok');
});

t.test('alone: one line in the role, once', async (t) => {
  t.match((await build('1.3.0', 3)).data, { published: true });
  const { version } = await published();
  t.match((await raise('edu', '3')).data, {
    ...{ published: true, component: 'acme/edu', floor: 3, was: 2, version: version + 1 },
  });
  t.same(await floors(), { 'acme/edu': 3 });
  t.equal(await host('1.2.0'), 'E_REVOKED');
  t.equal(await host('1.3.0'), 'ok');
  t.equal((await raise('edu', '3')).error?.code, 'E_NOTHING_TO_DO');
  t.equal((await raise('edu', '2')).error?.code, 'E_ROLLBACK');
  t.same((await published()).version, version + 1);
});

t.test('a product of which nothing is listed is ended for good', async (t) => {
  t.match((await raise('gone', '7')).data, { published: true, was: 0 });
  t.same(await floors(), { 'acme/edu': 3, 'acme/gone': 7 });
  const { error } = await ironport(
    ...['publish', scene.at('edu.js'), '--product', 'gone', '--version', '1.0.0', ...at()],
    ...['--ceiling', scene.at('ceiling.json')],
  );
  t.equal(error?.code, 'E_REVOKED', 'a build of a lower generation does not come in');
});

t.test('in a role that is split, floors stand in the own role', async (t) => {
  t.match((await vendor('split', '--bins', '4', ...at())).data, { bins: 4 });
  t.same(await floors(), { 'acme/edu': 3, 'acme/gone': 7 }, 'they outlive the division');
  const ran = await build('1.4.0', 4, '--raise-floor');
  t.match(ran.data, { published: true });
  t.ok(ran.data.bins.length > 0, 'the build stands in its bins');
  t.same(await floors(), { 'acme/edu': 4, 'acme/gone': 7 });
  t.equal(await host('1.3.0'), 'E_REVOKED');
  t.equal(await host('1.4.0'), 'ok');
});

t.test('a field that holds no numbers is not guessed at', async (t) => {
  t.equal(await codeOf(() => raisedFloorsField({ edu: 3 }, new Map([['edu', 2]]))), 'E_ROLLBACK');
  t.same(raisedFloorsField({ edu: 3, net: 1 }, new Map([['net', 2]])), { edu: 3, net: 2 });
  t.same(raisedFloorsField({}, new Map([['__proto__', 2]])), { ['__proto__']: 2 });
});
