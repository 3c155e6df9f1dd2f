/** Hand-over folders as an honest client makes them, and as nobody should. */

import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { accept } from '../../agent/accept.ts';
import { Agent } from '../../agent/agent.ts';
import { utf8 } from '../../shared/bytes.ts';
import { handoff, sidecarPath } from '../../shared/layout.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { DAY } from '../../shared/time.ts';
import { testKey } from '../support/keys.ts';
import {
  type Answer,
  agent,
  CEILING,
  NAME,
  picture,
  Repository,
  refused,
  stateOf,
  withMembers,
} from './support.ts';

interface Place {
  readonly folder: string;
  readonly state: string;
  readonly repository: Repository;
  /** A new hand-over folder of what is published now. */
  handOver(path?: string): string;
  /** Offers a folder; the root is pinned by the first one. */
  accept(folder: string): Promise<Answer>;
}

async function place(t: Test, repository = new Repository()): Promise<Place> {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-accept-test-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  await repository.add();
  const state = join(folder, 'state');
  const root = repository.rootFile(folder);
  let count = 0;
  return {
    folder,
    state,
    repository,
    handOver: (path = NAME) => repository.handOver(join(folder, `handoff-${count++}`), path),
    accept: (handedOver) => agent('accept', handedOver, '--root', root, '--state', state),
  };
}

const recordOf = (folder: string): string => join(folder, handoff.record);
const targetOf = (folder: string, path = NAME): string => join(folder, handoff.target(path));

/** What nobody may get from a refused hand-over: anything but a line in the log. */
function unchanged(t: Test, { state }: Place, before: Record<string, string>): void {
  const files = (all: Record<string, string>): [string, string][] =>
    Object.entries(all).filter(([, what]) => what.startsWith('file'));
  t.strictSame(files(stateOf(state)), files(before), 'nothing of the agent changed');
}

t.test('an honest hand-over', async (t) => {
  const here = await place(t);
  const accepted = await here.accept(here.handOver());
  t.equal(accepted.exit, 0, accepted.error?.message);
  const { data } = accepted;
  t.equal(data.path, NAME);
  t.equal(data.again, false);
  t.strictSame(Object.keys(data.versions), ['root', 'timestamp', 'snapshot', 'targets', 'acme']);
  const rules = data.checks.map((check: { rule: string }) => check.rule);
  for (const rule of ['TUF 5.2', 'TUF 5.4.2-4', 'TUF 5.7.2', 'evidence: ceiling', 'hardware'])
    t.ok(rules.includes(rule), rule);

  const stored = join(here.state, 'accepted', encodeURIComponent(NAME));
  t.strictSame(
    new Uint8Array(readFileSync(join(stored, 'artifact'))),
    here.repository.files.get(NAME),
  );
  t.strictSame(
    Object.keys(picture(here.state)).filter((path) => path.startsWith('spool/')),
    [],
    'no copy is left over',
  );
  t.match(picture(here.state).accepted, 'folder 700');

  t.equal((await here.accept(here.handOver())).data.again, true, 'the same once more');
  const audit = await agent('audit', 'tail', '--state', here.state);
  t.strictSame(
    audit.data.lines.map((line: { event: string }) => line.event),
    ['accepted', 'accepted'],
  );
});

t.test('the root is pinned once, and by an accepted hand-over only', async (t) => {
  const here = await place(t);
  const folder = here.handOver();
  refused(t, await agent('accept', folder, '--state', here.state), 'E_NO_PIN', 'no root');
  truncateSync(targetOf(folder), 1);
  refused(t, await here.accept(folder), 'E_LENGTH', 'a bad one first');
  t.notOk(existsSync(join(here.state, 'trust', 'root.json')), 'pins nothing');
  t.equal((await here.accept(here.handOver())).exit, 0);
  t.equal((await agent('accept', here.handOver(), '--state', here.state)).exit, 0, 'is remembered');

  const other = new Repository();
  other.sim.nextRoot(() => other.sim.rotateKeys('root'));
  const file = join(here.folder, 'other.json');
  writeFileSync(file, other.sim.roots.get(2) as Uint8Array);
  const before = stateOf(here.state);
  const answer = await agent('accept', here.handOver(), '--root', file, '--state', here.state);
  refused(t, answer, 'E_PIN_EXISTS', 'another root');
  unchanged(t, here, before);
});

/** Each spoils a folder in place. */
const SPOILERS: readonly [
  name: string,
  code: string,
  spoil: (folder: string, here: Place) => void,
][] = [
  ['no record', 'E_NOT_FOUND', (folder) => rmSync(recordOf(folder))],
  ['an empty record', 'E_JSON', (folder) => truncateSync(recordOf(folder), 0)],
  ['half a record', 'E_JSON', (folder) => truncateSync(recordOf(folder), 2000)],
  ['bytes after the record', 'E_JSON', (folder) => appendFileSync(recordOf(folder), '{}')],
  // Sparse: nothing of it is read.
  ['a huge record', 'E_TOO_LARGE', (folder) => truncateSync(recordOf(folder), 2 ** 40)],
  [
    'a field that nobody knows',
    'E_SCHEMA',
    (folder) => edit(folder, (record) => ({ ...record, trust_me: true })),
  ],
  ['no artifact', 'E_NOT_FOUND', (folder) => rmSync(targetOf(folder))],
  ['one bit of the artifact', 'E_HASH', (folder) => flip(targetOf(folder))],
  ['an artifact cut short', 'E_LENGTH', (folder) => truncateSync(targetOf(folder), 3)],
  ['an artifact with more', 'E_LENGTH', (folder) => appendFileSync(targetOf(folder), 'x')],
  [
    'one bit of the ceiling',
    'E_HASH',
    (folder) => flip(targetOf(folder, sidecarPath(NAME, 'ceiling'))),
  ],
  [
    'two sidecars swapped',
    'E_LENGTH',
    (folder) => {
      const [a, b] = (['ceiling', 'sbom'] as const).map((one) =>
        targetOf(folder, sidecarPath(NAME, one)),
      ) as [string, string];
      renameSync(a, `${a}.kept`);
      renameSync(b, a);
      renameSync(`${a}.kept`, b);
    },
  ],
  ['a record that is a link', 'E_IO', (folder, here) => toLink(recordOf(folder), here)],
  ['an artifact that is a link', 'E_IO', (folder, here) => toLink(targetOf(folder), here)],
  [
    'a folder of targets that is a link',
    'E_IO',
    (folder, here) => toLink(join(folder, 'targets'), here),
  ],
  ['a record that is a pipe', 'E_IO', (folder) => toPipe(recordOf(folder))],
  ['an artifact that is a pipe', 'E_IO', (folder) => toPipe(targetOf(folder))],
  [
    'an artifact that is a folder',
    'E_IO',
    (folder) => {
      rmSync(targetOf(folder));
      mkdirSync(targetOf(folder));
    },
  ],
  [
    'another digest in the record',
    'E_HASH',
    (folder) =>
      edit(folder, (record) => {
        (record.artifact as { sha256: string }).sha256 = '0'.repeat(64);
        return record;
      }),
  ],
  [
    'a path that leads out',
    'E_NAME',
    (folder) =>
      edit(folder, (record) => {
        (record.artifact as { path: string }).path = 'acme/../../x';
        return record;
      }),
  ],
  [
    'a role that is missing',
    'E_NETWORK',
    (folder) =>
      edit(folder, (record) => {
        delete (record.metadata as { roles: Record<string, string> }).roles.acme;
        return record;
      }),
  ],
  ['no sidecars', 'E_CEILING', (folder) => edit(folder, (record) => ({ ...record, sidecars: [] }))],
  [
    'the artifact as its own sidecar',
    'E_SCHEMA',
    (folder) => edit(folder, (record) => ({ ...record, sidecars: [record.artifact] })),
  ],
];

function edit(folder: string, change: (record: Record<string, unknown>) => unknown): void {
  const record = JSON.parse(readFileSync(recordOf(folder), 'utf8'));
  writeFileSync(recordOf(folder), JSON.stringify(change(record)));
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  bytes[0] = (bytes[0] as number) ^ 1;
  writeFileSync(path, bytes);
}

/** The same thing, moved elsewhere and linked to. */
function toLink(path: string, { folder }: Place): void {
  const elsewhere = join(folder, `elsewhere-${readdirSync(folder).length}`);
  renameSync(path, elsewhere);
  symlinkSync(elsewhere, path);
}

function toPipe(path: string): void {
  rmSync(path);
  execFileSync('mkfifo', [path]);
}

t.test('folders that are spoiled', async (t) => {
  const here = await place(t);
  for (const [name, code, spoil] of SPOILERS) {
    const folder = here.handOver();
    spoil(folder, here);
    refused(t, await here.accept(folder), code, name);
  }
  t.strictSame(
    Object.entries(stateOf(here.state)).filter(([, what]) => what.startsWith('file')),
    [],
    'nothing was stored by any of them',
  );
  t.equal((await here.accept(here.handOver())).exit, 0);
  const before = stateOf(here.state);
  for (const [name, code, spoil] of SPOILERS) {
    const folder = here.handOver();
    spoil(folder, here);
    refused(t, await here.accept(folder), code, `${name}, of what was accepted before`);
  }
  unchanged(t, here, before);
});

t.test('what else lies in the folder is not looked at', async (t) => {
  const here = await place(t);
  const folder = here.handOver();
  execFileSync('mkfifo', [join(folder, 'pipe'), join(folder, 'targets', 'pipe')]);
  symlinkSync('/etc/passwd', join(folder, 'targets', 'more'));
  t.equal((await here.accept(folder)).exit, 0);
});

t.test('a file exchanged while it is read', async (t) => {
  const here = await place(t);
  const bytes = new Uint8Array(8 * 1024 * 1024).fill(7);
  const path = await here.repository.add({ path: 'acme/edu/1.1.0/big', bytes });
  const folder = here.handOver(path);
  const target = targetOf(folder, path);
  const evil = join(here.folder, 'evil');
  writeFileSync(evil, new Uint8Array(bytes.length).fill(8));
  let exchanged = false;
  await accept(new Agent({ state: here.state }), folder, {
    root: here.repository.rootFile(here.folder),
    onBytes: () => {
      if (!exchanged) renameSync(evil, target);
      exchanged = true;
    },
  });
  t.ok(exchanged);
  const stored = join(here.state, 'accepted', encodeURIComponent(path), 'artifact');
  t.equal(Buffer.compare(readFileSync(stored), Buffer.from(bytes)), 0, 'what was opened is kept');

  // The same in place: now it is the file that was opened which changes.
  const second = here.handOver(path);
  let written = false;
  const late = new Uint8Array(bytes.length).fill(7);
  late[late.length - 1] = 9;
  await t.rejects(
    accept(new Agent({ state: here.state }), second, {
      onBytes: () => {
        if (!written) writeFileSync(targetOf(second, path), late);
        written = true;
      },
    }),
    { code: 'E_HASH' },
  );
});

t.test('an older record after a newer one', async (t) => {
  const here = await place(t);
  const older = here.handOver();
  await here.repository.add({ path: 'acme/edu/1.1.0/edu-driver.mjs' });
  t.equal((await here.accept(here.handOver('acme/edu/1.1.0/edu-driver.mjs'))).exit, 0);
  const before = stateOf(here.state);
  refused(t, await here.accept(older), 'E_ROLLBACK', 'replayed');
  unchanged(t, here, before);
  t.equal((await here.accept(here.handOver())).exit, 0, 'the older version, freshly handed over');
});

t.test('security generations', async (t) => {
  const here = await place(t);
  const fixed = await here.repository.add({ path: 'acme/edu/1.1.0/edu-driver.mjs', generation: 2 });
  t.equal((await here.accept(here.handOver())).exit, 0, 'generation 1 first');
  t.equal((await here.accept(here.handOver(fixed))).exit, 0, 'then generation 2');
  const before = stateOf(here.state);
  const answer = await here.accept(here.handOver());
  refused(t, answer, 'E_ROLLBACK', 'generation 1 again, freshly signed');
  t.strictSame(answer.error.context, { product: 'acme/edu', offered: 1, floor: 2 });
  unchanged(t, here, before);
  const other = await here.repository.add({ path: 'acme/nic/1.0.0/nic', generation: 1 });
  t.equal(
    (await here.accept(here.handOver(other))).exit,
    0,
    'another product has a floor of its own',
  );

  const torn = await here.repository.add({
    path: 'acme/edu/1.2.0/edu-driver.mjs',
    generation: 3,
    ceiling: withMembers(CEILING, { generation: 2 }),
  });
  refused(t, await here.accept(here.handOver(torn)), 'E_CEILING', 'two answers', 'disagree');
});

t.test('who may speak for what', async (t) => {
  const here = await place(t);
  const { repository } = here;

  repository.setHardware('PCI:0x8086');
  repository.publish();
  refused(t, await here.accept(here.handOver()), 'E_NOT_AUTHORISED', 'hardware of somebody else');
  repository.setHardware('PCI:0x1234');
  repository.publish();

  const listed = repository.sim.role('acme')['x-ironport'];
  repository.sim.role('acme')['x-ironport'] = { evidence_keys: [] };
  repository.publish();
  refused(t, await here.accept(here.handOver()), 'E_EVIDENCE', 'no evidence key');
  repository.sim.role('acme')['x-ironport'] = listed as object;

  // The operators list an artifact themselves: no vendor vouches for it.
  const { sim } = repository;
  sim.targets.targets[NAME] = sim.role('acme').targets[NAME] as never;
  repository.publish();
  refused(t, await here.accept(here.handOver()), 'E_NOT_AUTHORISED', 'listed by targets');
  delete sim.targets.targets[NAME];

  // mallory was given acme's paths, and signs with keys of its own.
  const roles = sim.targets.delegations?.roles ?? [];
  const record = () => repository.record();
  sim.delegate('targets', 'mallory', { paths: ['acme/*/*/*'], terminating: true });
  sim.role('mallory').targets = sim.role('acme').targets;
  roles.unshift(...roles.splice(-1));
  repository.publish();
  sim.publish('mallory');
  const roles2 = new Map([...record().roles, ['mallory', sim.fileOf('mallory')]]);
  const folder = repository.handOver(join(here.folder, 'mallory'), NAME, {
    ...record(),
    roles: roles2,
  });
  refused(t, await here.accept(folder), 'E_NOT_AUTHORISED', "another role on the vendor's paths");
  t.notOk(existsSync(join(here.state, 'trust', 'root.json')), 'and nothing was pinned');
});

t.test('signatures', async (t) => {
  const here = await place(t);
  const { sim } = here.repository;
  const signers = sim.signers.get('acme');
  sim.signers.set('acme', [testKey('somebody')]);
  refused(
    t,
    await here.accept(here.handOver()),
    'E_THRESHOLD',
    'a vendor role signed by another key',
  );
  sim.signers.set('acme', signers as never);
  t.equal((await here.accept(here.handOver())).exit, 0);
});

t.test('a new root is followed, kept, and replayed from the agent’s own copy', async (t) => {
  const here = await place(t);
  const { sim } = here.repository;
  t.equal((await here.accept(here.handOver())).exit, 0);
  sim.nextRoot(() => sim.rotateKeys('timestamp'));
  sim.nextRoot();
  here.repository.publish();
  t.equal((await here.accept(here.handOver())).data.versions.root, 3);
  t.ok(existsSync(join(here.state, 'trust', 'roots', '3.json')));

  const record = { ...here.repository.record(), roots: [] };
  const folder = here.repository.handOver(join(here.folder, 'no-roots'), NAME, record);
  t.equal((await here.accept(folder)).data.versions.root, 3, 'a record need not repeat them');

  // The state is put back to the first root: the floor of the root stays.
  for (const version of [2, 3]) rmSync(join(here.state, 'trust', 'roots', `${version}.json`));
  refused(t, await here.accept(folder), 'E_ROLLBACK', 'a chain cut short');
});

t.test('metadata past its expiry', async (t) => {
  const repository = new Repository(systemClock() - 2 * DAY);
  const here = await place(t, repository);
  refused(
    t,
    await here.accept(here.handOver()),
    'E_EXPIRED',
    'a timestamp of the day before yesterday',
  );
});

t.test('what was accepted must be fresh to be bound', async (t) => {
  const here = await place(t);
  await here.accept(here.handOver());
  const { bind } = await import('../../agent/bind.ts');
  const { Sysfs } = await import('../../agent/host/sysfs.ts');
  const later = new Agent({ state: here.state, clock: () => systemClock() + 2 * DAY });
  const request = { name: NAME, bdf: '0000:00:05.0', policy: undefined };
  await t.rejects(bind(later, await Sysfs.open(here.folder), request), { code: 'E_EXPIRED' });
});

t.test('a path never changes its bytes', async (t) => {
  const here = await place(t);
  await here.accept(here.handOver());
  await here.repository.add({ bytes: utf8('another driver under the same name\n') });
  const before = stateOf(here.state);
  refused(t, await here.accept(here.handOver()), 'E_EXISTS', 'other bytes');
  unchanged(t, here, before);
});

t.test('copies that a crash left are removed', async (t) => {
  const here = await place(t);
  await here.accept(here.handOver());
  const left = join(here.state, 'spool', 'left-over');
  mkdirSync(left);
  copyFileSync(join(here.folder, 'root.json'), join(left, 'artifact'));
  await here.accept(here.handOver());
  t.notOk(existsSync(left));
});
