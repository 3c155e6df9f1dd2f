/** The security team at several machines: one begins a list, the others find it at the service. */

import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { operator, repo, Scene } from '../publisher/support.ts';
import { temporaryHome } from '../server/support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
const keys = ['s1', 's2', 's3', 'renewal', 'stranger'];
for (const name of keys) await operator('key', 'make', '--out', scene.at(`${name}.json`));
const signed = (name: string): string => scene.at('signed', name);
const key = (name: string): string[] => ['--key', scene.at(`${name}.json`)];
const TARGETS = ['--targets', signed('2.targets.json')];
const root = ['--root', signed('1.root.json')];
const renewing = (...more: string[]): string[] => [
  ...['revocations', 'renew', '--list', scene.at('list.json'), ...TARGETS],
  ...['--role', scene.at('role.json'), ...key('renewal'), ...more],
];
const renew = (...more: string[]) => repo(...renewing(...more));
const submit = (...files: string[]) => repo('submit', ...files, '--url', scene.url);
const floor = (generation: number, out: string) =>
  operator(
    ...['revocations', 'floor', 'acme/edu', String(generation), '--reason', 'CVE-2030-0001'],
    ...['--list', scene.at('list.json'), ...TARGETS, ...key('s1'), '--out', scene.at(out), '--yes'],
  );

await operator(
  ...['revocations', 'init', '--targets', signed('1.targets.json'), ...root, ...key('t1')],
  ...['s1', 's2', 's3'].flatMap((name) => ['--security-key', scene.at(`${name}.json`)]),
  ...['--security-threshold', '2', '--renewal-key', scene.at('renewal.json')],
  ...['--out', signed('2.targets.json'), '--yes'],
);
await operator(
  ...['revocations', 'new', ...TARGETS, ...key('s1'), ...key('s2')],
  ...['--out', scene.at('list.json'), '--yes'],
);
await operator(...renewing());
await operator(
  'submit',
  ...['list', 'role'].map((name) => scene.at(`${name}.json`)),
  signed('2.targets.json'),
  '--url',
  scene.url,
);

t.test('one signs, another finishes it, and the renewal machine takes it up', async (t) => {
  await floor(2, 'second.json');
  const waiting = await submit(scene.at('second.json'));
  t.equal(waiting.exit, 75);
  t.match(waiting.data, { state: 'pending', role: 'revocations/list.json', version: 2 });
  const { id } = waiting.data;

  t.match(
    (await renew('--url', scene.url)).data,
    { list: 1, signed: false },
    'it is not whole yet',
  );
  const reach = ['--url', scene.url, ...root];
  const shown = await operator('pending', 'show', id, ...reach, '--out', scene.at('carry'));
  t.match(shown.stderr, 'nothing of acme/edu below generation 2 is used any more: CVE-2030-0001');
  t.match(shown.data.changes, [{ effect: 'loses' }]);
  t.match(shown.data.written, [scene.at('carry', '2.list.json')]);
  t.same(await readFile(scene.at('carry', '2.list.json')), await readFile(scene.at('second.json')));

  const sign = (name: string, ...more: string[]) =>
    repo('pending', 'sign', id, ...reach, ...key(name), ...more);
  t.equal((await sign('s2')).error?.code, 'E_USAGE', 'nobody said yes');
  for (const name of ['stranger', 'renewal', 't1'])
    t.equal((await sign(name, '--yes')).error?.code, 'E_NOT_AUTHORISED', name);
  const last = await sign('s2', '--yes');
  t.match(last.data, { state: 'open', lacking: 1, published: null });
  t.equal((await sign('s3', '--yes')).error?.code, 'E_NOTHING_TO_DO', 'it is whole');

  const taken = await renew('--url', scene.url);
  t.match(taken.stderr, 'list 2 waits whole, and is taken up');
  t.match(taken.stderr, 'nothing of acme/edu below generation 2');
  t.match(taken.data, { list: 2, signed: true });
  t.match((await submit(scene.at('list.json'), scene.at('role.json'))).data, {
    state: 'published',
    role: 'revocations',
  });
  const { data } = await operator('pending', 'list', '--url', scene.url, '--all');
  t.match(data.changes, [{ id, state: 'published' }]);
  t.match((await submit(scene.at('list.json'))).data, { state: 'published' }, 'brought once more');
});

t.test('a service that cannot be asked keeps nobody from renewing', async (t) => {
  const gone = await renew('--url', 'http://127.0.0.1:1', '--version', '7');
  t.equal(gone.exit, 0);
  t.match(gone.stderr, 'no list is taken up from http://127.0.0.1:1');
  t.match(gone.data, { list: 2, version: 7 });
});

t.test('without a service a list alone waits nowhere', async (t) => {
  await floor(3, 'third.json');
  const dir = ['--dir', scene.at('nowhere')];
  t.equal((await repo('submit', scene.at('third.json'), ...dir)).error?.code, 'E_NOT_FOUND');
});
