/** Quarantine with review through the command lines: a vendor, two reviewers, and the real service. */

import { mkdirSync } from 'node:fs';
import { appendFile, cp, readFile, stat, writeFile } from 'node:fs/promises';
import t from 'tap';
import { program as vendorProgram } from '../../publisher/main.ts';
import { program as operatorProgram } from '../../server/main.ts';
import { run } from '../cli/support.ts';
import { temporaryHome } from '../server/support.ts';
import { CEILING, ironport, operator, repo, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
mkdirSync(scene.at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
await scene.start();
t.teardown(() => scene.stop());
await scene.admit('acme', 2);
for (const name of ['rev-1', 'rev-2', 'stranger'])
  await operator('key', 'make', '--out', scene.at(`${name}.json`));
await writeFile(scene.at('edu.js'), 'a driver\n');

const dir = ['--dir', scene.at('repo')];
const to = (): string[] => ['--dir', scene.at('acme'), '--repository', scene.url, ...scene.root];
const publish = (version: string, ceiling = 'ceiling.json'): string[] => [
  ...['publish', scene.at('edu.js'), '--product', 'edu', '--version', version],
  ...['--ceiling', scene.at(ceiling), ...to()],
];
const key = (name: string): string[] => ['--key', scene.at(`${name}.json`), '--yes'];

/** Hands in what must wait; its id. */
async function wait(version: string, ceiling?: string): Promise<string> {
  const { error, exit, stdout } = await ironport(...publish(version, ceiling));
  if (error?.code !== 'E_IN_REVIEW') throw new Error(stdout);
  t.equal(exit, 75);
  return JSON.parse(stdout).error.context.id;
}

t.test('operators name reviewers, and say what waits', async (t) => {
  const early = await operator('review', 'require', 'all', ...dir);
  t.match(early.stderr, 'the signed targets name no reviewers');
  const { data, stderr } = await operator(
    ...['reviewers', 'set', '--agree', '2', ...key('t1')],
    ...['--reviewer', scene.at('rev-1.pub.json'), '--reviewer', scene.at('rev-2.pub.json')],
    ...[
      '--targets',
      scene.at('signed', '2.targets.json'),
      '--root',
      scene.at('signed', '1.root.json'),
    ],
    ...['--out', scene.at('signed', '3.targets.json')],
  );
  t.match(data, { version: 3, agree: 2, complete: true });
  t.match(stderr, 'may review what vendors hand in');
  t.match(stderr, 'an approval takes 2 of 2 reviewers');
  await scene.submit('3.targets.json');
  t.equal((await repo('review', 'require', 'sometimes', ...dir)).error?.code, 'E_USAGE');
  const required = await operator('review', 'require', 'widens', ...dir);
  t.notMatch(required.stderr, 'name no reviewers');
  t.match((await operator('review', 'list', ...dir)).data, { require: 'widens', reviews: [] });
});

t.test('a first one waits, is looked at, approved by two, and published', async (t) => {
  const text = await run(vendorProgram, publish('1.0.0'));
  t.equal(text.exit, 75);
  t.match(text.stderr, "error[E_IN_REVIEW]: acme 1 waits for the repository's reviewers");
  const id = /ironport submission ([0-9a-f]{32}) /.exec(text.stderr)?.[1] as string;
  const asked = await run(vendorProgram, ['submission', id, ...to()]);
  t.equal(asked.exit, 75);
  t.match(asked.stdout, /0 of 2 approved; it waits until /);

  const list = await run(operatorProgram, ['review', 'list', ...dir]);
  t.match(list.stdout, new RegExp(`${id.slice(0, 12)} +acme 1 +in-review +approved by 0 of the 2`));
  const folder = scene.at('to-review');
  const shown = await run(operatorProgram, [
    'review',
    'show',
    id.slice(0, 8),
    ...dir,
    '--out',
    folder,
  ]);
  t.match(shown.stdout, 'acme/edu/1.0.0/edu.js asks for the first time:\n  + for: ');
  t.match(shown.stdout, 'ok evidence acme/edu/1.0.0/edu.js');
  const bytes = await readFile(
    scene.at('to-review', 'files', 'acme%2Fedu%2F1.0.0%2Fedu.js'),
    'utf8',
  );
  t.equal(bytes, 'a driver\n');
  t.equal((await stat(folder)).mode & 0o777, 0o700, 'embargoed');
  const twice = await repo('review', 'show', id, ...dir, '--out', folder);
  t.equal(twice.error?.code, 'E_EXISTS', 'nothing is written over');

  const approve = (...more: string[]) => repo('review', 'approve', id, ...more);
  t.equal(
    (await approve(...dir, '--key', scene.at('rev-1.json'))).error?.code,
    'E_USAGE',
    'unasked',
  );
  t.equal((await approve(...dir, ...key('stranger'))).error?.code, 'E_NOT_AUTHORISED');
  const carried = scene.at('carried');
  await cp(folder, carried, { recursive: true });
  const away = ['--from', carried, '--url', scene.url];
  t.equal((await approve('--url', scene.url, ...key('rev-1'))).error?.code, 'E_USAGE');
  t.match((await approve(...away, ...key('rev-1'))).data, { state: 'in-review', approved_by: 1 });
  t.equal((await approve(...away, ...key('rev-1'))).error?.code, 'E_NOTHING_TO_DO');
  await appendFile(scene.at('carried', 'files', 'acme%2Fedu%2F1.0.0%2Fedu.js'), '!');
  t.equal(
    (await approve(...away, ...key('rev-2'))).error?.code,
    'E_HASH',
    'other bytes are no review',
  );
  const last = await run(operatorProgram, ['review', 'approve', id, ...dir, ...key('rev-2')]);
  t.match(last.stdout, 'acme 1 is approved and published');

  const { data, exit } = await vendor('submission', id, ...to());
  t.equal(exit, 0);
  t.match(data, { state: 'published', review: { approved_by: 2, needed: 2 } });
  t.match((await operator('review', 'show', id, ...dir)).data, {
    state: 'published',
    statements: [{ result: 'approved' }, { result: 'approved' }],
  });
});

t.test('what is not wider passes by; what is wider waits, in words', async (t) => {
  const same = await vendor(...publish('1.1.0'));
  t.match(same.data, { published: true });
  const { dma } = CEILING;
  const wide = { ...CEILING, dma: { ...dma, total_bytes: '0x100000' }, generation: 2 };
  await writeFile(scene.at('wide.json'), JSON.stringify(wide));
  const id = await wait('2.0.0', 'wide.json');
  const shown = await run(operatorProgram, ['review', 'show', id, ...dir]);
  t.match(
    shown.stdout,
    'acme/edu/2.0.0/edu.js asks beyond acme/edu/1.1.0/edu.js:\n  + DMA: memory at once grows from 4 KiB to 1 MiB\n  ~ security generation 2, before 1',
  );
  t.match((await vendor('renew', ...to())).data, { role: 'acme' }, 'a renewal passes by');
  t.match((await repo('review', 'approve', id, ...dir, ...key('rev-1'))).data, { approved_by: 1 });
  const late = await repo('review', 'approve', id, ...dir, ...key('rev-2'));
  t.equal(late.error?.code, 'E_CONFLICT', 'the role moved on');
  t.match(late.error?.message, /stands/);
  t.equal((await ironport('submission', id, ...to())).error?.code, 'E_CONFLICT');
});

t.test('a rejection says why, to the vendor', async (t) => {
  const id = await wait('2.0.0', 'wide.json');
  const reason = '1 MiB of DMA is more than this device has';
  const reject = (...more: string[]) => repo('review', 'reject', id, ...dir, ...more);
  t.equal((await reject(...key('rev-1'))).error?.code, 'E_USAGE', 'why is asked');
  t.equal((await reject('--reason', 'a\nb', ...key('rev-1'))).error?.code, 'E_USAGE');
  t.match((await reject('--reason', reason, ...key('rev-1'))).data, { state: 'refused' });
  const asked = await ironport('submission', id, ...to());
  t.match(asked.error, { code: 'E_REVIEW', why: reason });
  t.equal((await repo('review', 'approve', id, ...dir, ...key('rev-2'))).error?.code, 'E_CONFLICT');
  t.equal((await repo('review', 'show', '00000000', ...dir)).error?.code, 'E_NOT_FOUND');
  t.equal((await ironport('submission', 'x', ...to())).error?.code, 'E_USAGE');
  t.equal((await ironport('submission', 'f'.repeat(32), ...to())).error?.code, 'E_NOT_FOUND');
  t.match((await vendor(...publish('1.2.0'))).data, { published: true }, 'others go on');
});

t.test('a role in bins: dividing it passes by, a wider artifact in a bin waits', async (t) => {
  t.match((await vendor('split', '--bins', '2', ...to())).data, { bins: 2 });
  const id = await wait('2.1.0', 'wide.json');
  const { data } = await operator('review', 'show', id, ...dir);
  t.match(data.ceilings, [{ path: 'acme/edu/2.1.0/edu.js', against: 'acme/edu/1.2.0/edu.js' }]);
  const paths = data.files.map(({ path }: { path: string }) => path);
  t.ok(
    paths.some((path: string) => /^metadata\/\d+\.acme\./.test(path)),
    'its bins are named',
  );
  t.match((await repo('review', 'approve', id, ...dir, ...key('rev-1'))).data, { approved_by: 1 });
  t.match((await repo('review', 'approve', id, ...dir, ...key('rev-2'))).data, {
    state: 'published',
  });
  t.match((await vendor('submission', id, ...to())).data, { state: 'published' });
});

t.test('reviewers whose keys have no network: one file goes from one to the next', async (t) => {
  const wider = { ...CEILING, dma: { ...CEILING.dma, total_bytes: '0x200000' }, generation: 3 };
  await writeFile(scene.at('wider.json'), JSON.stringify(wider));
  const id = await wait('3.0.0', 'wider.json');
  const folder = scene.at('offline');
  await operator('review', 'show', id, ...dir, '--out', folder);
  const [first, second] = [scene.at('first.json'), scene.at('second.json')];
  const from = ['--from', folder];
  const approve = (...more: string[]) => repo('review', 'approve', id, ...from, ...more);
  t.match((await approve(...key('rev-1'), '--comment', 'as asked', '--out', first)).data, {
    ...{ id, result: 'approved', file: first, vendor: 'acme' },
  });
  t.match((await operator('review', 'show', id, ...dir)).data, { approved_by: 0, statements: [] });
  t.equal((await approve(...key('rev-1'), '--out', first)).error?.code, 'E_EXISTS');

  const file = await readFile(first, 'utf8');
  const refused = async (what: string, text: string, wanted: string, ...more: string[]) => {
    await writeFile(scene.at('bent.json'), text);
    const given = ['--in', scene.at('bent.json'), '--out', second];
    t.equal((await approve(...key('rev-2'), ...given, ...more)).error?.code, wanted, what);
  };
  const envelope = JSON.parse(file);
  const bent = (change: (said: { predicate: object; subject: unknown[] }) => void): string => {
    const said = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
    change(said);
    const payload = Buffer.from(JSON.stringify(said)).toString('base64');
    return JSON.stringify({ ...envelope, payload });
  };
  await refused('words of their own', file, 'E_USAGE', '--comment', 'me too');
  await refused('half of it', file.slice(0, 40), 'E_JSON');
  await refused('nothing signed', JSON.stringify({ ...envelope, signatures: [] }), 'E_SCHEMA');
  const otherId = bent(({ predicate }) => Object.assign(predicate, { submission: 'a'.repeat(32) }));
  await refused('another submission', otherId, 'E_EVIDENCE');
  await refused(
    'fewer files',
    bent(({ subject }) => subject.pop()),
    'E_EVIDENCE',
  );
  const otherResult = bent(({ predicate }) => Object.assign(predicate, { result: 'rejected' }));
  await refused('another decision', otherResult, 'E_CONFLICT');
  const notLine = bent(({ predicate }) => Object.assign(predicate, { comment: 'a\nb' }));
  await refused('not one line', notLine, 'E_SCHEMA');
  t.equal(
    (await approve(...key('rev-1'), '--in', first, '--out', second)).error?.code,
    'E_NOTHING_TO_DO',
    'one key signs once',
  );
  t.equal(
    (await repo('review', 'reject', id, ...from, ...key('rev-2'), '--in', first)).error?.code,
    'E_CONFLICT',
    'an approval is not turned into a rejection',
  );
  const signed = await run(operatorProgram, [
    ...['review', 'approve', id, ...from, ...key('rev-2'), '--in', first, '--out', second],
  ]);
  t.match(signed.stderr, 'it says: as asked');
  t.equal(JSON.parse(await readFile(second, 'utf8')).signatures.length, 2);

  const submit = (path: string) => repo('review', 'submit', path, '--url', scene.url);
  t.match((await approve(...key('stranger'), '--out', scene.at('stranger-says.json'))).data, {
    id,
  });
  t.equal((await submit(scene.at('stranger-says.json'))).error?.code, 'E_NOT_AUTHORISED');
  t.equal((await submit(scene.at('bent.json'))).error?.code, 'E_SCHEMA');
  await writeFile(scene.at('bent.json'), otherId);
  t.equal((await submit(scene.at('bent.json'))).error?.code, 'E_NOT_FOUND');
  t.match((await submit(first)).data, { state: 'in-review', approved_by: 1, result: 'approved' });
  t.match((await submit(second)).data, { state: 'published', approved_by: 2, needed: 2 });
  t.equal((await submit(second)).error?.code, 'E_CONFLICT', 'it is decided');
});

t.test('without a service nothing is shown', async (t) => {
  await scene.stop();
  t.equal((await repo('review', 'list', ...dir)).error?.code, 'E_NOT_FOUND');
});
