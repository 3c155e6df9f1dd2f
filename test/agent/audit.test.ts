/** The audit log against its signed heads: cut, rewound, written anew, and what a copy shows. */

import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { AUDIT_HEAD_PAYLOAD_TYPE, parseAuditHead } from '../../agent/audit-heads.ts';
import { utf8 } from '../../shared/bytes.ts';
import { compactJson } from '../../shared/evidence/compact.ts';
import { parseEnvelope, signEnvelope } from '../../shared/evidence/dsse.ts';
import { AGENT_LIMITS } from '../../shared/limits.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { testKey } from '../support/keys.ts';
import { apply, refused, agent as run, scene } from './support.ts';

interface Log {
  readonly agent: Agent;
  readonly log: string;
  readonly heads: string;
  /** Records events, each as a piece of work of its own, whose end is signed. */
  work(...events: string[]): Promise<void>;
  verify(...more: string[]): ReturnType<typeof run>;
}

function logOf(t: Test, clock?: () => number): Log {
  const state = mkdtempSync(join(tmpdir(), 'ironport-audit-test-'));
  t.teardown(() => rmSync(state, { recursive: true }));
  const agent = new Agent({ state, ...(clock === undefined ? {} : { clock }) });
  return {
    agent,
    log: agent.audit.path,
    heads: agent.heads.path,
    async work(...events) {
      for (const event of events) await agent.alone(() => agent.audit.append({ event }));
    },
    verify: (...more) => run('audit', 'verify', '--state', state, ...more),
  };
}

const linesOf = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const write = (path: string, lines: readonly string[]): void =>
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** A chain in order with other content from `at` on: what a writer with a text editor can make. */
function forge(lines: readonly string[], at: number): string[] {
  let prev = '0'.repeat(64);
  return lines.map((line, i) => {
    const fields = JSON.parse(line);
    const made = JSON.stringify({ ...fields, prev, ...(i >= at ? { forged: true } : {}) });
    const kept = i < at ? line : made;
    prev = sha256(kept);
    return kept;
  });
}

t.test('the end of each piece of work is signed, and nothing twice', async (t) => {
  const { agent, heads, work, verify } = logOf(t);
  t.match((await verify()).error, { code: 'E_NOT_FOUND' }, 'no log yet');
  await work('one', 'two');
  await agent.alone(async () => {});
  t.equal(linesOf(heads).length, 2, 'what changed nothing is not signed');
  await work('three');
  t.match((await verify()).data, { lines: 3, heads: 3, signed_lines: 3 });
  const [first = '', second = ''] = linesOf(heads);
  t.equal(parseAuditHead(utf8(second)).previous, sha256(first), 'heads are a chain too');
  appendFileSync(heads, '{"payload":"');
  t.equal((await verify()).exit, 0, 'half a head is of a crash');
  await work('four');
  t.match((await verify()).data, { lines: 4, heads: 4 }, 'and is cut off by the next one');
});

t.test('one long piece of work is signed from time to time', async (t) => {
  let now = 1_900_000_000;
  const { agent, heads, work } = logOf(t, () => now);
  await work('begun');
  const more = (): Promise<unknown> =>
    agent.alone(() => agent.audit.append({ event: 'more' }), { signs: 'due' });
  for (let i = 1; i < AGENT_LIMITS.auditHeadLines; i++) await more();
  t.equal(linesOf(heads).length, 1);
  await more();
  t.equal(linesOf(heads).length, 2, 'after so many lines');
  now += AGENT_LIMITS.auditHeadSeconds;
  await more();
  t.equal(linesOf(heads).length, 3, 'after so long');
});

t.test('a log that is cut off, rewound or written anew', async (t) => {
  const { agent, log, heads, work, verify } = logOf(t);
  await work('one', 'two', 'three', 'four');
  const lines = linesOf(log);
  const kept = readFileSync(heads);

  const cases: [name: string, reason: string, lines: string[]][] = [
    ['its last line cut off', 'truncated', lines.slice(0, 3)],
    ['all but the first cut off', 'truncated', lines.slice(0, 1)],
    ['nothing left', 'truncated', []],
    ['its last line written anew', 'rewritten', forge(lines, 3)],
    ['all of it written anew', 'rewritten', forge(lines, 0)],
    ['a line changed', 'rewritten', lines.map((one) => one.replace('"two"', '"twx"'))],
    ['two lines swapped', 'broken-chain', [...lines.slice(0, 2), lines[3] ?? '', lines[2] ?? '']],
    ['a line taken out', 'broken-chain', lines.filter((_, i) => i !== 1)],
    ['a line twice', 'broken-chain', [...lines, lines[3] ?? '']],
  ];
  for (const [name, reason, those] of cases) {
    write(log, those);
    refused(t, await verify(), 'E_STORE', name, reason);
  }
  write(log, lines.slice(0, 2));
  await t.rejects(agent.heads.requireSound(), { code: 'E_STORE' }, 'seen without reading it all');
  await work('five', 'six', 'seven');
  t.strictSame(readFileSync(heads), kept, 'a log that does not fit is not signed over');
  refused(t, await verify(), 'E_STORE', 'rewound, and gone on with', 'rewritten');
  write(log, lines);
  t.equal((await verify()).exit, 0, 'the control');
});

t.test('heads that are cut, changed, reordered, or of somebody else', async (t) => {
  const { agent, heads, work, verify } = logOf(t);
  await work('one', 'two', 'three');
  const lines = linesOf(heads);
  const [first = '', second = '', third = ''] = lines;
  const foreign = async (type: string): Promise<string> => {
    const { payload } = parseEnvelope(utf8(third));
    return Buffer.from(
      await signEnvelope(type, payload, [{ signer: testKey('somebody') }]),
    ).toString();
  };
  const other = compactJson({ schema: 'x' });
  for (const [name, those] of [
    ['the first cut off', [second, third]],
    ['one taken out', [first, third]],
    ['two swapped', [first, third, second]],
    ['one twice', [first, second, second, third]],
    ['another signer', [first, second, await foreign(AUDIT_HEAD_PAYLOAD_TYPE)]],
    ['another type', [first, second, await foreign('text/plain')]],
    ['one changed', [first, second.replace('"sig":"', '"sig":"AAAA'), third]],
    ['another document', [Buffer.from(other).toString()]],
    ['no JSON', ['nonsense']],
    ['nested', ['['.repeat(3000)]],
    ['too long', [`{"a":"${'x'.repeat(AGENT_LIMITS.auditHead)}"}`]],
  ] as const) {
    write(heads, those);
    refused(t, await verify(), 'E_STORE', name);
  }
  write(heads, lines);
  const key = agent.place('audit/key.pub.json');
  writeFileSync(key, (await makeKeyFile('ed25519')).publicFile);
  refused(t, await verify(), 'E_STORE', 'another key in its place', 'broken-heads');
  rmSync(key);
  refused(t, await verify(), 'E_NOT_FOUND', 'a key that is gone');
});

t.test('what goes back as a whole is seen by a head that was kept elsewhere', async (t) => {
  const { agent, work, verify } = logOf(t);
  const elsewhere = join(t.testdir({}), 'heads.jsonl');
  await work('one');
  const older = join(t.testdirName, 'older');
  cpSync(agent.state, older, { recursive: true });
  await work('two');
  copyFileSync(agent.heads.path, elsewhere);
  t.equal((await verify('--heads', elsewhere)).exit, 0);
  const go = (...more: string[]) => run('audit', 'verify', '--state', older, ...more);
  t.match(
    (await go()).data.not_checked,
    [/whose key/, /older copy together/],
    'by itself it is in order, and that is not claimed',
  );
  refused(t, await go('--heads', elsewhere), 'E_STORE', 'with the other heads', 'truncated');
});

t.test('heads that are kept elsewhere from the start', async (t) => {
  const place = await scene(t);
  const heads = join(place.folder, 'elsewhere.jsonl');
  const agent = new Agent({ state: place.state, auditHeads: heads });
  await agent.alone(() => agent.audit.append({ event: 'one' }));
  t.equal(linesOf(heads).length, 1);
  const answer = await run('audit', 'verify', '--state', place.state, '--heads', heads);
  t.equal(answer.data.signed_lines, answer.data.lines);
});

t.test('a log that is wiped, and heads that are gone', async (t) => {
  const { agent, log, heads, work, verify } = logOf(t);
  const key = agent.place('audit/key.pub.json');
  const aside = t.testdir({});
  const noted = join(aside, 'key.pub.json');
  const kept = join(aside, 'heads.jsonl');
  const nothing = join(aside, 'nothing.jsonl');
  writeFileSync(nothing, '');
  const fresh = new Agent({ state: join(aside, 'fresh') });
  refused(
    t,
    await run('audit', 'verify', '--state', fresh.state),
    'E_NOT_FOUND',
    'a host that never did anything has no log, and says so',
  );
  await work('one', 'two');
  copyFileSync(key, noted);
  copyFileSync(heads, kept);
  const given = ['--heads', kept];
  t.equal((await verify(...given)).data.heads, 4, 'the control');

  rmSync(log);
  refused(t, await verify(), 'E_STORE', 'no log, and heads about one', 'truncated');
  refused(t, await verify(...given), 'E_STORE', 'the same', 'truncated');
  write(log, []);
  refused(t, await verify(...given), 'E_STORE', 'an empty one', 'truncated');

  // Begun anew, as if the host had never signed anything.
  for (const path of [key, agent.place('audit/key.json'), heads, log]) rmSync(path);
  refused(t, await verify(...given), 'E_NOT_FOUND', 'all of it wiped', 'no-audit-key');
  write(log, []);
  refused(t, await verify(...given), 'E_NOT_FOUND', 'and an empty log', 'no-audit-key');
  refused(t, await verify(...given, '--key', noted), 'E_STORE', 'by the noted key', 'truncated');
  await work('another');
  refused(t, await verify(...given), 'E_STORE', 'by the new key of the host', 'broken-heads');
  refused(t, await verify('--heads', nothing), 'E_STORE', 'heads that are empty', 'no-heads');
  refused(t, await verify('--heads', `${nothing}.gone`), 'E_NOT_FOUND', 'heads that are not there');

  for (const [name, take] of [
    ['gone', () => rmSync(heads)],
    ['emptied', () => writeFileSync(heads, '')],
    ['half a head', () => writeFileSync(heads, '{"payload":"')],
  ] as const) {
    const whole = readFileSync(heads);
    take();
    refused(t, await verify(), 'E_STORE', `heads that are ${name}`, 'no-heads');
    refused(t, await run('audit', 'tail', '--state', agent.state), 'E_STORE', name, 'no-heads');
    const public_ = readFileSync(key);
    rmSync(key);
    refused(t, await verify(), 'E_NOT_FOUND', `and the public half of the key: ${name}`);
    writeFileSync(key, public_);
    writeFileSync(heads, whole);
  }
  t.equal((await verify()).exit, 0, 'the control');
});

t.test('a host whose first line was not signed yet', async (t) => {
  const { agent, verify } = logOf(t);
  await agent.audit.append({ event: 'one' });
  const { data } = await verify();
  t.match(data, { lines: 1, heads: 0, signed_lines: 0 });
  t.match(data.not_checked, [/1 lines after the newest head/, /whose key/, /older copy/]);
});

t.test('an export is verified anywhere', async (t) => {
  const { agent, log, work } = logOf(t);
  await work('one', 'two');
  await agent.audit.append({ event: 'unsigned' });
  const out = join(t.testdir({}), 'export');
  const made = await run('audit', 'export', '--state', agent.state, '--out', out);
  t.match(made.data, { lines: 3, signed_lines: 3 }, 'signed to its end');
  t.strictSame(readFileSync(join(out, 'audit.jsonl')), readFileSync(log));
  refused(
    t,
    await run('audit', 'export', '--state', agent.state, '--out', out),
    'E_EXISTS',
    'a folder that is there',
  );
  const key = join(out, '..', 'noted.pub.json');
  copyFileSync(join(out, 'audit.pub.json'), key);
  const check = (...more: string[]) => run('audit', 'verify', '--in', out, ...more);
  t.match((await check('--key', key)).data, { lines: 3, head: made.data.head });
  writeFileSync(key, (await makeKeyFile('ed25519')).publicFile);
  refused(t, await check('--key', key), 'E_STORE', 'by the key of another host', 'broken-heads');
  write(join(out, 'audit.jsonl'), linesOf(log).slice(0, 2));
  refused(t, await check(), 'E_STORE', 'cut off', 'truncated');
});

t.test('nothing is bound on a log that was rewound', async (t) => {
  const place = await scene(t);
  const log = join(place.state, 'audit.jsonl');
  const lines = linesOf(log);
  write(log, lines.slice(0, -1));
  refused(t, await apply(place), 'E_STORE', 'rewound', 'truncated');
  // As long as what was signed: signing, which has nothing new to sign, does not look.
  write(log, forge(lines, lines.length - 1));
  refused(t, await apply(place), 'E_STORE', 'its last line written anew');
  write(log, lines);
  t.equal((await apply(place)).exit, 0, 'the control');
  const tail = await run('audit', 'tail', '-n', '1', '--state', place.state);
  t.match(tail.data.lines, [{ event: 'bound' }]);
});
