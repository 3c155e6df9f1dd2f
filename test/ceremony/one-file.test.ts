/** A first ceremony in one file that goes from machine to machine, and one that asks its questions. */

import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { signList } from '../../server/ceremony/revocations.ts';
import { program } from '../../server/main.ts';
import type { Person } from '../../shared/cli/command.ts';
import { platformCrypto as crypto } from '../../shared/node/crypto.ts';
import { loadFileSigner } from '../../shared/node/signers/file.ts';
import { emptyList } from '../../shared/revocation/list.ts';
import { parseRevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { parseRoot } from '../../shared/tuf/root.ts';
import { parseTargets } from '../../shared/tuf/targets.ts';
import { type Ran, run } from '../cli/support.ts';

const DIR = t.testdir();
const at = (...parts: string[]): string => join(DIR, ...parts);
const key = (name: string): string => at(`${name}.json`);
const pub = (name: string): string => at(`${name}.pub.json`);

interface Answer extends Ran {
  // biome-ignore lint/suspicious/noExplicitAny: what the documents hold is what is tested
  readonly data: any;
  readonly error: { code: string; message: string; why: string | null } | undefined;
}

async function repo(argv: readonly string[], person?: Person): Promise<Answer> {
  const ran = await run(program, [...argv, '--json'], { person });
  const { data, error } = JSON.parse(ran.stdout);
  return { ...ran, data, error };
}

const NAMES = ['r1', 'r2', 'r3', 't1', 's', 'ts', 'team1', 'team2', 'team3', 'hot', 'stranger'];
for (const name of NAMES) await repo(['key', 'make', '--out', key(name)]);

/** Made on the machine of who holds `here`; everybody else is there by a public half. */
function make(out: string, here: string[], ...more: string[]): Promise<Answer> {
  const of = (name: string): string => (here.includes(name) ? key(name) : pub(name));
  const all = (flag: string, ...names: string[]): string[] =>
    names.flatMap((name) => [flag, of(name)]);
  return repo([
    ...['ceremony', '--out', at(out), '--yes', '--root-threshold', '2'],
    ...[...all('--root-key', 'r1', 'r2', 'r3'), ...all('--targets-key', 't1')],
    ...['--snapshot-key', pub('s'), '--timestamp-key', pub('ts'), '--security-threshold', '2'],
    ...[...all('--security-key', 'team1', 'team2', 'team3'), ...all('--renewal-key', 'hot')],
    ...more,
  ]);
}

function round(file: string, ...more: string[]): Promise<Answer> {
  return repo(['ceremony', '--in', at(file), '--yes', ...more]);
}

const keysOf = (...names: string[]): string[] => names.flatMap((name) => ['--key', key(name)]);

t.test('one file collects everything, on five machines, in any order', async (t) => {
  const made = await make('walk.json', ['r1']);
  t.match(made.data, {
    root: { file: at('walk.json'), signatures: [{ have: 1, need: 2 }] },
    targets: { signatures: [{ have: 0, need: 1 }] },
    revocations: { list: null, role: null, have: 0, need: 2 },
  });
  t.match(made.stderr, 'targets needs its one key: if one is lost, no targets can be signed until');
  const second = await round('walk.json', ...keysOf('team3'));
  t.match(second.data.revocations, { list: at('walk.json'), role: null, have: 1, need: 2 });
  t.match(second.stderr, /root 1 says:\n.*the key .* may sign root/);
  t.match(second.stderr, /targets 1 says:\n/);
  t.match(second.stderr, 'warning: targets needs its one key');
  t.match((await round('walk.json', ...keysOf('r3', 't1'))).data, {
    root: { signatures: [{ have: 2, need: 2 }] },
    targets: { signatures: [{ have: 1, need: 1 }] },
  });
  const early = await round('walk.json', ...keysOf('hot'));
  t.match(early.data.revocations, { role: null }, 'a list that is not whole is not listed');
  const text = await run(program, [
    ...['ceremony', '--in', at('walk.json'), '--yes', ...keysOf('team1')],
  ]);
  t.match(text.stdout, `${at('walk.json')} needs more: `);
  t.match(text.stdout, 'on the renewal machine');
  const last = await run(program, [
    ...['ceremony', '--in', at('walk.json'), '--yes', ...keysOf('hot')],
  ]);
  t.match(last.stdout, `${at('walk.json')} is complete; \`ironport-repo submit`);

  // Another signature of the team is another list: the role that lists the old one goes.
  const more = await round('walk.json', '--out', at('more.json'), ...keysOf('team2'));
  t.match(more.data.revocations, { have: 3, role: null });

  mkdirSync(at('repo', 'private', 'keys'), { recursive: true, mode: 0o700 });
  for (const [role, name] of [
    ['snapshot', 's'],
    ['timestamp', 'ts'],
  ] as const)
    writeFileSync(at('repo', 'private', 'keys', `${role}.json`), readFileSync(key(name)), {
      mode: 0o600,
    });
  const submitted = await repo(['submit', at('walk.json'), '--dir', at('repo')]);
  t.match(submitted.data, { state: 'published', role: 'root and targets and revocations' });

  const unpacked = await repo(['ceremony', '--in', at('walk.json'), '--out', at('signed')]);
  t.match(unpacked.data.root, { file: at('signed', '1.root.json') });
  t.equal(parseRoot(readFileSync(at('signed', '1.root.json'))).version, 1);
  t.ok(statSync(at('signed', '1.revocations.json')).size > 0);
});

t.test('what is wrong with a file, or with who signs it', async (t) => {
  await make('hostile.json', ['r1', 't1', 'team1']);
  const before = readFileSync(at('hostile.json'));
  const document = JSON.parse(before.toString('utf8'));
  const refused = async (name: string, code: string, content: Uint8Array | object | string) => {
    const bytes =
      content instanceof Uint8Array || typeof content === 'string'
        ? content
        : JSON.stringify(content);
    writeFileSync(at('bent.json'), bytes);
    t.equal((await round('bent.json', ...keysOf('r2'))).error?.code, code, name);
    t.same(readFileSync(at('bent.json')), Buffer.from(bytes), `${name}: nothing was written`);
  };
  await refused('cut short', 'E_JSON', before.subarray(0, before.length / 2));
  await refused('nested', 'E_JSON', '['.repeat(100_000));
  await refused('huge', 'E_TOO_LARGE', new Uint8Array(9 * 1024 * 1024));
  await refused('without targets', 'E_SCHEMA', { ...document, targets: undefined });
  await refused('with something else', 'E_SCHEMA', { ...document, note: 'hello' });
  await refused('twice the same', 'E_JSON', before.toString('utf8').replace('{', '{"root": "",'));
  await refused('metadata', 'E_SCHEMA', Buffer.from(document.root, 'base64'));
  const later = JSON.parse(Buffer.from(document.root, 'base64').toString('utf8'));
  later.signed.version = 2;
  const root = Buffer.from(JSON.stringify(later)).toString('base64');
  await refused('of a later root', 'E_VERSION', { ...document, root });
  const swapped = { ...document, root: document.targets, targets: document.root };
  await refused('with parts that were exchanged', 'E_SCHEMA', swapped);
  const trust = parseRevocationTrust(
    parseTargets(Buffer.from(document.targets, 'base64'), 'targets').envelope.signed,
  );
  const floors = new Map([['acme/edu', { generation: 9, reason: 'because' }]]);
  const list = { ...emptyList(1, 1_900_000_000), floors };
  const bytes = await signList(crypto, list, trust as never, [await loadFileSigner(key('team1'))]);
  const revoking = { ...document, list: Buffer.from(bytes).toString('base64') };
  await refused('with a list that revokes', 'E_REVOCATIONS', revoking);

  const strange = await round('hostile.json', ...keysOf('stranger'));
  t.match(strange.error, { code: 'E_NOT_AUTHORISED', message: /counts for nothing/ });
  t.equal(
    (await round('hostile.json', ...keysOf('r2', 'stranger'))).error?.code,
    'E_NOT_AUTHORISED',
  );
  t.equal((await round('hostile.json', '--key', pub('r2'))).error?.code, 'E_USAGE');
  t.equal((await round('hostile.json')).error?.code, 'E_USAGE', 'neither a key nor a place');
  const unasked = await repo(['ceremony', '--in', at('hostile.json'), ...keysOf('r2')]);
  t.equal(unasked.error?.code, 'E_USAGE', 'nobody said yes');
  t.same(readFileSync(at('hostile.json')), before, 'as it was');
  t.equal((await make('hostile.json', ['r1'])).error?.code, 'E_EXISTS');

  // A file that was changed on the way has signatures that count for nothing.
  const altered = JSON.parse(Buffer.from(document.root, 'base64').toString('utf8'));
  altered.signed.roles.root.threshold = 1;
  const changed = { ...document, root: Buffer.from(JSON.stringify(altered)).toString('base64') };
  writeFileSync(at('bent.json'), JSON.stringify(changed));
  t.match((await round('bent.json', ...keysOf('t1'))).data.root.signatures, [{ have: 0, need: 1 }]);
});

/** Somebody who answers these questions, in this order. */
function answering(answers: readonly string[]): Person & { readonly asked: string[] } {
  const left = [...answers];
  const asked: string[] = [];
  const next = async (question: string): Promise<string> => {
    asked.push(question);
    const answer = left.shift();
    if (answer === undefined) throw new Error(`nobody answers ${question}`);
    return answer;
  };
  return { asked, secret: next, line: next };
}

t.test('at a terminal it asks, makes a key, and takes n of n only after a warning', async (t) => {
  const person = answering([
    ...[key('r1'), pub('r2'), at('new-root.json'), 'yes', 'horse', 'horse', ''],
    ...['0', 'many', '3', 'no', '2'],
    ...[key('t1'), ''],
    ...[pub('team1'), pub('team2'), '', '2', 'yes', pub('hot')],
    ...[pub('s'), pub('ts'), at('asked.json'), 'yes'],
  ]);
  const { data, stderr, error } = await repo(['ceremony'], person);
  t.equal(error, undefined);
  t.match(data, {
    root: { file: at('asked.json'), signatures: [{ have: 2, need: 2 }] },
    targets: { signatures: [{ have: 1, need: 1 }] },
    revocations: { list: null, have: 0, need: 2 },
  });
  t.match(stderr, 'warning: with 3 of 3 no key may ever be lost');
  t.match(stderr, `note: made ${at('new-root.json')}`);
  t.equal(person.asked.filter((line) => line === 'is that meant (yes or no)').length, 2);
  t.match(person.asked.at(-1), /^sign root 1 and targets 1 with /);
});

t.test('what the options say is not asked, and without a terminal nothing is', async (t) => {
  const person = answering([at('half.json'), 'no']);
  const half = await repo(
    [
      ...['ceremony', '--root-key', key('r1'), '--root-threshold', '1', '--targets-key', key('t1')],
      ...['--snapshot-key', pub('s'), '--timestamp-key', pub('ts'), '--security-key', pub('team1')],
      ...['--renewal-key', pub('hot')],
    ],
    person,
  );
  t.equal(half.error?.code, 'E_CANCELLED', 'the last answer was no');
  t.match(person.asked, [/the file that goes/, /^sign root 1/]);
  const nobody = await repo(['ceremony', '--root-key', key('r1')]);
  t.match(nobody.error, { code: 'E_USAGE', message: /--out is needed/ });
});

t.test('a wrong answer is said, and asked for again', async (t) => {
  writeFileSync(at('phrase'), 'horse\n');
  await repo(['key', 'make', '--out', key('locked'), '--passphrase-file', at('phrase')]);
  writeFileSync(at('no-key.json'), '{"schema": "something else"}');
  writeFileSync(at('taken.json'), 'what somebody signed');
  const person = answering([
    // Root keys: not there, nobody wants one made, a folder, no key, no kind of signer, ...
    ...[pub('nobody'), at('gone.json'), 'no', DIR, at('no-key.json'), 'nonsense:root', ''],
    // ... one whose passphrase is mistyped first, one made with two passphrases, one twice.
    ...[key('locked'), 'donkey', key('locked'), 'horse', at('unmade.json'), 'yes', 'a', 'b'],
    ...[pub('r2'), key('r2'), pub('locked'), pub('r3'), '', '4', '-1', '2'],
    ...[key('t1'), '', ''],
    // The service's: keys that have another part, one that is no file of a key, the same for both.
    ...[pub('r2'), key('t1'), at('no-key.json'), pub('s'), pub('s'), pub('ts')],
    ...[at('taken.json'), join(at('taken.json'), 'below.json'), at('wrong.json'), 'yes'],
  ]);
  const { data, stderr, error } = await repo(['ceremony'], person);
  t.equal(error, undefined, JSON.stringify(error));
  t.match(data.root, { file: at('wrong.json'), signatures: [{ have: 1, need: 2 }] });
  for (const said of [
    `there is no ${pub('nobody')}: whoever has the key brings its public half; once more`,
    `${DIR} is not a regular file: it is a folder; once more`,
    'no kind of signer is called nonsense:; once more',
    'the two passphrases are not the same; once more',
    `${key('r2')} is a key that was named already: a threshold counts keys; once more`,
    `${pub('locked')} is a key that was named already`,
    'that is no number from 1 to 3; once more',
    'that key has another part already',
    `${at('taken.json')} exists already: a file that others may have signed is never replaced; once more`,
  ])
    t.match(stderr, said);
  t.equal(stderr.match(/that key has another part already/g)?.length, 3);
  t.equal(stderr.match(/no-key\.json is not the file of a key/g)?.length, 2);
  t.notOk(existsSync(at('unmade.json')), 'no key was made');
  t.equal(readFileSync(at('taken.json'), 'utf8'), 'what somebody signed');
});

t.test('what is in the way is said before anybody signs', async (t) => {
  mkdirSync(at('full'));
  writeFileSync(at('full', '1.list.json'), 'somebody else’s');
  for (const out of ['taken.json', 'full']) {
    const refused = await make(out, ['r1']);
    t.match(refused.error, { code: 'E_EXISTS', message: /exists already/ });
    t.notMatch(refused.stderr, 'root, which says', 'nothing was begun');
  }
});
