// What a new operator of a host does wrong first, and what is said then: what happened, what to do, and
// that nothing was changed, before anybody is asked for anything.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t, { type Test } from 'tap';
import { readDevice } from '../../client/find/device.ts';
import { program } from '../../client/main.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { addProduct } from '../support/product.ts';
import { type Ran, runInProcess } from '../support/program.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

const NIC = 'acme/nic/1.0.0/nic.js';

async function scene(t: Test) {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addProduct(sim, [{ version: '1.0.0' }]);
  await addArtifact(sim, NIC, utf8('nic'));
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir({ 'root.json': Buffer.from(sim.roots.get(1) as Uint8Array) });
  const place = (...names: string[]): string => join(folder, ...names);
  const run = (...argv: string[]): Promise<Ran> =>
    runInProcess(program, argv, { HOME: folder, IRONPORT_STORE: place('store') });
  t.equal((await run(served.url, 'init', '--root', place('root.json'))).exit, 0);
  served.log.length = 0;
  return { url: served.url, log: served.log, place, run };
}

/** Each refusal has what to do in it. */
function refused(t: Test, { exit, stderr }: Ran, expected: number, ...texts: RegExp[]): void {
  const words = stderr.replace(/\s+/g, ' ');
  t.equal(exit, expected, words);
  t.match(words, / do: /, 'what to do');
  for (const text of texts) t.match(words, text);
}

t.test('a command that is misspelt behind an address is said as that', async (t) => {
  const { url, run, log } = await scene(t);
  refused(
    t,
    await run(url, 'get-verfied', EDU, 'x'),
    2,
    /unknown command 'get-verfied'/,
    /Did you mean get-verified/,
  );
  refused(t, await run(url, 'bundle'), 2, /bundle needs a verb/, /bundle create/);
  refused(t, await run(url, 'bundle', 'creat', 'x'), 2, /Did you mean bundle create/);
  refused(t, await run('/srv/tree', 'refresh'), 2, /an address when it has a ":"/, /file:\/\/\//);
  t.strictSame(log, []);
  t.equal((await run(url)).exit, 0, 'an address alone is still its index');
  t.equal((await run(url, '--all')).exit, 0);
});

t.test('a place that no file can have is refused before anybody is asked', async (t) => {
  const { url, run, log, place } = await scene(t);
  await mkdir(place('folder'));
  for (const words of [
    ['get-verified', EDU],
    ['get', EDU],
  ]) {
    refused(t, await run(url, ...words, place('none', 'x.js')), 4, /there is no folder .*none/);
    refused(t, await run(url, ...words, place('folder')), 6, /folder\/edu\.js/);
    for (const out of ['-', '/dev/stdout'])
      refused(t, await run(url, ...words, out), 2, /before the end was verified/);
  }
  refused(t, await run(url, 'bundle', 'create', place('none', 'x'), EDU), 4, /no folder/);
  refused(t, await run(url, 'bundle', 'create', '-', EDU), 2);
  refused(t, await run(url, 'get-all', place('root.json'), EDU), 18, /FOLDER comes before/);
  t.strictSame(log, []);
  t.notOk(existsSync('-'));
  t.strictSame(readdirSync(place('folder')), []);
});

t.test('a file that is another one is not blamed on who serves it', async (t) => {
  const { url, run, place } = await scene(t);
  t.equal((await run(url, 'get-verified', EDU, place('edu.js'))).exit, 0);
  await writeFile(place('edu.js'), 'another');
  const ran = await run(url, 'verify', place('edu.js'), '--as', EDU);
  refused(t, ran, 13, /edu\.js is not acme\/edu/, /another version of it, or was altered/);
  t.notMatch(ran.stderr, /mirror/);
});

t.test('what is not there, or is no such file, comes with a word of what to do', async (t) => {
  const { url, run, place } = await scene(t);
  refused(t, await run(url, 'verify', place('none'), '--as', EDU), 4, /check the path/);
  refused(t, await run('inspect', place('none')), 4);
  const file = pathToFileURL(place('root.json')).href;
  t.match((await run('inspect', file)).stdout, /TUF root/, 'a file URL is a URL, too');
  for (const url of ['file://elsewhere/x', 'file:///a%2Fb', 'file:'])
    refused(t, await run('inspect', url), url === 'file:' ? 6 : 2);
  await writeFile(place('words'), 'hello');
  refused(t, await run('inspect', place('words')), 9, /TUF metadata/);
  refused(
    t,
    await run(url, 'doctor', '--report', place('none', 'r.json')),
    6,
    /the folder that it is to be in/,
  );
  refused(
    t,
    await run(
      url.replace('http:', 'https:'),
      'init',
      '--trust-on-first-use',
      '--store',
      place('s2'),
    ),
    5,
  );
});

t.test('find does without the network what it did with it', async (t) => {
  const { url, run, log } = await scene(t);
  const argv = [url, 'find', '--device', 'PCI:0x1234:0x11e8'];
  const online = await run(...argv);
  t.equal(online.exit, 0, online.stderr);
  log.length = 0;
  const offline = await run(...argv, '--offline');
  t.equal(offline.stdout, online.stdout);
  t.strictSame(log, []);
});

t.test('a device of this machine is read as its kernel shows it', async (t) => {
  const folder = '/sys/bus/pci/devices';
  const devices = await readdir(folder).catch(() => []);
  if (devices.length === 0) return void t.pass('there is none here');
  for (const name of devices.slice(0, 4)) {
    const { vendor } = await readDevice(name, '/sys');
    const text = await readFile(join(folder, name, 'vendor'), 'utf8');
    t.equal(vendor, Number(text.trim()), name);
  }
});

t.test('a store that cannot be written to is good for what is stored', async (t) => {
  const { url, run, place } = await scene(t);
  t.equal((await run(url, 'get-verified', EDU, place('edu.js'))).exit, 0);
  const disk = place('disk');
  await mkdir(disk);
  const mount = (...argv: string[]): boolean => spawnSync('mount', [...argv, disk]).status === 0;
  if (!mount('-t', 'tmpfs', '-o', 'size=4m', 'tmpfs')) return void t.pass('no right to mount');
  t.teardown(() => spawnSync('umount', [disk]));
  await cp(place('store'), join(disk, 'store'), { recursive: true });
  t.ok(mount('-o', 'remount,ro'));
  const store = ['--store', join(disk, 'store')];
  for (const argv of [
    ['status'],
    ['index', '--offline'],
    ['verify', place('edu.js'), '--as', EDU],
    ['get-verified', EDU, place('edu.js'), '--offline'],
  ]) {
    const ran = await run(url, ...argv, ...store);
    t.equal(ran.exit, 0, `${argv[0]}: ${ran.stderr}`);
  }
  const ran = await run(url, 'get-verified', EDU, join(disk, 'x.js'));
  refused(t, ran, 6, /read-only/, /choose a place/);
});
