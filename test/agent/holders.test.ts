/** A holder that cannot be started costs its own request, and no helper. */

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Holders } from '../../agent/helper/holders.ts';
import { type Performing, perform } from '../../agent/helper/perform.ts';
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
