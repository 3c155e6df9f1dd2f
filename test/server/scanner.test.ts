/** The operators' scanner: real programs, which pass, find something, fail, hang, and leave things running. */

import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { restoreBackup } from '../../server/backup/restore.ts';
import { makeBackup } from '../../server/backup/write.ts';
import { Turns } from '../../server/intake/scan/turns.ts';
import { program } from '../../server/main.ts';
import { loadScanner, saveScanner } from '../../server/storage/scanner.ts';
import { DRAFT_ROLE_SCHEMA } from '../../shared/api/pending.ts';
import { SUBMISSION_SCHEMA, type SubmissionReply } from '../../shared/api/upload.ts';
import { toBase64, utf8 } from '../../shared/bytes.ts';
import { api, data } from '../../shared/layout.ts';
import { SCANNER_LIMITS } from '../../shared/limits.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { run } from '../cli/support.ts';
import {
  EDU_CEILING,
  signedRole,
  signedTargets,
  type TestArtifact,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { ANNA, approve, artifactOf, handIn, reviewing } from './reviewing.ts';
import { type Answer, Caller, codeOf, type Running, running, temporaryHome } from './support.ts';

/** A scanner of a few lines of shell; `$DIR` is a folder of its own. */
async function withScanner(
  t: Test,
  it: Pick<Running, 'home'>,
  script: string,
  seconds = 60,
): Promise<string> {
  const folder = temporaryHome(t);
  const place = join(folder, 'scan');
  writeFileSync(place, `#!/bin/sh\nDIR=${folder}\n${script}\n`);
  chmodSync(place, 0o755);
  await saveScanner(it.home, { program: place, words: ['--word'], seconds });
  return folder;
}

/** Finds the word BAD, as ClamAV finds what it knows. */
const FINDS =
  'echo "$@" >> $DIR/asked; shift; for f in "$@"; do grep -q BAD "$f" && { echo "$f: Bad.Word FOUND"; exit 1; }; done; exit 0';

const lines = (path: string): string[] =>
  existsSync(path)
    ? readFileSync(path, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

const waitFor = async (path: string): Promise<void> => {
  while (!existsSync(path)) await sleep(20);
};

async function post(it: Running, bytes: Uint8Array): Promise<Answer> {
  const document = { schema: SUBMISSION_SCHEMA, role: 'acme', metadata: toBase64(bytes) };
  return await it.caller.send('POST', api.submissions, utf8(JSON.stringify(document)));
}

const scanOf = ({ verdicts }: SubmissionReply) => verdicts.find(({ check }) => check === 'scan');

async function uploaded(it: Running, ...artifacts: TestArtifact[]): Promise<Uint8Array> {
  await it.caller.uploadAll(artifacts);
  return await signedRole(it.acme, 1, artifacts);
}

t.test('looks at every new file, once, and lets in what it finds nothing in', async (t) => {
  const it = await running(t);
  const folder = await withScanner(t, it, FINDS);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  const first = await it.caller.submit('acme', await signedRole(it.acme, 1, [artifact]));
  t.match(first, { state: 'published' });
  t.match(scanOf(first), { ok: true, detail: 'scan found nothing in 5 files' });
  const [asked = ''] = lines(join(folder, 'asked'));
  const [word, ...places] = asked.split(' ');
  t.equal(word, '--word', 'its own words come first');
  t.same(
    places.sort(),
    [...artifact.blobs.keys()].map((one) => join(it.home, data.blob('acme', one))).sort(),
  );
  const renewed = await it.caller.submit('acme', await signedRole(it.acme, 2, [artifact]));
  t.match(renewed, { state: 'published' });
  t.notOk(scanOf(renewed), 'a renewal brings nothing to look at');
  t.equal(lines(join(folder, 'asked')).length, 1);
});

t.test('what it finds is refused, in the words of the vendor and of the scanner', async (t) => {
  const it = await running(t);
  await withScanner(t, it, FINDS);
  const good = await testArtifact(it.acme);
  const bad = await testArtifact(it.acme, 'acme/edu/2.0.0/edu.js', Buffer.from('BAD'));
  const both = await uploaded(it, good, bad);
  const reply = await it.caller.submit('acme', both);
  t.match(reply, {
    state: 'refused',
    error: {
      code: 'E_POLICY',
      message: "the repository's scanner refuses acme/edu/2.0.0/edu.js",
      why: 'scan said: acme/edu/2.0.0/edu.js: Bad.Word FOUND',
      hint: /^nothing was changed/,
    },
  });
  t.match(scanOf(reply), { ok: false, code: 'E_POLICY' });
  t.notOk(JSON.stringify(reply).includes(it.home), 'no place of this machine is told');
  t.equal((await it.repository.current.need()).version('acme'), 0);
  t.same(it.failures, [], 'nothing of ours failed');
  t.match(await it.caller.submit('acme', await signedRole(it.acme, 1, [good])), {
    state: 'published',
  });
});

t.test('what another check refuses is not looked at', async (t) => {
  const it = await running(t);
  const folder = await withScanner(t, it, FINDS);
  const artifact = await testArtifact(it.acme);
  await it.caller.uploadAll([artifact]);
  const reply = await it.caller.submit('acme', await signedRole(it.acme, 7, [artifact]));
  t.match(reply, { state: 'refused', error: { code: 'E_CONFLICT' } });
  t.same(lines(join(folder, 'asked')), []);
});

t.test('nothing is taken in that it could not look at, and the operators hear of it', async (t) => {
  const it = await running(t);
  const role = await uploaded(it, await testArtifact(it.acme));
  const cases: [what: string, script: string, why: RegExp][] = [
    ['an error of its own', 'echo "no database" >&2; exit 2', /exit status is 2; it said: no data/],
    ['a crash', 'kill -9 $$', /ended by SIGKILL/],
    ['it hangs', 'sleep 600 & echo $! > $DIR/left; sleep 600', /did not end within 1 s/],
  ];
  for (const [what, script, why] of cases) {
    it.failures.length = 0;
    const folder = await withScanner(t, it, script, 1);
    const answer = await post(it, role);
    t.equal(answer.status, 503, what);
    t.match(JSON.parse(answer.body.toString('utf8')).error, {
      code: 'E_TRY_AGAIN',
      message: "the repository's scanner could not look at it",
      hint: /^nothing was changed/,
    });
    t.notOk(answer.body.includes(folder), 'no place of this machine is told');
    t.match(it.failures, [{ code: 'E_IO', why }], what);
    const [left] = lines(join(folder, 'left'));
    if (left === undefined) continue;
    // A process that was killed is there until the kernel comes to it.
    for (let i = 0; i < 500 && isRunning(left); i++) await sleep(20);
    t.notOk(isRunning(left), 'what it started goes with it');
  }
  // The second is an error that the platform throws, where it tells of the first by an event.
  for (const program of ['/nonexistent/scan', '/etc/passwd/scan']) {
    it.failures.length = 0;
    await saveScanner(it.home, { program, words: [], seconds: 5 });
    t.equal(codeOf(await post(it, role)), 'E_TRY_AGAIN', `${program} is not there`);
    t.match(it.failures, [{ code: 'E_IO' }], 'the operators hear of it');
  }
  for (const [file, what] of [
    [data.scanner, 'its own file'],
    [data.reviewPolicy, 'the rule for reviews'],
  ] as const) {
    it.failures.length = 0;
    writeFileSync(join(it.home, file), '{"schema":');
    const answer = await post(it, role);
    t.equal(codeOf(answer), 'E_STORE', `${what} is damaged`);
    t.notOk(answer.body.includes(it.home), 'no place of this machine is told');
    t.match(it.failures, [{ code: 'E_STORE' }], `the operators hear of ${what}`);
    rmSync(join(it.home, file));
  }
  t.equal(it.repository.queue.list(9).filter(({ vendor }) => vendor === 'acme').length, 0);
  t.equal((await post(it, role)).status, 202, 'without a scanner it is taken in');
});

function isRunning(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

t.test('what it leaves running, with its outputs open, holds nobody up', async (t) => {
  const it = await running(t);
  const folder = await withScanner(t, it, 'setsid sleep 600 & echo $! > $DIR/left; exit 0');
  t.teardown(() => {
    for (const pid of lines(join(folder, 'left'))) if (isRunning(pid)) process.kill(Number(pid));
  });
  const role = await uploaded(it, await testArtifact(it.acme));
  t.match(await it.caller.submit('acme', role), { state: 'published' });
});

t.test('while it looks, others publish, and a stop ends it', async (t) => {
  const it = await running(t);
  const other = testVendor('bolt', { hardwareIds: ['PCI:0x5678'] });
  const { intake, worker } = it.repository;
  await intake.submitOperatorFiles([await signedTargets(it.operators, 2, [it.acme, other])], false);
  await worker.drain();
  const folder = await withScanner(
    t,
    it,
    'case "$*" in */bolt/*) exit 0;; esac; : > $DIR/began; while :; do sleep 0.05; done',
  );
  const waiting = post(it, await uploaded(it, await testArtifact(it.acme)));
  await waitFor(join(folder, 'began'));
  const bolt = new Caller(it.service.url, other.api, it.clock);
  const ceiling = { ...EDU_CEILING, devices: [{ vendor: '0x5678', device: '0x11e8' }] };
  const artifact = await testArtifact(other, 'bolt/edu/1.0.0/edu.js', undefined, { ceiling });
  await bolt.uploadAll([artifact]);
  t.match(await bolt.submit('bolt', await signedRole(other, 1, [artifact])), {
    state: 'published',
  });
  const [answer] = await Promise.all([waiting, it.stop()]);
  t.equal(codeOf(answer), 'E_TRY_AGAIN');
  t.same(it.failures, [], 'a stop is no failure');
});

t.test('it is given what waits for reviewers first, and what got its last signature', async (t) => {
  const it = await reviewing(t);
  const folder = await withScanner(t, it, FINDS);
  const first = await handIn(it, 1, [await artifactOf(it)]);
  t.same(
    first.verdicts.slice(-2).map(({ check, ok }) => [check, ok]),
    [
      ['scan', true],
      ['review', true],
    ],
  );
  t.equal(await approve(it, first.id, ANNA), 'published');
  t.equal(lines(join(folder, 'asked')).length, 1, 'not again after the approval');
});

t.test('a change that waits for it keeps its signatures', async (t) => {
  const it = await running(t);
  const folder = await withScanner(t, it, '[ -e $DIR/works ] && exit 0; exit 2');
  const role = await uploaded(it, await testArtifact(it.acme));
  const document = { schema: DRAFT_ROLE_SCHEMA, role: 'acme', metadata: toBase64(role) };
  const body = utf8(JSON.stringify(document));
  t.equal(codeOf(await it.caller.send('POST', api.drafts, body)), 'E_TRY_AGAIN');
  const { pending, worker } = it.repository;
  t.match(await pending.list('acme'), [{ state: 'open' }]);
  await pending.resume();
  t.match(await pending.list('acme'), [{ state: 'open' }], 'it does not work yet');
  writeFileSync(join(folder, 'works'), '');
  await pending.resume();
  await worker.drain();
  t.match(await pending.list('acme'), [{ state: 'published' }]);
});

t.test('it is told nothing of what the service knows', async (t) => {
  const it = await running(t);
  const folder = await withScanner(t, it, 'env > $DIR/env; exit 0');
  process.env.IRONPORT_PASSPHRASE_FILE = '/secret';
  t.teardown(() => {
    delete process.env.IRONPORT_PASSPHRASE_FILE;
  });
  await it.caller.submit('acme', await uploaded(it, await testArtifact(it.acme)));
  const seen = lines(join(folder, 'env')).map((line) => line.split('=')[0]);
  t.ok(seen.includes('PATH'));
  t.notOk(seen.some((name) => name?.startsWith('IRONPORT')));
});

t.test('a backup has it, and a service that comes back looks too', async (t) => {
  const it = await running(t);
  await withScanner(t, it, FINDS);
  await it.stop();
  const out = join(temporaryHome(t), 'backup');
  const { sha256 } = await makeBackup({ home: it.home, out, crypto, clock: it.clock.read });
  const home = join(temporaryHome(t), 'again');
  await restoreBackup({ from: out, home, crypto, sha256 });
  t.same(await loadScanner(home), await loadScanner(it.home));
  const bare = join(temporaryHome(t), 'bare');
  await restoreBackup({ from: out, home: bare, crypto });
  t.equal(await loadScanner(bare), undefined, 'a command is taken by the digest alone');
});

t.test('the commands', async (t) => {
  const home = temporaryHome(t);
  const folder = await withScanner(t, { home }, FINDS);
  rmSync(join(home, data.scanner));
  const place = join(folder, 'scan');
  const repo = async (...argv: string[]) => {
    const ran = await run(program, ['scanner', ...argv, '--json']);
    return { exit: ran.exit, ...JSON.parse(ran.stdout) };
  };
  const dir = ['--dir', home];
  const set = ['set', ...dir, '--json'];
  const ran = await run(program, ['scanner', ...set, '--', place, '--word', '-x']);
  t.match(JSON.parse(ran.stdout).data, { program: place, words: ['--word', '-x'], seconds: 120 });
  t.match((await repo('show', ...dir)).data, { scanner: { program: place } });
  const [good, bad] = [join(folder, 'good'), join(folder, 'bad')];
  writeFileSync(good, 'good');
  writeFileSync(bad, 'BAD');
  t.match(await repo('try', good, ...dir), { exit: 0, data: { found: false } });
  t.match(await repo('try', good, bad, ...dir), { exit: 16, data: { found: true } });
  t.match(await repo('try', join(folder, 'gone'), ...dir), { error: { code: 'E_NOT_FOUND' } });
  t.match(await repo('set', 'scan', ...dir), { error: { code: 'E_CONFIG' } }, 'whose scan?');
  t.match(await repo('set', join(folder, 'gone'), ...dir), { error: { code: 'E_NOT_FOUND' } });
  const long = ['--seconds', String(SCANNER_LIMITS.mostSeconds + 1)];
  t.match(await repo('set', place, ...long, ...dir), { error: { code: 'E_CONFIG' } });
  t.match((await repo('show', ...dir)).data, { scanner: { program: place } }, 'none of it counted');
  t.equal((await repo('off', ...dir)).exit, 0);
  t.match((await repo('show', ...dir)).data, { scanner: null });
  t.match(await repo('try', good, ...dir), { error: { code: 'E_NOTHING_TO_DO' } });
});

t.test('turns: one of a vendor at a time, few in all, and nobody waits for ever', async (t) => {
  const turns = new Turns({ atOnce: 2, waiting: 3, waitSeconds: 60 });
  const { signal } = new AbortController();
  const began: string[] = [];
  const gates = new Map<string, () => void>();
  const take = (vendor: string, name: string) =>
    turns.take(vendor, signal, async () => {
      began.push(name);
      await new Promise<void>((resolve) => gates.set(name, resolve));
      return name;
    });
  const all = [take('a', 'a1'), take('a', 'a2'), take('b', 'b1'), take('c', 'c1')];
  await sleep(0);
  t.same(began, ['a1', 'b1'], 'a second one of the same vendor does not take the place of another');
  const third = take('a', 'a3');
  await t.rejects(take('a', 'a4'), { code: 'E_TRY_AGAIN' }, 'too many of one vendor');
  gates.get('b1')?.();
  await sleep(0);
  t.same(began, ['a1', 'b1', 'c1']);
  gates.get('a1')?.();
  await sleep(0);
  t.same(began, ['a1', 'b1', 'c1', 'a2']);
  gates.get('c1')?.();
  gates.get('a2')?.();
  await sleep(0);
  gates.get('a3')?.();
  t.same(await Promise.all([...all, third]), ['a1', 'a2', 'b1', 'c1', 'a3']);

  const stop = new AbortController();
  const one = new Turns({ atOnce: 1, waiting: 3, waitSeconds: 60 });
  const held = one.take('a', stop.signal, () => sleep(50));
  const waits = one.take('b', stop.signal, async () => {});
  stop.abort();
  await t.rejects(waits, { code: 'E_CANCELLED' });
  await held;
  const short = new Turns({ atOnce: 1, waiting: 3, waitSeconds: 0 });
  const first = short.take('a', signal, () => sleep(50));
  await t.rejects(
    short.take('b', signal, async () => {}),
    { code: 'E_TRY_AGAIN' },
  );
  await first;
});
