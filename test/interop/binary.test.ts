/** A real binary, an ELF module out of node_modules, goes the whole way and comes out byte for byte. */

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import {
  admit,
  ceremony,
  clientArgs,
  publish,
  startService,
  submitCeremony,
} from '../../scripts/demo/honest.ts';
import { makeScene } from '../../scripts/demo/scene.ts';
import { must } from '../../scripts/demo/support/programs.ts';

const BINARY = 'node_modules/better-sqlite3/prebuilds/linux-x64.node';

t.setTimeout(600_000);

t.test('an ELF module', async (t) => {
  const original = await readFile(BINARY);
  t.same([...original.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46], 'it is one');
  const scene = await makeScene();
  t.teardown(async () => {
    await scene.service?.stop();
    await rm(scene.folder, { recursive: true, force: true });
  });
  await ceremony(scene);
  await submitCeremony(scene);
  await startService(scene);
  await admit(scene, 'acme');
  const target = await publish(scene, BINARY, '1.0.0');
  const address = scene.service?.url ?? '';

  const out = join(scene.host, 'module.node');
  const verdict = await must('ironport-client', [
    ...[address, 'get-verified', target, out],
    ...clientArgs(scene),
  ]);
  t.ok((await readFile(out)).equals(original), 'get-verified');
  t.equal(verdict.outcome, 'downloaded');
  const again = await must('ironport-client', [
    ...[address, 'get-verified', target, out],
    ...clientArgs(scene),
  ]);
  t.equal(again.outcome, 'kept', 'what is there already is not fetched again');
});
