/** A holder that cannot be started costs its own request, and no helper. */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { Holders } from '../../agent/helper/holders.ts';
import { endLeftOver } from '../../agent/helper/left-over.ts';
import { type Performing, perform } from '../../agent/helper/perform.ts';
import { processesIn } from '../../agent/host/left-groups.ts';
import { NAME } from './support.ts';

const DEVICE = '0000:00:05.0';

t.test('without descriptors the helper goes on, and the device can be held later', (t) => {
  const child = fileURLToPath(new URL('holders-child.ts', import.meta.url));
  const words = ['-c', 'ulimit -n 128; exec "$0" "$1"', process.execPath, child];
  const { status, stdout, stderr } = spawnSync('/bin/sh', words, { encoding: 'utf8' });
  t.equal(status, 0, stderr);
  t.same(JSON.parse(stdout), ['E_INTERNAL', 0, 'held']);
  t.end();
});

t.test('a program that is not there', async (t) => {
  const said: string[] = [];
  const holders = new Holders({
    ...{ program: ['/nonexistent/program'], env: {} },
    onSaid: (_, text) => said.push(text),
  });
  await t.rejects(holders.hold('schema', DEVICE, []), { code: 'E_INTERNAL' });
  await holders.end();
  t.same(holders.list(), []);
});

t.test('a holder that died is seen to before its device is held anew', async (t) => {
  const script = `
    require('node:fs').writeSync(3, '{}\\n');
    setInterval(() => {}, 1000);`;
  let done = (): void => {};
  const gone: string[] = [];
  const said: string[] = [];
  const holders = new Holders({
    ...{ program: [process.execPath, '-e', script, '--'], env: {} },
    onSaid: (_, text) => said.push(text),
    onGone: (device) => {
      gone.push(device);
      return new Promise((resolve) => (done = resolve));
    },
  });
  await holders.hold('schema', DEVICE, []);
  t.strictSame(gone, []);
  const [{ pid } = { pid: 0 }] = holders.list();
  process.kill(pid, 'SIGKILL');
  while (gone.length === 0) await setTimeout(5);
  t.strictSame(gone, [DEVICE], 'nobody had to ask');
  await t.rejects(holders.hold('schema', DEVICE, []), { code: 'E_CONFLICT' });
  done();
  while (holders.list().length > 0) await setTimeout(5);
  t.match(said, [/SIGKILL/]);
  const { outcome } = await holders.hold('schema', DEVICE, []);
  t.ok('data' in outcome, 'and then it can be');
  const ending = holders.list().map((one) => process.kill(one.pid, 'SIGKILL'));
  while (gone.length === 1) await setTimeout(5);
  done();
  await holders.end();
  t.equal(ending.length, 1);
});

t.test('what outlived its holder is ended, and what runs is counted', async (t) => {
  const OTHER = '0000:00:06.0';
  const group = (procs: string) => ({
    ...{ 'cgroup.kill': '', 'cgroup.events': 'populated 0\n', 'cgroup.procs': procs },
  });
  const folder = t.testdir({
    state: {},
    groups: {
      [`ironport-${DEVICE}-driver`]: group(`${process.pid}\n`),
      [`ironport-${OTHER}-broker`]: group('1\n2\n'),
      helper: group('3\n'),
    },
  });
  const cgroup = join(folder, 'groups');
  t.strictSame(processesIn(cgroup), [
    { device: DEVICE, of: 'driver', pid: process.pid },
    { device: OTHER, of: 'broker', pid: 1 },
    { device: OTHER, of: 'broker', pid: 2 },
  ]);
  const said: string[] = [];
  const agent = new Agent({ state: join(folder, 'state') });
  await endLeftOver(agent, cgroup, DEVICE, (_, text) => said.push(text));
  const killed = (name: string) => readFileSync(join(cgroup, name, 'cgroup.kill'), 'utf8');
  t.equal(killed(`ironport-${DEVICE}-driver`), '1');
  t.equal(killed(`ironport-${OTHER}-broker`), '', 'and of no other device');
  // Plain folders are not removed: nobody takes that for an end.
  t.match(said, [/could not be ended/]);
  await endLeftOver(agent, join(folder, 'state', '..', 'none'), DEVICE, (_, text) =>
    said.push(text),
  );
  t.equal(said.length, 1, 'where nothing ever ran, nothing is left');
});

t.test('what a holder says is not cut within a character', async (t) => {
  const said = { no: 'é'.repeat(300_000) };
  const script = `
    const socket = new (require('node:net').Socket)({ fd: 3 });
    socket.write(JSON.stringify({ no: 'é'.repeat(300_000) }) + '\\n');
    socket.on('close', () => process.exit()).resume();`;
  const holders = new Holders({
    ...{ program: [process.execPath, '-e', script, '--'], env: {} },
    onSaid: () => {},
  });
  const { outcome } = await holders.hold('schema', DEVICE, []);
  t.ok('data' in outcome && JSON.stringify(outcome.data) === JSON.stringify(said), 'every letter');
  await holders.end();
});

t.test('a holder is told whose signatures count', async (t) => {
  const told: (readonly string[])[] = [];
  const doing = {
    agent: { state: '/state' },
    own: { options: { 'fleet-keys': '/keys.json', cgroup: '/group' } },
    commands: new Map([['apply', { schema: 'schema' }]]),
    holders: {
      hold: async (_schema: string, _device: string, words: readonly string[]) => {
        told.push(words);
        return { exit: 0, schema: 'schema', outcome: { data: null, text: '' } };
      },
    },
  } as unknown as Performing;
  const request = { command: 'apply', arguments: [NAME], options: { device: DEVICE, hold: true } };
  await perform(doing, request as never, { pid: 1, user: 1 });
  t.match(told[0]?.join(' '), ' --fleet-keys /keys.json');
  t.notMatch(told[0]?.join(' '), ' --policy ');
});
