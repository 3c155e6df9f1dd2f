/** The checker of repositories: it passes over a good one, and finds a defect of each kind. */

import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type CheckReport, checkRepository } from '../../server/jobs/check/check.ts';
import { cacheFinding, corsFinding } from '../../server/jobs/check/headers.ts';
import { type Get, openHttp } from '../../server/jobs/check/http.ts';
import {
  type CheckState,
  emptyState,
  loadState,
  saveState,
} from '../../server/jobs/check/state.ts';
import { utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { DAY, HOUR } from '../../shared/time.ts';
import { TODAY } from '../support/clock.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';
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
    if (bytes !== undefined && /\/\d+\./.test(path)) kept.set(path, bytes);
    return bytes;
  };
  const look = async (
    change: Partial<{
      now: number;
      state: CheckState;
      files: (path: string) => Uint8Array | undefined | null;
      headers: Readonly<Record<string, string>>;
      root: Uint8Array;
      lead: number;
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
      ...{ lead: change.lead ?? 6 * HOUR, sample: 20 },
    });
  };
  return { simulator, look, state };
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

t.test('a defect of each kind', async (t) => {
  const planted = async (
    name: string,
    kind: string,
    act: (of: ReturnType<typeof repository>) => Promise<CheckReport>,
  ): Promise<void> => {
    const of = repository();
    t.same((await of.look()).findings, [], `${name}: good before`);
    t.ok(
      (await act(of)).findings.some((one) => one.kind === kind),
      name,
    );
  };
  await planted('a timestamp that goes back', 'version', async ({ simulator, look }) => {
    const old = simulator.serve('metadata/timestamp.json') as Uint8Array;
    simulator.publish('acme');
    await look();
    return await look({ files: (path) => (path === 'metadata/timestamp.json' ? old : undefined) });
  });
  await planted('a name with other bytes', 'changed', async ({ simulator, look }) => {
    const path = 'metadata/1.root.json';
    const root = simulator.serve(path) as Uint8Array;
    const spaced = utf8(`${new TextDecoder().decode(root)}\n`);
    return await look({ files: (one) => (one === path ? spaced : undefined) });
  });
  await planted('a role that is listed and not there', 'snapshot', ({ look }) =>
    look({ files: (path) => (/\d+\.acme\.json$/.test(path) ? null : undefined) }),
  );
  await planted('a role that disappears from the snapshot', 'snapshot', async ({ look, state }) => {
    state.versions.set('gone', 4);
    return await look();
  });
  await planted('a bin that is not listed', 'snapshot', async ({ simulator, look }) => {
    simulator.delegateBins('targets', 2, 'bin');
    for (const name of ['bin-0', 'bin-1', 'bin-2']) simulator.publish(name);
    simulator.roles.delete('bin-3');
    delete simulator.snapshot.meta['bin-3.json'];
    simulator.publish('targets');
    return await look();
  });
  await planted('an expiry that is near', 'expiry', ({ look }) => look({ lead: 4000 * DAY }));
  await planted('an expiry that is past', 'expiry', ({ look }) =>
    look({ now: TODAY + 4000 * DAY }),
  );
  await planted('no consistent snapshots', 'consistent-snapshot', async ({ simulator, look }) => {
    simulator.nextRoot(() => {
      simulator.root.consistent_snapshot = false;
    });
    return await look();
  });
  await planted('an old file that is gone', 'retention', async ({ simulator, look }) => {
    simulator.publish('acme');
    await look();
    return await look({
      files: (path) => (/\/1\.acme\.json$|\/2\.acme\.json$/.test(path) ? null : undefined),
    });
  });
  await planted('a target that is gone', 'targets', ({ look }) =>
    look({ files: (path) => (path.endsWith('.one.bin') ? null : undefined) }),
  );
  await planted('a target with other bytes', 'targets', ({ look }) =>
    look({ files: (path) => (path.endsWith('.one.bin') ? utf8('uno') : undefined) }),
  );
  await planted('a page in the place of metadata', 'workflow', ({ look }) =>
    look({ files: (path) => (path === 'metadata/timestamp.json' ? utf8('<html>') : undefined) }),
  );
  await planted('a root of somebody else', 'workflow', async ({ look }) => {
    const other = new Simulator(TODAY, 'other');
    return await look({ root: other.serve('metadata/1.root.json') as Uint8Array });
  });
  await planted('no CORS', 'cors', ({ look }) => look({ headers: {} }));
  await planted('a timestamp in caches', 'cache', ({ look }) =>
    look({ headers: { ...HEADERS, 'cache-control': 'max-age=86400' } }),
  );
  await planted('metadata in no cache', 'cache', ({ look }) =>
    look({ headers: { ...HEADERS, 'cache-control': 'no-store' } }),
  );
});

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
  served.misbehave = (request) => {
    request.socket.destroy();
    return true;
  };
  await t.rejects(get('metadata/1.root.json', 1000), { code: 'E_NETWORK' });
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
  for (const damage of ['{', '{}', (await readFile(path, 'utf8')).replace('"acme":', '"acme":-')]) {
    await writeFile(path, damage);
    const error = await loadState(path).catch((thrown: unknown) => thrown);
    t.ok(isIronError(error), damage.slice(0, 20));
  }
  const bad = repository();
  bad.state.versions.set('timestamp', 99);
  t.strictSame(found(await bad.look()), ['version timestamp']);
  t.equal(bad.state.versions.get('timestamp'), 99, 'a floor does not go down');
});
