/** A vendor's keys are exchanged in one snapshot, and a vendor is suspended at once. */

import t from 'tap';
import { program } from '../../server/main.ts';
import { Suspended } from '../../server/storage/suspended.ts';
import { OPERATOR_FILES_SCHEMA, submissionReply } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { api } from '../../shared/layout.ts';
import { DAY } from '../../shared/time.ts';
import { run } from '../cli/support.ts';
import { testKey } from '../support/keys.ts';
import { signedRole, signedTargets, testArtifact, testVendor } from '../support/repository.ts';
import { call, clientOf, codeOf, type Running, running } from './support.ts';

async function handIn(it: Running, ...files: Uint8Array[]) {
  const body = utf8(JSON.stringify({ schema: OPERATOR_FILES_SCHEMA, files: files.map(toBase64) }));
  const answer = await call(
    ...([it.service.url, 'POST', api.operatorFiles] as const),
    ...([{ 'content-type': 'application/json' }, body] as const),
  );
  if (answer.status !== 202) return { state: 'refused', error: { code: codeOf(answer) } } as const;
  const { id } = submissionReply.parse(JSON.parse(answer.body.toString('utf8')));
  const end = await call(it.service.url, 'GET', `${api.submission(id)}?wait=20`);
  return submissionReply.parse(JSON.parse(end.body.toString('utf8')));
}

t.test('targets and the role signed again, in one snapshot', async (t) => {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  t.match(await it.caller.submit('acme', await signedRole(it.acme, 1, [artifact])), {
    state: 'published',
  });
  const fresh = testVendor('acme', { tuf: [testKey('acme tuf 3')], threshold: 1 });
  const targets = await signedTargets(it.operators, 2, [fresh]);
  const role = (version: number, change: object = {}) =>
    signedRole(fresh, version, [artifact], change);
  const before = (await it.repository.current.need()).snapshot.version;

  const other = await testArtifact(it.acme, 'acme/edu/2.0.0/edu.js');
  const refused: [string, string, Uint8Array[]][] = [
    ['by the keys that go', 'E_THRESHOLD', [targets, await signedRole(it.acme, 2, [artifact])]],
    ['by a stranger', 'E_THRESHOLD', [targets, await role(2, { signers: [testKey('stranger')] })]],
    ['with something new', 'E_POLICY', [targets, await signedRole(fresh, 2, [artifact, other])]],
    ['with something gone', 'E_POLICY', [targets, await signedRole(fresh, 2, [])]],
    ['of the version that stands', 'E_CONFLICT', [targets, await role(1)]],
    ['of a version too far', 'E_CONFLICT', [targets, await role(3)]],
    ['expired', 'E_EXPIRED', [targets, await role(2, { expires: it.clock.now })]],
    ['for too long', 'E_POLICY', [targets, await role(2, { expires: it.clock.now + 92 * DAY })]],
    ['twice', 'E_USAGE', [targets, await role(2), await role(2)]],
    ['without targets', 'E_THRESHOLD', [await role(2), await role(2)]],
    ['with two targets', 'E_USAGE', [targets, await signedTargets(it.operators, 2, [])]],
  ];
  for (const [name, code, files] of refused)
    t.match(await handIn(it, ...files), { error: { code } }, name);
  t.equal((await it.repository.current.need()).snapshot.version, before, 'nothing was published');

  // In either order, because files have no names here.
  const reply = await handIn(it, await role(2), targets);
  t.match(reply, { state: 'published' });
  const published = await it.repository.current.need();
  t.equal(published.snapshot.version, before + 1, 'one snapshot');
  t.match([published.targets.version, published.version('acme')], [2, 2]);
  const pin = published.roots.get(1);
  if (pin === undefined) throw new Error('no root 1');
  const client = clientOf(it.home, it.clock, pin);
  t.ok(await client.find('acme/edu/1.0.0/edu.js'), 'and a host verifies it');
  t.notOk(/delegations/.test(JSON.stringify(reply)), 'nobody has to sign again');
});

t.test('a suspended vendor', async (t) => {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  await it.caller.submit('acme', await signedRole(it.acme, 1, [artifact]));
  const suspend = async (...argv: string[]) =>
    JSON.parse(
      (await run(program, ['vendor', 'suspend', ...argv, '--dir', it.home, '--json'])).stdout,
    );

  t.match(await suspend('globex'), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.match(await suspend('acme', '--lift'), { ok: false, error: { code: 'E_NOTHING_TO_DO' } });
  const out = `${it.home}/2.targets.json`;
  const said = await suspend('acme', '--out', out);
  t.match(said.data, {
    suspended: true,
    trusted: { version: 1, targets: 5 },
    file: out,
    complete: false,
  });
  // What was urgent was done, also where the rest could not be.
  t.match((await suspend('acme', '--lift')).data, { suspended: false });
  const taken = await suspend('acme', '--out', out, '--expires-in', '30d');
  t.match(taken.error, {
    code: 'E_EXISTS',
    why: /acme is suspended all the same/,
    hint: /the targets without it were not written/,
  });
  const [digest] = artifact.blobs.keys();
  const refusals = [
    await it.caller.send('HEAD', api.blob(digest as string)),
    await it.caller.send('POST', api.submissions, utf8('{}')),
  ];
  t.same(
    refusals.map(({ status }) => status),
    [403, 403],
    'at once, while the service runs',
  );
  const again = await it.restart();
  t.equal((await again.caller.send('POST', api.submissions, utf8('{}'))).status, 403, 'and after');

  t.match((await suspend('acme', '--lift')).data, { suspended: false });
  t.match(await again.caller.submit('acme', await signedRole(it.acme, 2, [artifact])), {
    state: 'published',
  });
});

t.test('what waits when a vendor is suspended', async (t) => {
  const it = await running(t);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  const bytes = await signedRole(it.acme, 1, [artifact]);
  // Judged and queued, and not taken up yet: nobody kicked the worker.
  const { id } = await it.repository.intake.submitRole({ vendor: 'acme', role: 'acme', bytes });
  await new Suspended(it.home).add('acme');
  await it.repository.worker.drain();
  t.match(it.repository.intake.find(id, 'acme'), {
    state: 'refused',
    error: { code: 'E_NOT_AUTHORISED' },
  });
});
