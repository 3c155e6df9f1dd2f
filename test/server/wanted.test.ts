/** What submissions list that wait: a collection keeps it. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { openDatabase } from '../../server/db/open.ts';
import { Queue } from '../../server/db/queue.ts';
import { wantedBlobs } from '../../server/retention/wanted.ts';
import { Quarantine } from '../../server/storage/quarantine.ts';
import { errorBodyOf } from '../../shared/api/upload.ts';
import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { jsonObject } from '../../shared/json/value.ts';
import { data } from '../../shared/layout.ts';
import { ensurePrivateFolder } from '../../shared/node/folders.ts';
import { targetEntry } from '../../shared/tuf/build.ts';
import { TODAY } from '../support/clock.ts';
import {
  sha256,
  signedRole,
  signedTargets,
  testOperators,
  testVendor,
} from '../support/repository.ts';
import { temporaryHome } from './support.ts';

const acme = testVendor('acme');
const digest = (name: string): string => sha256(utf8(name));

/** A role that lists one target, with the digest of its own name. */
function listing(name: string): Promise<Uint8Array> {
  const entry = targetEntry({ length: name.length, sha256: digest(name) }, jsonObject([]));
  return signedRole(acme, 2, [], { entries: new Map([[`acme/edu/1.0.0/${name}`, entry]]) });
}

async function parts(t: Test) {
  const home = temporaryHome(t);
  await ensurePrivateFolder(join(home, data.private));
  const db = openDatabase(join(home, data.database));
  t.teardown(() => db.close());
  return { home, queue: new Queue(db), quarantine: new Quarantine(home) };
}

const ROLE = { role: 'acme', version: 2, verdicts: [] };

t.test('the files of a submission, and of the roles below it', async (t) => {
  const { home, queue, quarantine } = await parts(t);
  const bin = await listing('bin');
  const place = join(home, data.blob('acme', sha256(bin)));
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, bin);
  const below = [
    { role: 'acme.b1-0', sha256: sha256(bin) },
    // What is not there will be refused, and wants nothing.
    { role: 'acme.b1-1', sha256: digest('lost') },
  ];
  const files = [await listing('own')];
  await queue.add({ ...ROLE, id: '1', vendor: 'acme', files, below }, TODAY);
  const wanted = await wantedBlobs({ queue, quarantine });
  const has = (name: string) => wanted.has({ sha256: digest(name) });
  t.ok(has('own'), 'whoever listed it before');
  t.ok(has('bin'), 'a role below is among what was uploaded');
  t.notOk(has('other'));
});

t.test('a role below that cannot be read stops it', async (t) => {
  const { home, queue, quarantine } = await parts(t);
  const place = join(home, data.blob('acme', digest('bin')));
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, '{');
  const below = [{ role: 'acme.b1-0', sha256: digest('bin') }];
  await queue.add({ ...ROLE, id: '1', vendor: 'acme', files: [], below }, TODAY);
  await t.rejects(wantedBlobs({ queue, quarantine }), { code: 'E_JSON' });
});

t.test('neither files of the operators, nor what was refused', async (t) => {
  const { home, queue, quarantine } = await parts(t);
  const entry = targetEntry({ length: 1, sha256: digest('theirs') });
  const targets = new Map([['acme/edu/1.0.0/theirs', entry]]);
  const theirs = await signedTargets(await testOperators(home), 2, [acme], { targets });
  const operators = { id: '1', vendor: null, role: 'targets', version: 2, verdicts: [] };
  await queue.add({ ...operators, files: [theirs, utf8('a root, say')] }, TODAY);
  const error = errorBodyOf(new IronError('E_HASH', 'other bytes'));
  const files = [await listing('refused')];
  await queue.add({ ...ROLE, id: '2', vendor: 'acme', files, error }, TODAY);
  const wanted = await wantedBlobs({ queue, quarantine });
  for (const name of ['theirs', 'refused']) t.notOk(wanted.has({ sha256: digest(name) }), name);
});
