/** A helper that dies, a manager that keeps descriptors, and the helper that comes after. */

import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { storeBinding } from '../../agent/binding.ts';
import { DescriptorStore, Keeping } from '../../agent/helper/keeping.ts';
import { readBootId } from '../../agent/host/host-facts.ts';
import { libc } from '../../agent/host/libc.ts';
import { notify } from '../../agent/host/notify.ts';
import { processName } from '../../agent/host/process.ts';
import { hasNews, type Kept, PlayedStore } from './played-store.ts';

const [FIRST, SECOND] = ['0000:00:05.0', '0000:00:06.0'] as const;
const program = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

interface Played {
  readonly agent: Agent;
  readonly store: PlayedStore;
  /** Starts a helper, which is to hold these; resolves with all that it said until it was ready. */
  start(devices?: readonly string[], env?: object): Promise<Said[]>;
  kill(): Promise<void>;
  /** The note about a device, with something else in it. */
  change(device: string, change: object): void;
  lines(): Record<string, unknown>[];
}

type Said = Record<string, unknown>;

async function play(t: Test): Promise<Played> {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-adopt-'));
  const agent = new Agent({ state: join(folder, 'state') });
  const store = new PlayedStore(join(folder, 'notify'));
  const boot = await readBootId();
  await agent.alone(async () => {
    for (const [i, device] of [FIRST, SECOND].entries()) {
      const found = { driver: null, override: null };
      await storeBinding(agent, {
        ...{ device, driver: { path: 'acme/edu/1/driver', sha256: 'b'.repeat(64) }, boot },
        ...{ domain: 7 + i, grantSha256: 'a'.repeat(64), boundAt: 0 },
        ...{ found, bound: { driver: 'vfio-pci', override: null } },
      });
    }
  });
  const note = (device: string): string =>
    join(agent.state, 'holders', `${encodeURIComponent(device)}.json`);
  const kill = async (): Promise<void> => {
    const { main } = store;
    if (main === undefined || main.exitCode !== null || main.signalCode !== null) return;
    const gone = new Promise((resolve) => main.once('close', resolve));
    main.kill('SIGKILL');
    await gone;
    store.take();
  };
  t.teardown(async () => {
    await kill();
    // Whoever is held on hears that nobody keeps it.
    store.close();
    rmSync(folder, { recursive: true });
  });
  return {
    ...{ agent, store, kill },
    async start(devices = [], env = {}) {
      const words = [process.execPath, program('adopt-child.ts'), agent.state];
      const child = store.start([...words, program('adopt-holder.ts'), ...devices], {
        ...process.env,
        ...env,
      });
      const said: Said[] = [];
      let [text, wrong] = ['', ''];
      child.stderr?.on('data', (piece) => (wrong += piece));
      child.stdout?.on('data', (piece) => {
        text += piece;
        for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n')) {
          said.push(JSON.parse(text.slice(0, end)));
          text = text.slice(end + 1);
        }
      });
      while (!said.some(({ ready }) => ready !== undefined)) {
        if (child.exitCode !== null) throw new Error(`it ended: ${wrong}`);
        await setTimeout(10);
      }
      store.take();
      return said;
    },
    change: (device, change) =>
      writeFileSync(
        note(device),
        JSON.stringify({ ...JSON.parse(readFileSync(note(device), 'utf8')), ...change }),
      ),
    lines: () =>
      readFileSync(join(agent.state, 'audit.jsonl'), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
  };
}

function holderOf(said: readonly Said[], device: string = FIRST): number {
  const list = said.find(({ ready }) => ready !== undefined)?.ready as {
    device: string;
    pid: number;
  }[];
  return list.find((one) => one.device === device)?.pid ?? 0;
}

/** Until it is gone: a process that has ended and was not waited for is as gone. */
async function untilGone(pid: number): Promise<void> {
  const state = (): string => {
    try {
      return readFileSync(`/proc/${pid}/stat`, 'latin1')
        .replace(/^.*\) /s, '')
        .slice(0, 1);
    } catch {
      return 'gone';
    }
  };
  while (!['gone', 'Z', 'X'].includes(state())) await setTimeout(10);
}

const outcome = (said: readonly Said[]): Said | undefined =>
  said.find(({ adopted }) => adopted !== undefined);

t.test('a holder goes on when the helper is killed, and the next one takes it over', async (t) => {
  const { store, start, kill, lines, agent } = await play(t);
  const first = await start([FIRST, SECOND]);
  t.same(store.names(), ['holder-7', 'holder-8']);
  const pid = holderOf(first);
  await kill();
  const name = await processName(pid);
  t.ok(name, 'it goes on');
  const second = await start();
  t.same(outcome(second), { adopted: [FIRST, SECOND], refused: [] });
  t.equal(holderOf(second), pid, 'the same process');
  t.same(await processName(pid), name);
  // And again, by the same descriptors.
  await kill();
  t.equal(holderOf(await start()), pid);
  t.match(
    lines().filter(({ event, device }) => event === 'adopted' && device === FIRST),
    [
      { domain: 7, process: pid },
      { domain: 7, process: pid },
    ],
  );

  const { main } = store;
  main?.kill('SIGTERM');
  await new Promise((resolve) => main?.once('close', resolve));
  await untilGone(pid);
  store.take();
  t.same(store.names(), [], 'stopped, it lets go of all, and nothing is kept');
  t.same(readdirSync(join(agent.state, 'holders')), []);
});

t.test('an answer that an earlier helper left unread is passed over', async (t) => {
  const { store, start, kill } = await play(t);
  const pid = holderOf(await start([FIRST]));
  await kill();
  // A helper that died when it had asked.
  const [kept] = store.kept as [Kept];
  writeSync(kept.fd, `{"who":"${'0'.repeat(32)}"}\n`);
  while (!hasNews(kept.fd)) await setTimeout(10);
  const second = await start();
  t.same(outcome(second), { adopted: [FIRST], refused: [] });
  t.equal(holderOf(second), pid);
});

t.test('a note that cannot be removed keeps no other from being taken over', async (t) => {
  const { start, kill, agent } = await play(t);
  const pid = holderOf(await start([FIRST]));
  await kill();
  const folder = join(agent.state, 'holders', `${encodeURIComponent(SECOND)}.json`);
  mkdirSync(folder);
  const second = await start();
  t.same(outcome(second), { adopted: [FIRST], refused: [] });
  t.equal(holderOf(second), pid);
  const told = second.filter(({ device }) => device === SECOND);
  t.match(told, [{ text: /failed: it is a folder/ }], 'and is told of');
});

t.test('a process that the kernel does not let us have is not taken for gone', async (t) => {
  const { store, start, kill, agent } = await play(t);
  const pid = holderOf(await start([FIRST]));
  await kill();
  const notes = (): string[] => readdirSync(join(agent.state, 'holders'));
  const second = await start([], { IRONPORT_TEST_REFUSES: 'pidfd_open' });
  t.match(outcome(second), { adopted: [], refused: ['process'] });
  t.match(
    second.filter(({ device }) => device === FIRST),
    [{ text: /not taken over/ }, { text: /pidfd_open.*not permitted/ }],
    'told of',
  );
  t.equal(notes().length, 1, 'and a later helper can end it by its note');
  // It hears that nobody is here all the same.
  await untilGone(pid);
  t.same(store.names(), []);
  await kill();
  t.match(outcome(await start()), { adopted: [], refused: ['missing'] });
  t.same(notes(), [], 'which is gone by then');
});

t.test('one that reads nothing holds nobody up', async (t) => {
  const { store, start, kill } = await play(t);
  const pid = holderOf(await start([FIRST]));
  await kill();
  process.kill(pid, 'SIGSTOP');
  const [kept] = store.kept as [Kept];
  t.throws(
    () => {
      for (;;) writeSync(kept.fd, Buffer.alloc(65_536));
    },
    { code: 'EAGAIN' },
    'no more can be said to it',
  );
  const second = await start([], { IRONPORT_TEST_SECONDS: '1' });
  t.same(outcome(second), { adopted: [], refused: ['answer'] });
  await untilGone(pid);
  t.same(store.names(), []);
});

t.test(
  'a socket that was closed before its turn is not kept by what has its number now',
  async (t) => {
    const { agent, store } = await play(t);
    store.anybody = true;
    const lost: string[] = [];
    const keeping = new Keeping(agent, new DescriptorStore(store.socket), (_, text) =>
      lost.push(text),
    );
    const open = openSync('/dev/null', 'r');
    let asked = 0;
    // Open when its note is written, and not any more after that.
    await keeping.keep(FIRST, process.pid, () => (asked++ === 0 ? open : undefined));
    await keeping.keep(SECOND, process.pid, () => undefined);
    store.take();
    t.same(store.names(), []);
    t.same(readdirSync(join(agent.state, 'holders')), [], 'and no note is left');
    await keeping.keep(SECOND, process.pid, () => open);
    store.take();
    t.same(store.names(), ['holder-8'], 'control: what is open is kept');
    t.same(lost, []);
    closeSync(open);
  },
);

t.test('a holder that was never kept takes no note away, and is no news', async (t) => {
  const { agent, store } = await play(t);
  store.anybody = true;
  const lost: string[] = [];
  const make = (): Keeping =>
    new Keeping(agent, new DescriptorStore(store.socket), (_, text) => lost.push(text));
  const notes = (): string[] => readdirSync(join(agent.state, 'holders'));
  await make().forget(FIRST);
  t.same(lost, [], 'where nothing was ever written down');
  const open = openSync('/dev/null', 'r');
  const before = make();
  await before.keep(FIRST, process.pid, () => open);
  // The helper after it could not end that process: whoever asks for the device meanwhile is refused.
  await make().forget(FIRST);
  t.equal(notes().length, 1, 'by which a later helper ends it');
  await before.forget(FIRST);
  t.same(notes(), [], 'control: its own is taken away');
  store.take();
  t.same(store.names(), []);
  t.same(lost, []);
  closeSync(open);
});

t.test('a holder that ends is forgotten', async (t) => {
  const { store, start, kill, agent } = await play(t);
  await start([FIRST]);
  await kill();
  const pid = holderOf(await start());
  process.kill(pid, 'SIGKILL');
  while (store.names().length > 0) {
    store.take();
    await setTimeout(10);
  }
  t.same(readdirSync(join(agent.state, 'holders')), []);
});

t.test('without a manager a holder ends with its helper', async (t) => {
  const { store, start, kill } = await play(t);
  const pid = holderOf(await start([FIRST], {}));
  store.drop('holder-7');
  t.ok(await processName(pid), 'control: it goes on while its helper is there');
  await kill();
  await untilGone(pid);
});

/** What a store, or what was written down, may have wrong, and what it is refused for. */
const WRONG: Readonly<
  Record<
    string,
    { readonly why: readonly string[]; wrong(played: Played): void; env?: object; says?: string }
  >
> = {
  'descriptors that are swapped': {
    why: ['answer', 'answer'],
    wrong({ store }) {
      const [one, two] = store.kept as [{ name: string; fd: number }, { name: string; fd: number }];
      store.kept = [
        { name: one.name, fd: two.fd },
        { name: two.name, fd: one.fd },
      ];
    },
  },
  'a file in the place of a socket': {
    why: ['kind', 'missing', 'name'],
    wrong({ store }) {
      store.drop('holder-8');
      // The socket is somewhere else: nobody hears that it is gone.
      store.kept = [...store.kept.map(({ fd }) => ({ name: 'holder-07', fd }))];
      store.kept.push({ name: 'holder-7', fd: openSync('/dev/null', 'r') });
    },
  },
  'descriptors that are missing': {
    why: ['missing', 'missing'],
    wrong({ store }) {
      for (const name of store.names()) store.drop(name);
    },
  },
  'one descriptor by two names': {
    why: ['doubled', 'doubled'],
    wrong({ store }) {
      const kept = store.kept.find(({ name }) => name === 'holder-7');
      store.drop('holder-8');
      if (kept === undefined) throw new Error('it is kept');
      const fd = libc().takeDescriptor(process.pid, kept.fd);
      store.kept.push({ name: 'holder-8', fd });
    },
  },
  'names that are none, and one that nothing is known of': {
    why: ['missing', 'missing', 'name', 'no-note'],
    wrong({ store }) {
      const [one, two] = store.kept as [Kept, Kept];
      store.kept = [
        { name: 'holder-07', fd: one.fd },
        { name: 'holder-9', fd: two.fd },
      ];
    },
  },
  'two notes by one number': {
    why: ['binding', 'doubled', 'no-note'],
    wrong({ change }) {
      change(SECOND, { domain: 7 });
    },
  },
  'another boot': {
    why: ['boot', 'boot'],
    wrong({ change }) {
      for (const device of [FIRST, SECOND]) change(device, { boot: '0'.repeat(36) });
    },
  },
  'another grant': {
    why: ['binding', 'binding'],
    wrong({ change }) {
      for (const device of [FIRST, SECOND]) change(device, { grant_sha256: 'c'.repeat(64) });
    },
  },
  'another process by the same number': {
    why: ['process', 'process'],
    wrong({ change }) {
      for (const device of [FIRST, SECOND]) change(device, { started: '1' });
    },
  },
  'a process that does not have the device': {
    why: ['device', 'device'],
    wrong() {},
    env: { IRONPORT_TEST_OPENED: 'none' },
  },
  'a holder of another grant': { why: ['answer', 'answer'], wrong() {}, says: 'another grant' },
  'a holder that talks nonsense': { why: ['answer', 'answer'], wrong() {}, says: 'garbage' },
};

for (const [what, { why, wrong, env = {}, says }] of Object.entries(WRONG)) {
  t.test(`refused: ${what}`, async (t) => {
    const played = await play(t);
    const first = await played.start([FIRST, SECOND], { IRONPORT_TEST_SAYS: says });
    await played.kill();
    const pids = [FIRST, SECOND].map((device) => holderOf(first, device));
    for (const pid of pids) t.ok(pid > 0 && (await processName(pid)), 'control: they go on');
    wrong(played);
    const second = await played.start([], env);
    const { adopted, refused } = outcome(second) as { adopted: string[]; refused: string[] };
    t.same(adopted, []);
    t.same(refused.sort(), why);
    for (const pid of pids) await untilGone(pid);
    t.same(played.store.names(), [], 'nothing is kept');
    t.same(readdirSync(join(played.agent.state, 'holders')), [], 'or noted');
    t.same(
      played
        .lines()
        .flatMap((line) => (line.event === 'not-adopted' ? [line.why] : []))
        .sort(),
      why,
      'all of it is in the audit log',
    );
    await played.kill();
    // What was refused is in nobody's way.
    const third = await played.start([FIRST]);
    t.ok(holderOf(third) > 0);
  });
}

t.test('a damaged note adopts nothing', async (t) => {
  const played = await play(t);
  const first = await played.start([FIRST]);
  await played.kill();
  played.change(FIRST, { process: 'x' });
  t.match(outcome(await played.start()), { adopted: [], refused: ['no-note'] });
  await untilGone(holderOf(first));
  t.same(readdirSync(join(played.agent.state, 'holders')), []);
  t.match(
    played
      .lines()
      .filter(({ event }) => event === 'not-adopted')
      .map(({ why }) => why)
      .sort(),
    ['no-note', 'note-damaged'],
  );
});

t.test('what it was started with, and what is none', async (t) => {
  const take = `
    import(${JSON.stringify(new URL('../../agent/helper/adopt.ts', import.meta.url).href)}).then(({ takePassed }) => {
      // Nobody has so many open.
      const env = { ...process.env, LISTEN_FDS: '4096' };
      const passed = [takePassed(process.env), takePassed(env).at(-1)];
      console.log(JSON.stringify({ passed }));
    });`;
  const words = ['-c', 'LISTEN_PID=$$ exec "$@"', 'sh', process.execPath, '-e', take];
  const { stdout, stderr } = spawnSync('/bin/sh', words, {
    env: { ...process.env, LISTEN_PID: '', LISTEN_FDS: '1', LISTEN_FDNAMES: 'a' },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  t.match(JSON.parse(String(stdout) || JSON.stringify(String(stderr))), {
    passed: [[{ fd: 3, name: 'a' }], { fd: -1, name: 'unknown' }],
  });
});

t.test('a manager hears only the process that it started', async (t) => {
  const { store } = await play(t);
  notify(store.socket, 'FDSTORE=1\nFDNAME=holder-7', [openSync('/dev/null', 'r')]);
  store.take();
  t.match(store.ignored, [{ pid: process.pid, text: 'FDSTORE=1\nFDNAME=holder-7', fds: [Number] }]);
  t.same(store.kept, []);
  store.anybody = true;
  notify(store.socket, 'READY=1');
  notify(store.socket, 'FDSTORE=1\nFDNAME=x', [0, 1, 2]);
  store.take();
  t.same(store.names(), ['x', 'x', 'x']);
  for (const socket of ['', 'relative', '/', '@', 'vsock:2:1234', `/${'x'.repeat(108)}`])
    t.throws(() => notify(socket, 'READY=1'), { code: 'E_CONFIG' }, socket);
  t.throws(() => notify('/nonexistent/socket', 'READY=1'), { code: /^E_/ });
});
