/** A front that is anybody's: nothing is gained by it, and others are served. */

import { spawn, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { Helper } from '../../agent/helper/helper.ts';
import { Holders } from '../../agent/helper/holders.ts';
import { LogCounter } from '../../agent/helper/log-counts.ts';
import { Spool } from '../../agent/helper/spool.ts';
import { Pace, Turns } from '../../agent/helper/turns.ts';
import { Verdicts } from '../../agent/helper/verdicts.ts';
import { FrameReader, frameOf } from '../../agent/wire/frame.ts';
import { formatRequest, parseRequest } from '../../agent/wire/request.ts';
import { utf8 } from '../../shared/bytes.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import {
  linesOf,
  operators,
  putPolicy,
  putRelease,
  raw,
  type Served,
  startHelper,
} from './helper-support.ts';
import { becoming } from './other-user.ts';
import { agent, BDF, NAME, POLICY, refused, type Scene, scene, stateOf } from './support.ts';

const isRoot = process.getuid?.() === 0;
const request = (command: string, words: string[] = [], options: object = {}): string =>
  JSON.stringify({ schema: 'ironport-agent.request/v1', command, arguments: words, options });

/** Fails unless the helper serves, and what it keeps is as it was. */
async function unmoved(
  t: Test,
  place: Scene,
  served: Served,
  before: Record<string, string>,
  name: string,
): Promise<void> {
  t.equal((await served.via('status')).exit, 0, `${name}: others are served`);
  t.same(stateOf(place.state), before, `${name}: nothing was gained`);
}

t.test('messages that are no requests', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const before = stateOf(place.state);
  const good = request('status');
  const bad: readonly (readonly [string, string | Uint8Array])[] = [
    ['no JSON', 'status'],
    ['nested', '['.repeat(8000)],
    [
      'nested within a request',
      good.replace('"options":{}', `"options":${'{"a":'.repeat(8)}1${'}'.repeat(8)}`),
    ],
    ['a key twice', good.replace('"command"', '"command":"status","command"')],
    ['bytes after it', `${good} x`],
    ['not UTF-8', Buffer.concat([utf8(good.slice(0, -1)), Buffer.from([0xff, 0x7d])])],
    ['a field that is none', good.replace('"options"', '"state":"/etc","options"')],
    ['another schema', good.replace('request/v1', 'request/v2')],
    ['no options', good.replace(',"options":{}', '')],
    ['a command that may not be asked', request('recover')],
    ['one of the prototype', request('constructor')],
    ['an option of the prototype', good.replace('"options":{}', '"options":{"__proto__":"x"}')],
    ['the enforcing of quarantine', request('quarantine enforce')],
    ['by force', request('quarantine enter', [], { device: BDF, reason: 'x', force: true })],
    ['the tomb', request('quarantine enter', [], { device: BDF, reason: 'x', level: 'tomb' })],
    ['a state', request('apply', [NAME], { device: BDF, state: '/tmp' })],
    ['a policy', request('apply', [NAME], { device: BDF, policy: '/etc/passwd' })],
    ['a root', request('accept', ['edu'], { root: '/etc/passwd' })],
    ['a switch that is a word', request('apply', [NAME], { device: BDF, hold: 'yes' })],
    ['a switch that is off', request('apply', [NAME], { device: BDF, hold: false })],
    ['no device', request('apply', [NAME])],
    ['a device that is none', request('release', [], { device: '../../etc' })],
    ['a driver that is none', request('apply', ['../../../etc/passwd'], { device: BDF })],
    ['too many words', request('apply', [NAME, NAME], { device: BDF })],
    ['too few', request('apply', [], { device: BDF })],
    ['a word that is none', JSON.stringify({ ...JSON.parse(good), arguments: [1] })],
    ...['', '.', '..', '../x', '/etc', 'a/b', 'a\0b', '-x', '.hidden', `a${'b'.repeat(200)}`].map(
      (entry) =>
        [`the entry ${JSON.stringify(entry.slice(0, 9))}`, request('accept', [entry])] as const,
    ),
  ];
  for (const [name, message] of bad) {
    const { outcome, exit } = await served.send(message);
    const code = 'error' in outcome ? outcome.error.code : 'nothing was refused';
    t.match(code, /^E_(JSON|SCHEMA|NAME|USAGE|TOO_LARGE)$/, name);
    t.not(exit, 0, name);
  }
  const whole = await served.send(good);
  t.equal(whole.exit, 0, 'control: the same without what is wrong');
  await unmoved(t, place, served, before, 'all of them');
});

t.test('half, huge, empty and slow messages end their own connection', async (t) => {
  const place = await scene(t);
  const { path, stop } = await quickHelper(t, place);
  const ends: readonly (readonly [string, (socket: Socket) => void])[] = [
    ['nothing, and then its end', (socket) => socket.end()],
    ['half a length', (socket) => socket.end(Buffer.from([0, 0]))],
    ['half a message', (socket) => socket.end(frameOf(utf8(request('status'))).subarray(0, 40))],
    ['a huge length', (socket) => socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))],
    ['one byte too long', (socket) => socket.write(lengthOf(WIRE_LIMITS.request + 1))],
    ['no byte', (socket) => socket.write(lengthOf(0))],
    ['two messages', (socket) => socket.write(Buffer.concat([frame(), frame()]))],
    ['silence', () => {}],
    ['half a message, and then silence', (socket) => socket.write(frame().subarray(0, 40))],
  ];
  for (const [name, act] of ends) {
    const { socket, closed } = raw(path);
    act(socket);
    await closed;
    t.pass(`${name}: it was closed`);
    const words = ['status', '--via', path];
    t.equal((await agent(...words)).exit, 0, `${name}: others are served`);
  }
  await stop();
  const dropped = linesOf(place).filter(({ command }) => command === 'connection');
  t.ok(dropped.some(({ verdict }) => verdict === 'E_TOO_LARGE'));
  t.ok(dropped.some(({ verdict }) => verdict === 'E_SLOW'));
  t.ok(dropped.length < 12, 'a few lines');
});

const frame = (): Uint8Array => frameOf(utf8(request('status')));

function lengthOf(length: number): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(length);
  return head;
}

/** A helper that waits for a message a tenth of a second: what is slow is so by that. */
async function quickHelper(t: Test, place: Scene) {
  const state = new Agent({ state: place.state });
  const verdicts = new Verdicts(state, (text) => t.fail(text));
  const path = join(place.folder, 'quick.sock');
  const ui = {
    stage() {},
    note() {},
    line() {},
    warn() {},
    progress: () => ({ advance() {}, done() {} }),
  };
  const status = (await import('../../agent/commands/status.ts')).statusCommand;
  const served = await Helper.start({
    ...{ agent: state, verdicts, socket: path, seconds: 0.1 },
    users: new Set([process.getuid?.() ?? 0]),
    own: {
      options: { state: place.state, 'sysfs-root': place.sysfs },
      ...{ env: {}, ui, signal: new AbortController().signal },
    },
    commands: new Map([[status.name, status]]),
    spool: new Spool(place.folder),
    holders: new Holders({ program: ['/none'], env: {}, onSaid() {} }),
    counter: new LogCounter(state.audit.path),
  });
  const stop = async (): Promise<void> => {
    await served.close();
    await verdicts.settled();
  };
  t.teardown(stop);
  return { path, stop };
}

t.test('connections that stay open take their own places, and a flood is refused', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const before = stateOf(place.state);
  const held = Array.from({ length: WIRE_LIMITS.connectionsOfUser }, () => raw(served.socket));
  await Promise.all(held.map(({ socket }) => new Promise((done) => socket.once('connect', done))));
  const more = raw(served.socket);
  await more.closed;
  t.pass('one more is closed at once');
  for (const { socket } of held) socket.destroy();
  await Promise.all(held.map(({ closed }) => closed));
  const flood = Array.from({ length: 200 }, () => served.send(request('list')).catch((e) => e));
  const answers = await Promise.all(flood);
  const served_ = answers.filter((one) => 'exit' in one && one.exit === 0).length;
  t.ok(served_ > 0 && served_ < 200, `${served_} of 200 were served`);
  await unmoved(t, place, served, before, 'a flood');
  await served.stop();
  const lines = linesOf(place).filter(({ event }) => event === 'requests');
  t.ok(lines.length < 40, `${lines.length} lines`);
});

t.test('of one user so many wait, and another one is behind no more than that', async (t) => {
  const turns = new Turns();
  const order: string[] = [];
  let release = (): void => {};
  const first = turns.run(1, () => new Promise<void>((done) => (release = done)));
  const of = (user: number, name: string, isUrgent = false) =>
    turns.run(user, async () => void order.push(name), isUrgent);
  const waiting = Array.from({ length: WIRE_LIMITS.waiting }, (_, i) => of(1, `a${i}`));
  await t.rejects(of(1, 'too many'), { code: 'E_TRY_AGAIN' });
  const other = of(2, 'b');
  const urgent = of(2, 'brake', true);
  release();
  await Promise.all([first, ...waiting, other, urgent]);
  t.same(order, ['brake', ...waiting.map((_, i) => `a${i}`), 'b']);
  await turns
    .run(1, async () => {
      throw new Error('no');
    })
    .catch(() => {});
  await of(1, 'c');
  t.equal(order.at(-1), 'c', "one that failed is in nobody's way");
});

t.test('a holder that says nothing keeps nobody else waiting', async (t) => {
  const said: string[] = [];
  const script =
    "new (require('node:net').Socket)({ fd: 3 }).on('close', () => process.exit()).resume()";
  const holders = new Holders({
    program: [process.execPath, '-e', script, '--'],
    env: {},
    onSaid: (device, text) => said.push(`${device}: ${text}`),
    seconds: 0.05,
  });
  await t.rejects(holders.hold('x', BDF, [NAME]), { code: 'E_SLOW' });
  t.equal(holders.list()[0]?.device, BDF, 'it is there still');
  await t.rejects(holders.hold('x', BDF, [NAME]), { code: 'E_CONFLICT' });
  await holders.end();
  t.same(holders.list(), [], 'and ends with the helper');
  t.match(said, [`${BDF}: its holder ended with status 0`]);
});

t.test('what nobody waits for takes no time of its user', async (t) => {
  const pace = new Pace();
  await Promise.all(Array.from({ length: 10_000 }, () => pace.turn(() => false)));
  await pace.turn(() => true);
  t.pass('it came to its turn');
});

t.test('entries of the spool that are something else', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { spool, via } = served;
  place.repository.handOver(join(place.folder, 'outside'));
  await putPolicy(served, 'policy.json');
  renameSync(join(spool, 'policy.json'), join(place.folder, 'outside.json'));
  const before = stateOf(place.state);

  symlinkSync(join(place.folder, 'outside'), join(spool, 'link'));
  symlinkSync(join(place.folder, 'outside.json'), join(spool, 'link.json'));
  symlinkSync('/dev/zero', join(spool, 'zero'));
  spawnSync('mkfifo', [join(spool, 'pipe')]);
  mkdirSync(join(spool, 'folder'));
  spawnSync('mkfifo', [join(spool, 'folder', 'record.json')]);
  writeFileSync(join(spool, 'file'), '{}');
  writeFileSync(join(spool, 'huge'), Buffer.alloc(3 * 2 ** 20, ' '));
  mkdirSync(join(spool, 'linked'));
  symlinkSync(join(place.folder, 'outside', 'record.json'), join(spool, 'linked', 'record.json'));
  for (const entry of [
    'link',
    'link.json',
    'zero',
    'pipe',
    'file',
    'folder',
    'linked',
    'nothing',
  ]) {
    const answer = await via('accept', entry);
    t.match(answer.error?.code, /^E_(IO|NOT_FOUND|JSON|SCHEMA)$/, `accept ${entry}`);
    t.notMatch(JSON.stringify(answer.error), '/proc/self', `accept ${entry}: no path of ours`);
  }
  for (const entry of ['link', 'link.json', 'zero', 'pipe', 'folder', 'huge', 'nothing', 'file'])
    for (const words of [
      ['policy', 'accept'],
      ['quarantine', 'release'],
    ]) {
      const answer = await via(...words, entry);
      t.match(
        answer.error?.code,
        /^E_(IO|NOT_FOUND|JSON|SCHEMA|TOO_LARGE)$/,
        `${words.join(' ')} ${entry}`,
      );
    }
  const left = stateOf(place.state);
  delete left['from-spool'];
  // That operators signed it needs no hand-over.
  delete left['trust/policy-floor.json'];
  t.same(left, before, 'nothing was gained');
  t.equal((await via('status')).exit, 0);
  rmSync(join(spool, 'link'));
  renameSync(join(place.folder, 'outside'), join(spool, 'link'));
  t.equal((await via('accept', 'link')).exit, 0, 'control: the folder itself is taken');
});

t.test('an entry that is swapped while it is asked for', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { spool, via } = served;
  await putPolicy(served, 'good.json', { version: 2 });
  await putPolicy(served, 'old.json', { version: 1 });
  await via('policy', 'accept', 'good.json');
  const before = stateOf(place.state);
  const swapper = spawn(
    process.execPath,
    [
      '-e',
      `const { renameSync, symlinkSync, rmSync, copyFileSync } = require('node:fs');
     for (;;) for (const act of [
       () => copyFileSync('old.json', 'entry.json'),
       () => { symlinkSync('/etc/passwd', 'x'); renameSync('x', 'entry.json'); },
       () => rmSync('entry.json'),
     ]) try { act(); } catch {}`,
    ],
    { cwd: spool, stdio: 'ignore' },
  );
  try {
    for (let i = 0; i < 20; i++) {
      const { error } = await via('policy', 'accept', 'entry.json');
      t.match(error?.code, /^E_(ROLLBACK|IO|NOT_FOUND|JSON|SCHEMA)$/);
    }
  } finally {
    swapper.kill('SIGKILL');
  }
  const left = stateOf(place.state);
  delete left['from-spool'];
  delete before['from-spool'];
  t.same(left, before);
});

t.test('what was good once is of no use again', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { via } = served;
  await putPolicy(served, 'one.json', { version: 1 });
  await putPolicy(served, 'two.json', { version: 2, change: { allow: [] } });
  await via('policy', 'accept', 'one.json');
  await via('apply', NAME, '--device', BDF);
  const first = await via('quarantine', 'enter', '--device', BDF, '--reason', 'it lies');
  const signed = await putRelease(place, served, first.data.incident);
  t.equal((await via('quarantine', 'release', signed)).exit, 0, 'control: it is released by it');
  refused(t, await via('quarantine', 'release', signed), 'E_REPLAY', 'the same once more');
  await via('quarantine', 'enter', '--device', BDF, '--reason', 'again');
  refused(t, await via('quarantine', 'release', signed), 'E_REPLAY', 'and after another incident');

  const { incidents } = (await via('quarantine', 'list')).data;
  const [{ incident }] = incidents;
  for (const [name, code, options] of [
    ['by one operator', 'E_THRESHOLD', { by: operators.slice(0, 1) }],
    ['for another device', 'E_NOT_RELEASED', { device: '0000:00:06.0' }],
    ['for another host', 'E_NOT_RELEASED', { host: '0'.repeat(32) }],
    ['for ever', 'E_NOT_RELEASED', { seconds: 10 * 86_400 }],
    ['that is over', 'E_EXPIRED', { seconds: -1 }],
  ] as const)
    refused(
      t,
      await via('quarantine', 'release', await putRelease(place, served, incident, options)),
      code,
      `a release ${name}`,
    );
  t.equal((await via('quarantine', 'list')).data.incidents.length, 1, 'it stays there');

  await via('policy', 'accept', 'two.json');
  refused(t, await via('policy', 'accept', 'one.json'), 'E_ROLLBACK', 'an old policy');
});

t.test('a device that no operator signed for', async (t) => {
  const place = await scene(t);
  const served = await startHelper(t, place);
  const { via } = served;
  const elsewhere = [{ vendor: '0x8086', device: '0x10c9' }];
  const [entry] = JSON.parse(readFileSync(POLICY, 'utf8')).allow;
  await putPolicy(served, 'other.json', { change: { allow: [{ ...entry, devices: elsewhere }] } });
  await via('policy', 'accept', 'other.json');
  refused(t, await via('apply', NAME, '--device', BDF), 'E_POLICY', 'not in the policy');
  const theirs = { change: { allow: [{ ...entry, namespace: 'other' }] }, version: 2 };
  await putPolicy(served, 'theirs.json', theirs);
  await via('policy', 'accept', 'theirs.json');
  refused(t, await via('apply', NAME, '--device', BDF), 'E_POLICY', 'another namespace');
  for (const device of readdirSync(join(place.sysfs, 'bus/pci/devices')).filter((d) => d !== BDF))
    t.not((await via('apply', NAME, '--device', device)).exit, 0, device);
  refused(
    t,
    await via('quarantine', 'enter', '--device', BDF, '--reason', 'x'),
    'E_NOT_AUTHORISED',
    "a device of the host's",
  );
});

t.test(
  'users that the helper does not know',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const place = await scene(t);
    const served = await startHelper(t, place);
    spawnSync('chmod', ['755', place.folder]);
    const script = (uid: number): string => `
    ${becoming(uid)}
    const socket = require('node:net').createConnection(process.argv[1]);
    let got = 0;
    socket.on('connect', () => socket.write(Buffer.from(process.argv[2], 'hex')));
    socket.on('data', (piece) => (got += piece.length));
    socket.on('error', () => {});
    socket.on('close', () => console.log(got));`;
    const hex = Buffer.from(frame()).toString('hex');
    const ask = (uid: number) =>
      new Promise<string>((resolve) => {
        const child = spawn(process.execPath, ['-e', script(uid), served.socket, hex], {
          cwd: '/',
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let said = '';
        child.stdout.on('data', (piece) => (said += piece));
        child.once('close', () => resolve(said.trim()));
      });
    t.equal(await ask(65_534), '0', 'not a byte');
    t.not(await ask(0), '0', 'control: the same by a user that it knows');
    await served.stop();
    const line = linesOf(place).find(({ verdict }) => verdict === 'E_UNAUTHENTICATED');
    t.match(line, { event: 'requests', command: 'connection', user: null, count: 1 });
  },
);

t.test('a message in any pieces is the same message', async (t) => {
  const message = utf8(request('status'));
  for (const size of [1, 2, 3, 5, 64]) {
    const reader = new FrameReader(WIRE_LIMITS.request);
    const whole = frameOf(message);
    let got: Uint8Array | undefined;
    for (let at = 0; at < whole.length; at += size)
      got = reader.push(whole.subarray(at, at + size));
    t.same(Buffer.from(got ?? []), Buffer.from(message), `pieces of ${size}`);
  }
  const asked = {
    command: 'apply',
    arguments: [NAME],
    options: { device: BDF, hold: true },
  } as const;
  t.same(parseRequest(formatRequest(asked)), asked);
  t.throws(() => formatRequest({ ...asked, command: 'recover' }), { code: 'E_USAGE' });
});
