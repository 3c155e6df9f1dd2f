/** What the checks said of all that was handed in, shown to operators and auditors beside a service that runs. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { program } from '../../server/main.ts';
import { data } from '../../shared/layout.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { signedRole, testArtifact } from '../support/repository.ts';
import { running, temporaryHome } from './support.ts';

interface Row {
  readonly id: string;
  readonly vendor: string | null;
  readonly state: string;
  readonly refused: readonly string[];
}

t.test('of what was published and of what was refused, each check', async (t) => {
  const it = await running(t);
  const repo = async (...argv: string[]) => {
    const ran = await runInProcess(program, ['verdicts', ...argv, '--dir', it.home, '--json']);
    const { data, error } = documentOf(ran);
    return { data: data as { submissions: Row[] } & Record<string, unknown>, code: error?.code };
  };
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  const good = await it.caller.submit('acme', await signedRole(it.acme, 1, [artifact]));
  const bad = await it.caller.submit('acme', await signedRole(it.acme, 9, [artifact]));
  const { submissions } = (await repo('list')).data;
  t.match(submissions, [
    { id: bad.id, vendor: 'acme', state: 'refused', refused: ['version'] },
    { id: good.id, vendor: 'acme', state: 'published', refused: [] },
    { vendor: null, state: 'published' },
  ]);
  t.same((await repo('list', '--vendor', 'acme', '--limit', '1')).data.submissions.length, 1);
  t.same((await repo('list', '--vendor', 'bolt')).data.submissions, []);
  t.equal((await repo('list', '--vendor', '../x')).code, 'E_NAME');
  for (const reply of [good, bad]) {
    const { data } = await repo('show', reply.id);
    t.same(data.verdicts, reply.verdicts, 'what the vendor is shown');
    t.match(data, { state: reply.state, error: reply.error ?? null });
  }
  t.equal((await repo('show', 'f'.repeat(32))).code, 'E_NOT_FOUND');
  t.match((await repo('show', submissions[2]?.id ?? '')).data, { vendor: null, role: /^root/ });
  await it.stop();
  t.same((await repo('list')).data.submissions.length, 3, 'also when no service runs');
});

t.test('where no repository is', async (t) => {
  const home = temporaryHome(t);
  const ran = await runInProcess(program, ['verdicts', 'list', '--dir', home, '--json']);
  t.equal(documentOf(ran).error?.code, 'E_STORE');
  mkdirSync(join(home, 'private'));
  writeFileSync(join(home, data.database), 'this is no database at all');
  const damaged = await runInProcess(program, ['verdicts', 'list', '--dir', home, '--json']);
  t.match(documentOf(damaged).error, { code: 'E_STORE', hint: /fsck --rebuild/ });
});
