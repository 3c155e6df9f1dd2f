/** The page at `/` costs no more when vendors list more. */

import t from 'tap';
import { statusPage } from '../../server/http/status-page.ts';
import { openRepository } from '../../server/repository.ts';
import type { PublishedRole } from '../../server/storage/published.ts';
import { utf8 } from '../../shared/bytes.ts';
import { targetEntry } from '../../shared/tuf/build.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { sha256, signedRole, signedTargets, testVendor } from '../support/repository.ts';
import { madeHome, repositoryOptions } from './support.ts';

t.test('one page of targets, whoever lists them', async (t) => {
  const { home, clock, operators, acme } = await madeHome(t);
  const vendors = [acme, testVendor('globex')];
  const repository = await openRepository(repositoryOptions(home, clock));
  t.teardown(() => repository.close());
  const targets = await signedTargets(operators, 2, vendors);
  await repository.intake.submitOperatorFiles([targets], false);
  await repository.worker.drain();
  // What vendors list is read from their files: these lie beside the tree, and nothing refuses them.
  const index = utf8('{}');
  const entry = targetEntry({ length: index.length, sha256: sha256(index) });
  const roles = new Map<string, PublishedRole>();
  for (const vendor of vendors) {
    const { name } = vendor;
    const paths = Array.from({ length: 501 }, (_, i) => `${name}/p${i}/index/index.json`);
    const entries = new Map(paths.map((path) => [path, entry]));
    const bytes = await signedRole(vendor, 1, [], { entries });
    roles.set(name, { bytes, targets: parseTargets(bytes, name) });
  }
  const published = await repository.current.need();
  published.role = async (name) => roles.get(name);
  const page = (query: string): Promise<string> =>
    statusPage(repository.current, clock.now, new URLSearchParams(query));
  const rows = (text: string): number => text.match(/index\.json<\/a>/g)?.length ?? 0;
  const first = await page('');
  t.equal(rows(first), 500, 'not the other vendor’s too');
  t.match(first, 'href="/?role=globex"');
  t.equal(rows(await page('role=globex')), 500);
  t.equal(rows(await page('role=globex&page=2')), 1);
  t.equal(rows(await page('role=nobody')), 0);
});
