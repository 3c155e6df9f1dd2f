/** What the repository's scanner said later of what is published, as the vendor is shown it. */

import { chmod, writeFile } from 'node:fs/promises';
import t from 'tap';
import { saveScanner } from '../../server/storage/scanner.ts';
import { temporaryHome } from '../server/support.ts';
import { ironport, repo, Scene, vendor } from './support.ts';

const scene = new Scene(temporaryHome(t));
await scene.start();
await scene.admit('acme', 2);
await writeFile(scene.at('driver.bin'), 'a BAD driver');
await vendor(...scene.publishing('driver.bin', '1.0.0', ...scene.root));

t.test('by the id that the operators name', async (t) => {
  t.teardown(() => scene.stop());
  const program = scene.at('scan');
  const finds = 'grep -q BAD "$f" && { echo "$f: Bad FOUND"; exit 1; }';
  await writeFile(program, `#!/bin/sh\nfor f in "$@"; do ${finds}; done; exit 0\n`);
  await chmod(program, 0o755);
  const ask = async (program: string) => {
    await saveScanner(scene.at('repo'), { program, words: [], seconds: 60 });
    const { data } = await repo('scanner', 'rescan', '--dir', scene.at('repo'));
    const to = ['--dir', scene.at('acme'), '--repository', scene.url, ...scene.root];
    return await ironport('submission', data.vendors[0].submission, ...to);
  };
  const clean = await ask('/bin/true');
  t.equal(clean.exit, 0);
  t.match(clean.data, { state: 'published', verdicts: [{ check: 'rescan', ok: true }] });
  const found = await ask(program);
  t.equal(found.exit, 16);
  t.match(found.data, {
    state: 'published',
    verdicts: [
      { check: 'rescan', ok: false, code: 'E_POLICY' },
      { ok: false, detail: /^acme\/edu\/1\.0\.0\/driver\.bin \(SHA-256 .*Bad FOUND$/ },
    ],
  });
});
