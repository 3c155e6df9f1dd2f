// `import … from 'ironport'`: the library behind the program.

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { parseAddress } from '../../client/fetch/open.ts';
import { isIronError, openRepository, writeHandoff } from '../../client/index.ts';
import { utf8 } from '../../shared/bytes.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { addArtifact, addVendor, EDU } from '../support/artifact.ts';
import { serve } from '../support/serve.ts';
import { Simulator } from '../support/simulator.ts';

t.test('a program of somebody else', async (t) => {
  const sim = new Simulator(systemClock());
  addVendor(sim, 'acme');
  await addArtifact(sim, EDU, utf8('driver'));
  sim.publish('targets');
  const served = await serve(sim);
  t.teardown(() => served.close());
  const folder = t.testdir();
  const notices: string[] = [];
  const stop = new AbortController();
  const repository = await openRepository({
    address: served.url,
    store: join(folder, 'store'),
    signal: stop.signal,
    onNotice: (text) => notices.push(text),
  });
  await t.rejects(repository.refresh(), { code: 'E_NO_PIN' });
  await repository.pin(sim.roots.get(1) as Uint8Array);
  t.equal((await repository.refresh()).targets('targets')?.version, 2);
  let bytes = 0;
  const out = join(folder, 'edu.js');
  const gotten = await repository.getVerified(EDU, out, { onBytes: (count) => (bytes += count) });
  t.equal(gotten.outcome, 'downloaded');
  t.equal(bytes, 6);
  t.equal(await readFile(out, 'utf8'), 'driver');
  t.ok(gotten.checks.length > 8 && gotten.notChecked.length > 0);
  t.equal((await repository.list()).targets.length, 5);

  const record = await writeHandoff({
    verified: gotten,
    source: repository.fetcher,
    folder: join(folder, 'h'),
  });
  t.equal(record.sidecars.length, 4);

  await writeFile(join(folder, 'store', 'metadata', 'targets.json'), 'damage');
  await repository.refresh();
  t.match(notices[0], /the stored targets was of no use/);
  stop.abort();
  await repository.refresh().then(
    () => t.fail('stopped work went on'),
    (error) => t.ok(!isIronError(error) || error.code === 'E_CANCELLED'),
  );
  await repository.close();
});

t.test('one spelling for an address', async (t) => {
  for (const [text, url] of [
    ['127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/'],
    ['HTTP://Example.ORG:80/base', 'http://example.org/base/'],
    ['drivers.example:8080/base/', 'http://drivers.example:8080/base/'],
    ['[::1]:8080', 'http://[::1]:8080/'],
    ['/srv/repo', 'file:///srv/repo/'],
    ['./repo/', 'file:///srv/work/repo/'],
    ['file:///srv/a%20b', 'file:///srv/a%20b/'],
  ] as const) {
    t.equal(parseAddress(text, '/srv/work').url, url, text);
  }
  for (const bad of [
    '',
    'repo',
    'ftp://x/',
    'http://u:p@x/',
    'http://x/?q',
    'x:99999999',
    'file://host/x',
  ]) {
    t.throws(() => parseAddress(bad, '/work'), { code: 'E_USAGE' }, bad);
  }
});
