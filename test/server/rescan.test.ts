/** The operators' scanner over what is published: real programs, which find, fail, hang and write without an end. */

import { chmodSync, existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { listedRoles, VendorRescan } from '../../server/intake/scan/rescan.ts';
import { program } from '../../server/main.ts';
import { saveScanner } from '../../server/storage/scanner.ts';
import { runProgram } from '../../shared/cli/run.ts';
import { api, data, tree } from '../../shared/layout.ts';
import { SCANNER_LIMITS } from '../../shared/limits.ts';
import { documentOf, runInProcess } from '../support/program.ts';
import {
  EDU_CEILING,
  signedRole,
  signedTargets,
  type TestArtifact,
  type TestVendor,
  testArtifact,
  testVendor,
} from '../support/repository.ts';
import { Caller, type Running, running, temporaryHome } from './support.ts';

interface Remark {
  readonly path: string;
  readonly sha256: string;
  readonly said: string;
}

interface Rescan {
  readonly files: number;
  readonly found: number;
  readonly failed: number;
  readonly complete: boolean;
  readonly vendors: readonly {
    readonly vendor: string | null;
    readonly submission: string | null;
    readonly files: number;
    readonly found: readonly Remark[];
    readonly failed: readonly Remark[];
    readonly cut: string | null;
  }[];
}

/** Names a scanner of a few lines of shell; `$DIR` is a folder of its own, where each file asked for is noted. */
async function withScanner(t: Test, it: Pick<Running, 'home'>, script: string, seconds = 60) {
  const folder = temporaryHome(t);
  const place = join(folder, 'scan');
  const note = 'for f in "$@"; do echo "$f" >> $DIR/asked; done';
  writeFileSync(place, `#!/bin/sh\nDIR=${folder}\n${note}\n${script}\n`);
  chmodSync(place, 0o755);
  await saveScanner(it.home, { program: place, words: [], seconds });
  return folder;
}

/** Ends at the first find, as not all programs name each. */
const FINDS =
  'for f in "$@"; do grep -q BAD "$f" && { echo "$f: Bad.Word FOUND"; exit 1; }; done; exit 0';

const asked = (folder: string): string[] =>
  existsSync(join(folder, 'asked'))
    ? readFileSync(join(folder, 'asked'), 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];

async function ironport(it: Pick<Running, 'home'>, ...argv: string[]) {
  const ran = await runInProcess(program, [...argv, '--dir', it.home, '--json']);
  const { data, error } = documentOf(ran);
  return { exit: ran.exit, data, error, stderr: ran.stderr };
}

async function rescan(it: Pick<Running, 'home'>, ...argv: string[]) {
  const { data, ...rest } = await ironport(it, 'scanner', 'rescan', ...argv);
  return { ...rest, data: data as Rescan };
}

async function artifacts(vendor: TestVendor, bytes: Readonly<Record<string, string>>) {
  const all: TestArtifact[] = [];
  const device = vendor.name === 'acme' ? '0x1234' : '0x5678';
  const ceiling = { ...EDU_CEILING, devices: [{ vendor: device, device: '0x11e8' }] };
  for (const [version, text] of Object.entries(bytes))
    all.push(
      await testArtifact(vendor, `${vendor.name}/edu/${version}/edu.js`, Buffer.from(text), {
        ceiling,
      }),
    );
  return all;
}

async function published(t: Test, bytes: Readonly<Record<string, string>>) {
  const it = await running(t);
  const all = await artifacts(it.acme, bytes);
  await it.caller.uploadAll(all);
  const reply = await it.caller.submit('acme', await signedRole(it.acme, 1, all));
  t.match(reply, { state: 'published' });
  return { it, all };
}

const placeOf = (it: Running, { path, sha256 }: { path: string; sha256: string }): string =>
  join(it.home, data.tree, tree.target(path, sha256));

t.test('every listed file is looked at once, and what is found is named and kept', async (t) => {
  const { it } = await published(t, {
    '1.0.0': 'good',
    '2.0.0': 'BAD',
    '3.0.0': 'good too',
    '4.0.0': 'BAD, too',
  });
  const quiet = await withScanner(t, it, 'exit 0');
  const clean = await rescan(it);
  t.match(clean, { exit: 0, data: { found: 0, failed: 0, complete: true } });
  const [control, ...places] = asked(quiet);
  t.equal(control, join(it.home, data.tree, tree.timestamp), 'first one of our own');
  t.equal(new Set(places).size, places.length, 'each once');
  t.equal(clean.data.files, places.length);
  t.ok(places.every((place) => place.startsWith(join(it.home, data.tree, 'targets/acme/'))));
  const before = await it.repository.current.need();

  await withScanner(t, it, FINDS);
  const found = await rescan(it);
  t.match(found, { exit: 16, data: { found: 2, failed: 0, complete: true, files: places.length } });
  const [row] = found.data.vendors;
  t.same(
    row?.found.map(({ path, said }) => [path, said]),
    ['2.0.0', '4.0.0'].map((version) => {
      const path = `acme/edu/${version}/edu.js`;
      return [path, `scan said: ${path}: Bad.Word FOUND`];
    }),
    'both, by the names of the vendor, although it ends at the first one',
  );
  const id = row?.submission ?? '';
  const shown = await ironport(it, 'verdicts', 'show', id);
  t.match(shown.data, {
    rescan: true,
    state: 'published',
    vendor: 'acme',
    role: 'acme',
    version: 1,
  });
  const { verdicts } = shown.data as { verdicts: { ok: boolean; detail: string; code?: string }[] };
  t.match(verdicts[0], { ok: false, code: 'E_POLICY', detail: /something was found in 2 files$/ });
  t.match(verdicts[1], {
    ok: false,
    code: 'E_POLICY',
    detail: /^acme\/edu\/2\.0\.0\/edu\.js \(SHA-256 /,
  });
  t.notOk(JSON.stringify(verdicts).includes(it.home), 'no place of this machine is kept');
  const { submissions } = (await ironport(it, 'verdicts', 'list', '--vendor', 'acme')).data as {
    submissions: unknown[];
  };
  t.match(submissions, [
    { id, rescan: true, refused: ['rescan'] },
    { rescan: true, refused: [] },
    { rescan: false, state: 'published' },
  ]);
  t.same((await it.caller.ended(id)).verdicts, verdicts, 'its vendor is shown the same');
  const stranger = new Caller(it.service.url, testVendor('bolt').api, it.clock);
  t.not((await stranger.send('GET', api.submission(id))).status, 200, 'and nobody else');
  t.same((await it.repository.current.need()).snapshot, before.snapshot, 'nothing was published');
  t.match(await it.caller.submit('acme', await signedRole(it.acme, 2, [])), { state: 'published' });
  await it.stop();
  const gone = await rescan(it);
  t.match(gone, { exit: 0, data: { files: 0, found: 0, complete: true } }, 'it is listed no more');
});

t.test('text for people: what was found, and who does what about it', async (t) => {
  const { it } = await published(t, { '1.0.0': 'BAD' });
  await withScanner(t, it, FINDS);
  const ran = await runInProcess(program, ['scanner', 'rescan', '--dir', it.home]);
  t.equal(ran.exit, 16);
  t.match(ran.stdout, /FOUND acme\/edu\/1\.0\.0\/edu\.js: scan said: .*Bad\.Word/);
  t.match(ran.stdout, /nothing that is published was changed/);
  t.match(ran.stdout, /ironport withdraw PRODUCT@VERSION/);
  t.match(ran.stdout, /ironport-repo revocations add [0-9a-f]{64} /);
  t.match(ran.stderr, /warning: acme\/edu\/1\.0\.0\/edu\.js: scan said/, 'told at once');
});

t.test('a file at which it fails takes nothing from the others, and is never clean', async (t) => {
  const cases: [what: string, script: string, why: RegExp][] = [
    [
      'exits',
      'grep -q BOMB "$f" && { echo no memory >&2; exit 2; }',
      /exit status is 2; it said: no memory/,
    ],
    ['is killed', 'grep -q BOMB "$f" && kill -9 $$', /ended by SIGKILL/],
    ['hangs', 'grep -q BOMB "$f" && while :; do sleep 0.05; done', /did not end within 1 s/],
    ['never stops writing', 'grep -q BOMB "$f" && exec yes "$f"', /did not end within 1 s/],
  ];
  for (const [what, line, why] of cases) {
    const { it } = await published(t, { '1.0.0': 'good', '2.0.0': 'a BOMB', '3.0.0': 'BAD' });
    await withScanner(
      t,
      it,
      `for f in "$@"; do ${line}; done; ${FINDS}`,
      what === 'exits' ? 60 : 1,
    );
    const { exit, data } = await rescan(it);
    t.equal(exit, 16, what);
    t.match(data, { found: 1, failed: 1, complete: false }, what);
    const [row] = data.vendors;
    t.match(row?.failed, [{ path: 'acme/edu/2.0.0/edu.js', said: why }]);
    t.ok((row?.failed[0]?.said.length ?? 0) <= SCANNER_LIMITS.said);
    t.match(row?.found, [{ path: 'acme/edu/3.0.0/edu.js' }]);
    await withScanner(t, it, `for f in "$@"; do ${line}; done; exit 0`, what === 'exits' ? 60 : 1);
    t.match(await rescan(it), { exit: 6, data: { found: 0, failed: 1, complete: false } }, what);
    await it.stop();
  }
});

t.test(
  'a scanner that works at nothing is told as that, and nothing is kept as clean',
  async (t) => {
    const { it } = await published(t, { '1.0.0': 'good' });
    const kept = () => it.repository.queue.list(99).filter(({ rescan }) => rescan);
    await withScanner(t, it, 'exit 2');
    t.match(await rescan(it), { exit: 6, error: { code: 'E_IO', why: /exit status is 2/ } });
    await withScanner(t, it, 'exit 1');
    t.match(await rescan(it), { exit: 6, error: { code: 'E_IO', why: /itself signed/ } });
    await saveScanner(it.home, { program: '/nonexistent/scan', words: [], seconds: 5 });
    t.match(await rescan(it), { exit: 6, error: { code: 'E_IO' } });
    t.same(kept(), []);
    // It worked once, and then no more.
    await withScanner(t, it, '[ -e $DIR/once ] && exit 2; : > $DIR/once; exit 0');
    t.match(await rescan(it), { exit: 6, error: { code: 'E_IO' } });
    t.match(kept(), [{ refused: ['rescan'] }], 'what is kept says that it was broken off');
    rmSync(join(it.home, data.scanner));
    t.match(await rescan(it), { error: { code: 'E_NOTHING_TO_DO' } });
    writeFileSync(join(it.home, data.scanner), '{"schema":');
    t.match(await rescan(it), { error: { code: 'E_STORE' } });
  },
);

t.test(
  'what lies in the tree is held against what was signed before it is called clean',
  async (t) => {
    const { it, all } = await published(t, {
      '1.0.0': 'one',
      '2.0.0': 'two',
      '3.0.0': 'three',
      '4.0.0': 'four',
    });
    const files = all.map(({ blobs, entries }) => ({
      path: [...entries.keys()][0] as string,
      sha256: [...blobs.keys()][0] as string,
    }));
    const [changed, longer, gone, link] = files.map((file) => placeOf(it, file)) as [
      string,
      string,
      string,
      string,
    ];
    for (const place of [changed, longer]) chmodSync(place, 0o644);
    writeFileSync(changed, 'eno');
    writeFileSync(longer, 'two and more');
    rmSync(gone);
    rmSync(link);
    symlinkSync('/etc/passwd', link);
    const folder = await withScanner(t, it, 'exit 0');
    const { exit, data: report } = await rescan(it);
    t.equal(exit, 6);
    t.same(
      report.vendors[0]?.failed.map(({ path }) => path).sort(),
      files.map(({ path }) => path).sort(),
    );
    t.match(report.vendors[0]?.failed[0]?.said, /ironport-repo fsck/);
    for (const place of [changed, longer, gone, link]) t.notOk(asked(folder).includes(place));
  },
);

t.test('of one vendor, of late, and of one whose role cannot be read', async (t) => {
  const { it } = await published(t, { '1.0.0': 'BAD' });
  const bolt = testVendor('bolt', { hardwareIds: ['PCI:0x5678'] });
  const { intake, worker } = it.repository;
  await intake.submitOperatorFiles([await signedTargets(it.operators, 2, [it.acme, bolt])], false);
  await worker.drain();
  const caller = new Caller(it.service.url, bolt.api, it.clock);
  const others = await artifacts(bolt, { '1.0.0': 'BAD as well' });
  await caller.uploadAll(others);
  t.match(await caller.submit('bolt', await signedRole(bolt, 1, others)), { state: 'published' });
  await withScanner(t, it, FINDS);
  const both = await rescan(it);
  t.same(
    both.data.vendors.map(({ vendor, found }) => [vendor, found.length]),
    [
      ['acme', 1],
      ['bolt', 1],
    ],
  );
  const one = await rescan(it, '--vendor', 'bolt');
  t.same(
    one.data.vendors.map(({ vendor }) => vendor),
    ['bolt'],
  );
  t.match(await rescan(it, '--vendor', 'cord'), { error: { code: 'E_NOT_FOUND' } });
  t.match(await rescan(it, '--vendor', '../x'), { error: { code: 'E_NAME' } });
  t.not((await rescan(it, '--since', 'yesterday')).error, null);
  const late = await rescan(it, '--since', '2990-01-01T00:00:00Z');
  t.match(late, {
    exit: 0,
    data: { files: 0, vendors: [{ submission: null }, { submission: null }] },
  });
  const all = await rescan(it, '--since', '2000-01-01T00:00:00Z');
  t.equal(all.data.files, both.data.files);
  const place = join(it.home, data.tree, tree.metadata('acme', 1));
  chmodSync(place, 0o644);
  writeFileSync(place, '{');
  const rest = await rescan(it);
  t.equal(rest.exit, 16);
  t.match(rest.data, {
    complete: false,
    vendors: [{ vendor: 'acme', cut: /cannot be read/ }, { found: [{}] }],
  });
});

t.test('broken off, it keeps what it found by then, and has changed nothing', async (t) => {
  const { it } = await published(t, { '1.0.0': 'good', '2.0.0': 'BAD' });
  const folder = await withScanner(
    t,
    it,
    'case "$*" in *timestamp*) exit 0;; esac; : > $DIR/began; while :; do sleep 0.05; done',
  );
  let stdout = '';
  let interrupt = (): void => {};
  const ended = runProgram(program, ['scanner', 'rescan', '--dir', it.home, '--json'], {
    stdout: {
      write(text, done) {
        stdout += text;
        done?.();
      },
    },
    stderr: { write: (_text, done) => done?.() },
    env: {},
    onSignal(stop) {
      interrupt = () => stop('SIGINT');
      return () => {};
    },
  });
  while (!existsSync(join(folder, 'began'))) await sleep(20);
  interrupt();
  t.equal(await ended, 1);
  t.match(JSON.parse(stdout).error, { code: 'E_CANCELLED' });
  const [last] = it.repository.queue.list(1);
  t.match(last, { rescan: true, refused: ['rescan'] });
  await withScanner(t, it, FINDS);
  t.match((await rescan(it)).data, { found: 1, complete: true }, 'the next one begins anew');
});

t.test('a vendor of whom there is too much to say leaves the others their turn', async (t) => {
  const { it } = await published(t, { '1.0.0': 'good' });
  const folder = temporaryHome(t);
  writeFileSync(
    join(folder, 'scan'),
    '#!/bin/sh\ncase "$*" in *timestamp*) exit 0;; esac; exit 2\n',
  );
  chmodSync(join(folder, 'scan'), 0o755);
  const published_ = await it.repository.current.need();
  const names = listedRoles(published_);
  t.same(
    [...names],
    [
      ['acme', ['acme']],
      ['targets', ['targets']],
    ],
  );
  const look = new VendorRescan(
    {
      ...{ home: it.home, published: published_, signal: new AbortController().signal },
      setting: { program: join(folder, 'scan'), words: [], seconds: 5 },
      onBytes() {},
      onRemark() {},
    },
    ['acme'],
  );
  // As if there had been as many already.
  const filler = { path: 'acme/x/1/x', sha256: '0'.repeat(64), said: '' };
  look.report.failed.push(...Array.from({ length: SCANNER_LIMITS.failed - 1 }, () => filler));
  await look.run();
  t.equal(look.report.failed.length, SCANNER_LIMITS.failed);
  t.match(look.report.cut, /so many/);
});
