/** Backups: made while the service publishes, verified before anything appears, and refused when altered. */

import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { type RestoreOptions, restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { program } from '../../server/main.ts';
import { checkTree } from '../../server/publish/fsck.ts';
import { openRepository } from '../../server/repository.ts';
import { startService } from '../../server/service.ts';
import { loadReviewPolicy, saveReviewPolicy } from '../../server/storage/review-policy.ts';
import { Suspended } from '../../server/storage/suspended.ts';
import { IronError } from '../../shared/errors.ts';
import { data } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { TestClock } from '../support/clock.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import { signedRole, signedRoot, testArtifact } from '../support/repository.ts';
import { Caller, clientOf, repositoryOptions, running, temporaryHome } from './support.ts';

const crypto = platformCrypto;

/** A service with a history: two versions of acme, one refused, and one that only waits. */
async function lived(t: Test) {
  const it = await running(t);
  const { caller, acme } = it;
  const artifacts = [await testArtifact(acme), await testArtifact(acme, 'acme/edu/1.1.0/edu.js')];
  await caller.uploadAll(artifacts);
  for (const version of [1, 2]) {
    const role = await signedRole(acme, version, artifacts.slice(0, version));
    if ((await caller.submit('acme', role)).state !== 'published') throw new Error('the set-up');
  }
  await caller.submit('acme', await signedRole(acme, 2, []));
  await new Suspended(it.home).add('other');
  await saveReviewPolicy(it.home, 'first');
  return { ...it, folder: temporaryHome(t) };
}

const backupOf = (home: string, out: string, clock: TestClock) =>
  makeBackup({ home, out, crypto, clock: clock.read });

/** Restores, and looks that a refusal left nothing. */
async function restored(options: Omit<RestoreOptions, 'crypto'>): Promise<string> {
  const above = join(options.home, '..');
  const before = readdirSync(above);
  try {
    await restoreBackup({ crypto, ...options });
    return 'restored';
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    if (readdirSync(above).join() !== before.join()) throw new Error('something was left');
    return error.code;
  }
}

t.test('a file and a folder, there and back', async (t) => {
  const { home, clock, folder, repository, service, acme } = await lived(t);
  for (const out of [join(folder, 'one'), `${join(folder, 'two')}/`]) {
    const report = await backupOf(home, out, clock);
    t.match(report, { root: 1, snapshot: 3, timestamp: 3 });
    t.equal(statSync(report.out).isDirectory(), out.endsWith('/'));
    const to = join(folder, `home${out.endsWith('/')}`);
    mkdirSync(to);
    const { sha256 } = report;
    const done = await restoreBackup({ from: report.out, home: to, crypto, sha256 });
    t.match(done, { complete: true, expired: [], sha256 });
    execFileSync('diff', ['-r', join(home, 'tree'), join(to, 'tree')]);
    t.ok(await new Suspended(to).has('other'));
    t.equal(await loadReviewPolicy(to), 'first', 'what waited waits');
    t.notOk(existsSync(join(to, data.onlineKeys)), 'no key is in it');
    for (const name of readdirSync(join(home, data.onlineKeys))) {
      // Its longest word is the private half.
      const words = readFileSync(join(home, data.onlineKeys, name), 'utf8').match(/[\w+/=-]{30,}/g);
      for (const word of words ?? [name])
        t.equal(spawnSync('grep', ['-raqF', word, report.out]).status, 1, `${name} is not in it`);
    }
    await t.rejects(backupOf(home, out, clock), { code: 'E_EXISTS' });

    // Its keys put back, it goes on where it was.
    cpSync(join(home, data.onlineKeys), join(to, data.onlineKeys), { recursive: true });
    chmodSync(join(to, data.onlineKeys), 0o700);
    const again = await openRepository(repositoryOptions(to, clock));
    const other = await startService(again, { listen: { host: '127.0.0.1', port: 0 } });
    const caller = new Caller(other.url, acme.api, clock);
    const reply = await caller.submit('acme', await signedRole(acme, 3, []));
    t.equal(reply.state, 'published');
    await clientOf(to, clock, readFileSync(join(home, 'tree/metadata/1.root.json'))).refresh();
    await other.close();
    const tree = await checkTree(join(to, 'tree'), { crypto, clock: clock.read });
    t.same(tree.findings, []);
  }
  t.ok(service && repository);
});

t.test('what waits is not in it, and its vendor is told', async (t) => {
  const { home, clock, folder, caller, repository, acme, stop } = await lived(t);
  const secret = await testArtifact(acme, 'acme/edu/2.0.0/edu.js', Buffer.from('under embargo'));
  await caller.uploadAll([secret]);
  // Nobody takes it up: it stays in the queue.
  repository.worker.kick = () => {};
  const { id } = await caller.submitOnly('acme', await signedRole(acme, 3, [secret]));
  // Another one is before the reviewers.
  await saveReviewPolicy(home, 'all');
  const reviewed = await caller.submitOnly('acme', await signedRole(acme, 3, [secret]));
  t.equal(reviewed.state, 'in-review');
  const { out, sha256 } = await backupOf(home, join(folder, 'b'), clock);
  t.notMatch(readFileSync(out, 'latin1'), /under embargo|acme\/edu\/2\.0\.0/);
  await stop();
  const to = join(folder, 'home');
  await restoreBackup({ from: out, home: to, crypto, sha256 });
  cpSync(join(home, data.onlineKeys), join(to, data.onlineKeys), { recursive: true });
  const again = await openRepository(repositoryOptions(to, clock));
  for (const one of [id, reviewed.id])
    t.match(again.intake.find(one, 'acme'), { state: 'refused', error: { code: 'E_TRY_AGAIN' } });
  t.strictSame((await again.desk.list(true)).reviews, []);
  await again.close();
});

t.test('beside publications', async (t) => {
  const { home, clock, folder, caller, acme } = await lived(t);
  let isOver = false;
  let version = 2;
  const publishing = (async () => {
    while (!isOver) {
      version += 1;
      const fresh = await testArtifact(acme, `acme/edu/1.${version}.0/edu.js`);
      await caller.uploadAll([fresh]);
      const { state } = await caller.submit('acme', await signedRole(acme, version, [fresh]));
      if (state !== 'published') throw new Error(state);
    }
  })();
  const seen = new Set<number>();
  for (let at = 0; at < 5; at++) {
    const { out, sha256, snapshot } = await backupOf(home, join(folder, `b${at}`), clock);
    seen.add(snapshot);
    const to = join(folder, `home${at}`);
    await restoreBackup({ from: out, home: to, crypto, sha256 });
    const db = await openRepository(repositoryOptions(to, clock));
    // What its database calls published is in its tree.
    t.ok(db.queue.waiting().count === 0);
    t.equal((await db.current.need()).snapshot.version, snapshot);
    await db.close();
  }
  isOver = true;
  await publishing;
  t.ok(seen.size > 1 && version > 5, `${version} versions, ${seen.size} states`);
});

t.test('altered in any way, it is refused', async (t) => {
  const { home, clock, folder } = await lived(t);
  const { out, sha256 } = await backupOf(home, join(folder, 'good'), clock);
  const { out: other } = await backupOf(home, `${join(folder, 'tree')}/`, clock);
  const good = readFileSync(out);
  const bad = join(folder, 'bad');
  const to = join(folder, 'to');
  const code = async (bytes: Uint8Array, digest: string | null = sha256) => {
    writeFileSync(bad, bytes);
    return await restored({ from: bad, home: to, sha256: digest ?? undefined });
  };
  t.equal(await code(good.subarray(0, good.length - 1)), 'E_STORE', 'one byte short');
  t.equal(await code(good.subarray(0, 60)), 'E_STORE');
  t.equal(await code(new Uint8Array()), 'E_STORE');
  t.equal(await code(Buffer.concat([good, Buffer.from('x')])), 'E_STORE', 'one byte more');
  const text = good.toString('latin1');
  t.equal(
    await code(Buffer.from(text.replace('ironport-backup 1', 'ironport-backup 2'), 'latin1')),
    'E_STORE',
  );
  t.equal(
    await code(Buffer.from(text.replace('"timestamp":3', '"timestamp":4'), 'latin1')),
    'E_STORE',
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const copy = Buffer.from(good);
      copy[at] = (copy[at] as number) ^ by;
      return !['restored'].includes(await code(copy));
    }),
    { numRuns: 40 },
  );

  // Who can write the list anew, too, is met by the repository's own signatures.
  const forge = (change: (lines: string[], content: Buffer) => Buffer): Buffer => {
    const head = /^ironport-backup 1 (\d+) [0-9a-f]{64}\n/.exec(text) as RegExpExecArray;
    const end = head[0].length + Number(head[1]);
    const lines = text.slice(head[0].length, end).trimEnd().split('\n');
    const content = change(lines, Buffer.from(good.subarray(end)));
    const list = Buffer.from(`${lines.join('\n')}\n`, 'latin1');
    const digest = Buffer.from(crypto.sha256(list)).toString('hex');
    return Buffer.concat([
      Buffer.from(`ironport-backup 1 ${list.length} ${digest}\n`),
      list,
      content,
    ]);
  };
  t.equal(
    await code(
      forge((_lines, content) => content),
      sha256,
    ),
    'restored',
    'the forger can do it',
  );
  rmSync(to, { recursive: true });
  const path = (line: string, name: string) => JSON.stringify({ ...JSON.parse(line), path: name });
  const at = (lines: string[], name: string) => lines.findIndex((line) => line.includes(name));
  const forged: Record<string, (lines: string[], content: Buffer) => Buffer> = {
    'a file under another name': (lines, content) => {
      const [a, b] = [at(lines, '1.acme.json'), at(lines, '2.acme.json')];
      [lines[a], lines[b]] = [
        path(lines[a] as string, 'tree/metadata/2.acme.json'),
        path(lines[b] as string, 'tree/metadata/1.acme.json'),
      ];
      return content;
    },
    'a way out of the folder': (lines, content) => {
      lines[1] = path(lines[1] as string, 'tree/targets/../../../../../escaped');
      return content;
    },
    'an absolute path': (lines, content) => {
      lines[1] = path(lines[1] as string, '/tmp/escaped');
      return content;
    },
    'a key': (lines, content) => {
      lines[1] = path(lines[1] as string, 'private/keys/snapshot.json');
      return content;
    },
    'one name twice': (lines, content) => {
      lines[1] = path(lines[1] as string, JSON.parse(lines[2] as string).path);
      return content;
    },
    'one file fewer': (lines, content) => {
      const { length } = JSON.parse(lines.splice(1, 1)[0] as string);
      const about = JSON.parse(lines[0] as string);
      lines[0] = JSON.stringify({ ...about, files: about.files - 1, bytes: about.bytes - length });
      return content.subarray(length);
    },
    'more than it says': (lines, content) => {
      lines.push(lines[1] as string);
      return content;
    },
    'no list': (lines, content) => {
      lines.length = 0;
      return content;
    },
    'a key twice': (lines, content) => {
      lines[1] = (lines[1] as string).replace('{', '{"path":"x",');
      return content;
    },
    'a year of nesting': (lines, content) => {
      lines[1] = '['.repeat(10_000);
      return content;
    },
  };
  for (const [name, change] of Object.entries(forged)) {
    const bytes = forge(change);
    t.match(await code(bytes, null), /^E_(STORE|NAME|JSON)$/, name);
    t.equal(
      await code(bytes),
      name === 'no list' ? 'E_STORE' : 'E_HASH',
      `${name}, where its digest is known`,
    );
  }
  t.notOk(existsSync('/tmp/escaped') || existsSync(join(folder, '..', 'escaped')));

  // A folder: swapped, shortened, lengthened, linked.
  const file = (name: string) => join(other, 'files/tree/metadata', name);
  const alter = async (name: string, act: () => void): Promise<void> => {
    cpSync(other, `${other}.kept`, { recursive: true });
    act();
    t.match(await restored({ from: other, home: to }), /^E_/, name);
    rmSync(other, { recursive: true });
    renameSync(`${other}.kept`, other);
  };
  await alter('swapped', () => {
    renameSync(file('1.acme.json'), file('x'));
    renameSync(file('2.acme.json'), file('1.acme.json'));
    renameSync(file('x'), file('2.acme.json'));
  });
  await alter('shorter', () => truncateSync(file('timestamp.json'), 10));
  await alter('longer', () => appendFileSync(file('timestamp.json'), ' '));
  await alter('gone', () => rmSync(file('1.root.json')));
  await alter('a link', () => {
    renameSync(file('1.root.json'), join(folder, 'root'));
    symlinkSync(join(folder, 'root'), file('1.root.json'));
  });
  t.equal(await restored({ from: other, home: to }), 'restored');
});

t.test('what is signed by nobody is taken only by its digest', async (t) => {
  const { home, clock, folder } = await lived(t);
  const { out } = await backupOf(home, join(folder, 'b'), clock);
  const to = join(folder, 'to');
  const { complete } = await restoreBackup({ from: out, home: to, crypto });
  t.equal(complete, false);
  t.notOk(await new Suspended(to).has('other'));
  const { findings } = await checkTree(join(to, 'tree'), { crypto, clock: clock.read });
  t.same(findings, []);
});

t.test('another repository, an old one, and a place that is taken', async (t) => {
  const { home, clock, folder, operators, repository } = await lived(t);
  const stranger = await running(t);
  const second = await signedRoot(operators, 2);
  await repository.intake.submitOperatorFiles([second], false);
  await repository.worker.drain();
  const { out, sha256: digest } = await backupOf(home, join(folder, 'b'), clock);
  const to = join(folder, 'to');
  // Root 2 follows many a root 1; which of them is in the backup, its digest says.
  t.equal(await restored({ from: out, home: to, root: second }), 'E_NO_PIN');
  const known = { from: out, home: join(folder, 'known'), sha256: digest };
  t.equal(await restored({ ...known, root: second }), 'restored');
  const rootOf = (place: string) => readFileSync(join(place, 'tree/metadata/1.root.json'));
  t.equal(await restored({ from: out, home: to, root: rootOf(stranger.home) }), 'E_PIN_EXISTS');
  t.equal(await restored({ from: out, home: to, root: rootOf(home) }), 'restored');
  t.equal(await restored({ from: out, home: to }), 'E_EXISTS', 'nothing is overwritten');
  writeFileSync(join(folder, 'file'), 'x');
  t.equal(await restored({ from: out, home: join(folder, 'file') }), 'E_EXISTS');
  clock.days(400);
  const { out: old } = await backupOf(home, join(folder, 'old'), clock);
  const done = await restoreBackup({ from: old, home: join(folder, 'to2'), crypto });
  t.match(done.expired, [/E_EXPIRED/], 'what had expired is said, and no reason to lose the rest');
  writeFileSync(join(home, 'tree/metadata/2.acme.json'), 'damaged', { flag: 'r+' });
});

t.test('a damaged tree makes no backup', async (t) => {
  const { home, clock, folder } = await lived(t);
  const place = execFileSync('find', [join(home, 'tree/targets'), '-name', '*.edu.js'], {
    encoding: 'utf8',
  });
  const [first] = place.trim().split('\n');
  chmodSync(first as string, 0o600);
  writeFileSync(first as string, 'something else');
  await t.rejects(backupOf(home, join(folder, 'b'), clock), { code: 'E_STORE' });
  await t.rejects(backupOf(temporaryHome(t), join(folder, 'b'), clock), { code: 'E_STORE' });
  const again = await lived(t);
  await again.stop();
  const old = join(again.home, 'tree/metadata/1.snapshot.json');
  renameSync(old, `${old}.aside`);
  mkdirSync(old);
  await t.rejects(backupOf(again.home, join(folder, 'b'), clock), {
    code: 'E_STORE',
    hint: /^no backup was made/,
  });
  rmSync(old, { recursive: true });
  renameSync(`${old}.aside`, old);
  for (const suffix of ['-wal', '-shm'])
    rmSync(join(again.home, data.database) + suffix, { force: true });
  writeFileSync(join(again.home, data.database), 'this is no database at all');
  await t.rejects(backupOf(again.home, join(folder, 'b'), clock), {
    code: 'E_STORE',
    hint: /^nothing was changed.*fsck --rebuild/,
  });
  t.same(readdirSync(folder), [], 'and leaves nothing');
});

t.test('the commands', async (t) => {
  const { home, folder } = await lived(t);
  const run = (...argv: string[]) => runInProcess(program, [...argv, '--json']);
  const made = documentOf(await run('backup', '--dir', home, '--out', join(folder, 'b')));
  t.match(made, { ok: true, data: { snapshot: 3, files: Number } });
  const to = join(folder, 'to');
  const back = documentOf(
    await run('restore', '--in', join(folder, 'b'), '--dir', to, '--sha256', made.data.sha256),
  );
  t.match(back, { ok: true, data: { complete: true, home: to } });
  t.equal(
    documentOf(await run('restore', '--in', join(folder, 'b'), '--dir', to)).error.code,
    'E_EXISTS',
  );
  t.equal(
    documentOf(await run('restore', '--in', join(folder, 'b'), '--dir', `${to}2`, '--sha256', 'x'))
      .error.code,
    'E_USAGE',
  );
  t.equal(
    documentOf(await run('restore', '--in', join(folder, 'none'), '--dir', `${to}2`)).error.code,
    'E_NOT_FOUND',
  );
});
