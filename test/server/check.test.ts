/** The checker of repositories: it passes over a good one, and finds a defect of each kind. */

import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type CheckReport, checkRepository } from '../../server/jobs/check/check.ts';
import { cacheFinding, corsFinding } from '../../server/jobs/check/headers.ts';
import { type Get, openHttp } from '../../server/jobs/check/http.ts';
import { KINDS } from '../../server/jobs/check/report.ts';
import {
  type CheckState,
  emptyState,
  forgetPlace,
  loadState,
  noteTarget,
  saveState,
} from '../../server/jobs/check/state.ts';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY, HOUR } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';
import { serve } from '../support/serve.ts';
import { digest, Simulator } from '../support/simulator.ts';
import { running } from './support.ts';

/** What a well-kept static server says. */
const HEADERS: Readonly<Record<string, string>> = { 'access-control-allow-origin': '*' };
const cacheOf = (path: string): string => (/\/\d+\./.test(path) ? 'max-age=31536000' : 'no-cache');

/** A good repository that is served well, and can be changed between looks. */
function repository() {
  const simulator = new Simulator();
  simulator.delegate('targets', 'acme', { paths: ['acme/*'] });
  simulator.addTarget('acme', 'acme/one.bin', utf8('one'));
  simulator.addTarget('acme', 'acme/two.bin', utf8('two'));
  simulator.publish('targets', 'acme');
  const state = emptyState();
  // The simulator forgets old versions; a repository that is kept does not.
  const kept = new Map<string, Uint8Array>();
  const fileAt = (path: string): Uint8Array | undefined => {
    const bytes = simulator.serve(decodeURI(path)) ?? kept.get(path);
    if (bytes !== undefined && /\/(?:\d+|[0-9a-f]{64})\./.test(path)) kept.set(path, bytes);
    return bytes;
  };
  const look = async (
    change: Partial<{
      now: number;
      state: CheckState;
      files: (path: string) => Uint8Array | undefined | null;
      headers: Readonly<Record<string, string>>;
      moving: readonly string[];
      root: Uint8Array;
      lead: number;
      roles: number;
    }> = {},
  ): Promise<CheckReport> => {
    const get: Get = async (path) => {
      const planted = change.files?.(path);
      const bytes = planted === null ? undefined : (planted ?? fileAt(path));
      const headers = { 'cache-control': cacheOf(path), ...(change.headers ?? HEADERS) };
      return {
        status: bytes === undefined ? 404 : 200,
        bytes: bytes ?? new Uint8Array(),
        header: (name) => (headers as Record<string, string>)[name],
      };
    };
    return await checkRepository({
      ...{ get, crypto, now: change.now ?? TODAY, state: change.state ?? state },
      ...{ root: change.root, metadata: 'metadata', targets: 'targets' },
      ...{ lead: change.lead ?? 6 * HOUR, sample: 20, moving: change.moving ?? [] },
      ...(change.roles === undefined ? {} : { roles: change.roles }),
    });
  };
  /** All files as they are now, whatever is published afterwards. */
  const fork = () => {
    const names = ['timestamp', '1.root', ...['snapshot', 'targets', 'acme'].map(versioned)];
    const files = new Map(
      names.map((name) => [`metadata/${name}.json`, fileAt(`metadata/${name}.json`)]),
    );
    return (path: string) => files.get(path);
  };
  const versioned = (role: string): string => {
    const { version } = role === 'snapshot' ? simulator.snapshot : simulator.role(role);
    return `${version}.${role}`;
  };
  return { simulator, look, state, fork };
}

const found = ({ findings }: CheckReport): string[] => [
  ...new Set(findings.map(({ kind, at }) => `${kind} ${at}`)),
];

t.test('a good repository, look after look', async (t) => {
  const { simulator, look } = repository();
  t.same((await look()).findings, []);
  simulator.addTarget('acme', 'acme/three.bin', utf8('three'));
  simulator.publish('acme');
  t.same((await look()).findings, []);
  simulator.nextRoot();
  t.same((await look()).findings, []);
  const { roles } = await look();
  t.same(Object.fromEntries(roles.map(({ role, version }) => [role, version])).acme, 3);
  t.same(Object.fromEntries(roles.map(({ role, version }) => [role, version])).root, 2);
});

/** A repository that was good at the first look, with a defect at the last. */
interface Planted {
  readonly kind: (typeof KINDS)[number];
  /** What the finding is about. */
  readonly at: string | RegExp;
  readonly act: (of: ReturnType<typeof repository>) => Promise<CheckReport>;
}

const ONE = `targets/acme/${digest('sha256', utf8('one'))}.one.bin`;

/** A version of `path` as it is now, shown again after another was published and looked at. */
const shownAgain =
  (path: string, publish: (simulator: Simulator) => void): Planted['act'] =>
  async ({ simulator, look }) => {
    const old = simulator.serve(path) as Uint8Array;
    publish(simulator);
    await look();
    return await look({ files: (one) => (one === path ? old : undefined) });
  };

/** All of an earlier state, signed as it was, after a newer one was looked at. */
const wholeAgain: Planted['act'] = async ({ simulator, look, fork }) => {
  const old = fork();
  simulator.publish('acme', 'targets');
  await look();
  return await look({ files: old });
};

const PLANTED: Readonly<Record<string, Planted>> = {
  'a timestamp that goes back': {
    kind: 'version',
    at: 'timestamp',
    act: shownAgain('metadata/timestamp.json', (simulator) => simulator.publish('acme')),
  },
  'a snapshot that goes back': { kind: 'version', at: 'snapshot', act: wholeAgain },
  'targets that go back': { kind: 'version', at: 'targets', act: wholeAgain },
  "a vendor's role that goes back": { kind: 'version', at: 'acme', act: wholeAgain },
  'a root that goes back': {
    kind: 'version',
    at: 'root',
    act: async ({ simulator, look }) => {
      simulator.nextRoot();
      await look();
      return await look({ files: (path) => (path === 'metadata/2.root.json' ? null : undefined) });
    },
  },
  'a name with other bytes': {
    kind: 'changed',
    at: 'metadata/1.root.json',
    act: async ({ simulator, look }) => {
      const path = 'metadata/1.root.json';
      const root = simulator.serve(path) as Uint8Array;
      const spaced = utf8(`${new TextDecoder().decode(root)}\n`);
      return await look({ files: (one) => (one === path ? spaced : undefined) });
    },
  },
  'an old name with other bytes, which no reader asks for': {
    kind: 'changed',
    at: 'metadata/2.acme.json',
    act: async ({ simulator, look }) => {
      const first = simulator.serve('metadata/2.acme.json') as Uint8Array;
      simulator.publish('acme');
      await look();
      const path = 'metadata/2.acme.json';
      const spaced = utf8(`${new TextDecoder().decode(first)}\n`);
      return await look({ files: (one) => (one === path ? spaced : undefined) });
    },
  },
  'two timestamps of one version': {
    kind: 'changed',
    at: 'timestamp',
    act: async ({ simulator, look }) => {
      simulator.timestamp.expires = simulator.expiry(2);
      return await look();
    },
  },
  'a target that is signed with other bytes': {
    kind: 'changed',
    at: 'acme/one.bin',
    act: async ({ simulator, look }) => {
      simulator.addTarget('acme', 'acme/one.bin', utf8('uno'));
      simulator.publish('acme');
      return await look();
    },
  },
  'a target with other bytes, after it was not listed for a time': {
    kind: 'changed',
    at: 'acme/one.bin',
    act: async ({ simulator, look }) => {
      delete simulator.role('acme').targets['acme/one.bin'];
      simulator.publish('acme');
      await look();
      simulator.addTarget('acme', 'acme/one.bin', utf8('uno'));
      simulator.publish('acme');
      return await look();
    },
  },
  'a role that is listed and not there': {
    kind: 'snapshot',
    at: 'acme',
    act: ({ look }) =>
      look({ files: (path) => (/\d+\.acme\.json$/.test(path) ? null : undefined) }),
  },
  'a role that is there in another version': {
    kind: 'snapshot',
    at: 'acme',
    act: async ({ simulator, look }) => {
      const other = simulator.serve('metadata/2.acme.json') as Uint8Array;
      simulator.publish('acme');
      return await look({ files: (path) => (path.endsWith('/3.acme.json') ? other : undefined) });
    },
  },
  'a role that nobody signed to whom it is delegated': {
    kind: 'snapshot',
    at: 'acme',
    act: async ({ simulator, look }) => {
      simulator.addTarget('acme', 'acme/one.bin', utf8('uno'));
      simulator.publish('acme');
      const path = 'metadata/3.acme.json';
      const { signed } = JSON.parse(fromUtf8(simulator.serve(path) as Uint8Array));
      const unsigned = utf8(JSON.stringify({ signed, signatures: [] }));
      return await look({ files: (one) => (one === path ? unsigned : undefined) });
    },
  },
  'a role that disappears from the snapshot': {
    kind: 'snapshot',
    at: 'acme',
    act: async ({ simulator, look }) => {
      simulator.roles.delete('acme');
      delete simulator.snapshot.meta['acme.json'];
      simulator.publish();
      return await look();
    },
  },
  'a bin that is not listed': {
    kind: 'snapshot',
    at: 'bin-3',
    act: async ({ simulator, look }) => {
      simulator.delegateBins('targets', 2, 'bin');
      for (const name of ['bin-0', 'bin-1', 'bin-2']) simulator.publish(name);
      simulator.roles.delete('bin-3');
      delete simulator.snapshot.meta['bin-3.json'];
      simulator.publish('targets');
      return await look();
    },
  },
  // The timestamp of the simulator holds for a day, its snapshot for seven.
  'a timestamp that expires soon': {
    kind: 'expiry',
    at: 'timestamp',
    act: ({ look }) => look({ lead: 2 * DAY }),
  },
  "a vendor's role that expires soon": {
    kind: 'expiry',
    at: 'acme',
    act: ({ look }) => look({ lead: 100 * DAY }),
  },
  'a snapshot that is past': {
    kind: 'expiry',
    at: 'snapshot',
    act: ({ look }) => look({ now: TODAY + 8 * DAY }),
  },
  'a root that is past': {
    kind: 'expiry',
    at: 'root',
    act: ({ look }) => look({ now: TODAY + 4000 * DAY }),
  },
  'no consistent snapshots': {
    kind: 'consistent-snapshot',
    at: 'root',
    act: async ({ simulator, look }) => {
      simulator.nextRoot(() => {
        simulator.root.consistent_snapshot = false;
      });
      return await look();
    },
  },
  'an old file that is gone': {
    kind: 'retention',
    at: 'metadata/2.acme.json',
    act: async ({ simulator, look }) => {
      simulator.publish('acme');
      await look();
      return await look({
        files: (path) => (path === 'metadata/2.acme.json' ? null : undefined),
      });
    },
  },
  'a target that is withdrawn, and gone while readers may be sent to it': {
    kind: 'retention',
    at: ONE,
    act: async ({ simulator, look }) => {
      delete simulator.role('acme').targets['acme/one.bin'];
      simulator.publish('acme');
      return await look({
        now: TODAY + 6 * DAY,
        files: (path) => (path === ONE ? null : undefined),
      });
    },
  },
  'a target that is gone': {
    kind: 'targets',
    at: 'acme/one.bin',
    act: ({ look }) => look({ files: (path) => (path === ONE ? null : undefined) }),
  },
  'a target with other bytes than were signed': {
    kind: 'targets',
    at: 'acme/one.bin',
    act: ({ look }) => look({ files: (path) => (path === ONE ? utf8('uno') : undefined) }),
  },
  'a page in the place of metadata': {
    kind: 'workflow',
    at: 'repository',
    act: ({ look }) =>
      look({ files: (path) => (path === 'metadata/timestamp.json' ? utf8('<html>') : undefined) }),
  },
  'a root of somebody else': {
    kind: 'workflow',
    at: 'repository',
    act: async ({ look }) => {
      const other = new Simulator(TODAY, 'other');
      return await look({ root: other.serve('metadata/1.root.json') as Uint8Array });
    },
  },
  'no CORS': {
    kind: 'cors',
    at: 'metadata/timestamp.json',
    act: ({ look }) => look({ headers: {} }),
  },
  'a timestamp in caches': {
    kind: 'cache',
    at: 'metadata/timestamp.json',
    act: ({ look }) => look({ headers: { ...HEADERS, 'cache-control': 'max-age=86400' } }),
  },
  'metadata in no cache': {
    kind: 'cache',
    at: 'metadata/1.root.json',
    act: ({ look }) => look({ headers: { ...HEADERS, 'cache-control': 'no-store' } }),
  },
};

t.test('a defect of each kind', async (t) => {
  for (const [name, { kind, at, act }] of Object.entries(PLANTED)) {
    const of = repository();
    t.same((await of.look()).findings, [], `${name}: good before`);
    const { findings } = await act(of);
    t.ok(
      findings.some((one) => one.kind === kind && one.at === at),
      `${name}: ${JSON.stringify(findings)}`,
    );
  }
  const kinds = new Set(Object.values(PLANTED).map(({ kind }) => kind));
  t.strictSame(
    KINDS.filter((kind) => !kinds.has(kind)),
    [],
    'no kind is left out',
  );
});

t.test('what is no defect of targets', async (t) => {
  const { simulator, look, state } = repository();
  t.same((await look()).findings, []);
  // Withdrawn, and gone when no snapshot that was met can lead to it any more.
  delete simulator.role('acme').targets['acme/one.bin'];
  simulator.publish('acme');
  t.same((await look()).findings, [], 'withdrawn, and there still');
  simulator.timestamp.expires = simulator.expiry(9);
  simulator.snapshot.expires = simulator.expiry(9);
  simulator.publish();
  const gone = (path: string) => (path === ONE ? null : undefined);
  const later = { now: TODAY + 8 * DAY, files: gone };
  t.same((await look(later)).findings, [], 'after the last snapshot that listed it');
  t.notOk(state.places.has(ONE), 'it is promised no longer');
  t.ok(state.targets.has('acme/one.bin'), 'and what it meant is remembered');

  // Paths whose bytes may change.
  const moving = ['acme/*.bin'];
  simulator.addTarget('acme', 'acme/two.bin', utf8('zwei'));
  simulator.publish('acme');
  t.same((await look({ ...later, moving })).findings, []);
  t.same((await look({ ...later })).findings, [], 'the newest is what is remembered');
});

t.test('what nobody signed is not remembered', async (t) => {
  const { simulator, look, state } = repository();
  await look();
  simulator.addTarget('acme', 'acme/three.bin', utf8('drei'));
  simulator.publish('acme');
  const path = 'metadata/3.acme.json';
  const forged = fromUtf8(simulator.serve(path) as Uint8Array);
  const { signed } = JSON.parse(forged);
  const files = (one: string) =>
    one === path ? utf8(JSON.stringify({ signed, signatures: [] })) : undefined;
  t.strictSame(found(await look({ files })), ['snapshot acme']);
  t.notOk(state.targets.has('acme/three.bin'), 'its targets mean nothing yet');
  t.notOk(state.files.has(path), 'nor what the file was');
  // A portal answers everything with a page, and is gone at the next look.
  simulator.publish('acme');
  const page = (one: string) =>
    /^metadata\/\d/.test(one) ? utf8('<html>sign in</html>') : undefined;
  t.not(found(await look({ files: page })).length, 0);
  t.ok(await look().then(({ findings }) => findings.every(({ kind }) => kind !== 'changed')));
  t.ok(state.files.has('metadata/4.acme.json'), 'control: what is believed is remembered');
  // Nor what nothing delegates to, whoever signed it: no reader is led there.
  const other = repository();
  other.simulator.delegate('acme', 'acme.wifi', { paths: ['acme/wifi/*'] });
  other.simulator.addTarget('acme.wifi', 'acme/wifi/w.bin', utf8('w'));
  other.simulator.publish('acme', 'acme.wifi');
  t.same((await other.look()).findings, []);
  t.ok(other.state.targets.has('acme/wifi/w.bin'), 'what a role leads to that is led to');
  const { delegations } = other.simulator.role('acme');
  if (delegations !== undefined) delegations.roles = [];
  other.simulator.addTarget('acme.wifi', 'acme/wifi/x.bin', utf8('x'));
  other.simulator.publish('acme', 'acme.wifi');
  t.same((await other.look()).findings, []);
  t.notOk(other.state.targets.has('acme/wifi/x.bin'));
});

t.test('names that others choose do not fill what must be read again', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-check-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'state.json');
  const state = emptyState();
  const all = state.room;
  const note = (name: string, place: string) =>
    noteTarget(state, name, `sha256:${'a'.repeat(64)}`, { place, until: TODAY }, false);
  t.equal(note('one', 'targets/one'), undefined);
  const left = state.room;
  t.ok(left < all, 'names take room');
  t.equal(note('one', 'targets/one'), undefined);
  t.equal(state.room, left, 'once');
  await saveState(path, state);
  t.equal((await loadState(path)).room, left, 'and as much when they are read again');
  forgetPlace(state, 'targets/one');
  t.equal(state.room, left + '"targets/one"'.length, 'what is forgotten takes none');
  state.room = 10;
  t.equal(note('a longer name', 'targets/x'), 'full', 'one that has none is not remembered');
  t.notOk(state.targets.has('a longer name') || state.places.has('targets/x'));
  // Whatever grew: what is kept stays what can be read.
  await t.rejects(saveState(path, state, 100), { code: 'E_TOO_LARGE' });
  t.equal((await loadState(path)).room, left);
});

t.test('in time all targets are asked for, and all old files', async (t) => {
  const { simulator, state } = repository();
  for (let i = 0; i < 10; i++) simulator.addTarget('acme', `acme/${i}.bin`, utf8(String(i)));
  simulator.publish('acme');
  for (let i = 0; i < 600; i++) state.files.set(`metadata/${i + 1}.old.json`, 'a'.repeat(64));
  const asked = new Set<string>();
  const get: Get = async (path) => {
    asked.add(path);
    const bytes = simulator.serve(decodeURI(path));
    const headers: Record<string, string> = { 'cache-control': cacheOf(path), ...HEADERS };
    return {
      status: bytes === undefined ? 404 : 200,
      bytes: bytes ?? new Uint8Array(),
      header: (name) => headers[name],
    };
  };
  const options = {
    ...{ get, crypto, now: TODAY, state, metadata: 'metadata', targets: 'targets' },
    ...{ lead: HOUR, sample: 3, moving: [] },
  };
  let gone = 0;
  for (let look = 0; look < 4; look++) {
    const { findings } = await checkRepository(options);
    gone += findings.filter(({ kind }) => kind === 'retention').length;
  }
  t.equal([...asked].filter((path) => path.startsWith('targets/')).length, 12);
  t.equal([...asked].filter((path) => path.endsWith('.old.json')).length, 600);
  t.equal(gone, 4 * 256, 'each of them is missed');
});

t.test(
  'of more roles than one look reads all have their turn, and none is left out in silence',
  async (t) => {
    const { simulator, look } = repository();
    const bins = Array.from({ length: 8 }, (_, i) => `acme.bin-${i}`);
    for (const bin of bins) simulator.delegate('acme', bin, { paths: ['acme/*'] });
    simulator.publish('acme', ...bins);
    const whole = await look({ state: emptyState(), roles: 10 });
    t.same([whole.findings, whole.unread], [[], 0]);
    const state = emptyState();
    const broken = ['acme.bin-2', 'acme.bin-7'];
    const files = (path: string) => (broken.some((bin) => path.includes(bin)) ? null : undefined);
    const seen = new Set<string>();
    for (let turn = 0; turn < 4; turn++) {
      // The top level, acme, and two of the bins at each look.
      const report = await look({ state, files, roles: 4 });
      t.equal(report.unread, 6);
      t.equal(report.roles.length, 13, 'the versions of all are looked at');
      for (const one of found(report)) seen.add(one);
    }
    t.same(
      [...seen].sort(),
      broken.map((bin) => `snapshot ${bin}`),
    );
  },
);

t.test('header fields', async (t) => {
  const of = (headers: Record<string, string>) => ({
    status: 200,
    bytes: new Uint8Array(),
    header: (name: string) => headers[name],
  });
  const cache = (value: string, moves: boolean) =>
    cacheFinding(of({ 'cache-control': value }), moves);
  for (const value of ['no-cache', 'max-age=60', 'public, max-age=300', 'no-store'])
    t.equal(cache(value, true), undefined, value);
  for (const value of ['', 'max-age=301', 'max-age=1, s-maxage=900', 'immutable'])
    t.ok(cache(value, true), value);
  for (const value of ['', 'max-age=3600', 'public, max-age=31536000, immutable'])
    t.equal(cache(value, false), undefined, value);
  for (const value of ['no-cache', 'max-age=3599', 'no-store, max-age=99999'])
    t.ok(cache(value, false), value);
  t.ok(corsFinding(of({ 'access-control-allow-origin': 'https://other.example' })));
});

t.test('our own service, over HTTP', async (t: Test) => {
  const { service, clock } = await running(t);
  const { get, close } = openHttp(service.url, new AbortController().signal);
  t.teardown(close);
  const state = emptyState();
  const options = {
    get,
    crypto,
    now: clock.now,
    state,
    metadata: 'metadata',
    targets: 'targets',
    lead: HOUR,
    sample: 20,
    moving: ['*/*/index/*'],
  };
  for (let look = 0; look < 2; look++)
    t.same((await checkRepository(options)).findings, [], `look ${look + 1}`);
});

t.test('hostile servers', async (t) => {
  const simulator = new Simulator();
  const served = await serve(simulator);
  t.teardown(() => served.close());
  const { get, close } = openHttp(served.url, new AbortController().signal);
  t.teardown(close);
  served.misbehave = (_request, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (response.writable && response.write(Buffer.alloc(65_536)));
      response.once('drain', more);
    };
    more();
    return true;
  };
  await t.rejects(get('metadata/1.root.json', 1000), { code: 'E_TOO_LARGE' });
  served.misbehave = (_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('.'), 20);
    response.once('close', () => clearInterval(timer));
    return true;
  };
  const impatient = openHttp(served.url, new AbortController().signal, {
    ...{ windowSeconds: 0.1, minimumBytesPerSecond: 1000 },
  });
  t.teardown(() => impatient.close());
  await t.rejects(impatient.get('metadata/1.root.json', 100_000), { code: 'E_SLOW' }, 'a trickle');
  served.misbehave = (request) => {
    request.socket.destroy();
    return true;
  };
  await t.rejects(get('metadata/1.root.json', 1000), { code: 'E_NETWORK' });
  // A path that begins with slashes is no address of another host.
  const asked: (string | undefined)[] = [];
  served.misbehave = (request, response) => {
    asked.push(request.url);
    response.end();
    return true;
  };
  await get('//elsewhere.invalid/one.bin', 1000);
  t.strictSame(asked, ['///elsewhere.invalid/one.bin']);
  for (const address of ['ftp://x', 'nowhere', 'file:///etc/passwd'])
    t.throws(() => openHttp(address, new AbortController().signal), { code: 'E_USAGE' });
});

t.test('what is remembered', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-check-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'state.json');
  t.equal((await loadState(path)).versions.size, 0);
  const { look, state } = repository();
  await look();
  await saveState(path, state);
  t.same(await loadState(path), state);
  const good = await readFile(path, 'utf8');
  const damages = [
    ...['{', '{}', good.replace('"acme":', '"acme":-'), good.replace('"looks":', '"looks":-')],
    ...[good.replace('"sha256:', '"SHA:'), good.replace('"places":{', '"places":{"x":"y",')],
    good.replace('/v2', '/v1'),
  ];
  for (const damage of damages) {
    await writeFile(path, damage);
    const error = await loadState(path).catch((thrown: unknown) => thrown);
    t.ok(isIronError(error, 'E_JSON', 'E_SCHEMA'), damage.slice(0, 20));
  }
  // What an earlier release kept is worth as much.
  const { schema, versions, files } = JSON.parse(good.replace('/v2', '/v1'));
  await writeFile(path, JSON.stringify({ schema, versions, files }));
  const old = await loadState(path);
  t.same(old.versions, state.versions);
  t.same(old.files, state.files);
  t.equal(old.targets.size, 0);
  const bad = repository();
  bad.state.versions.set('timestamp', 99);
  t.strictSame(found(await bad.look()), ['version timestamp']);
  t.equal(bad.state.versions.get('timestamp'), 99, 'a floor does not go down');
});
