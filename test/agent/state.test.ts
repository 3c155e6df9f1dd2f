/** What the agent keeps: numbers that are used once, its key, its audit log. */

import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { readAudit } from '../../agent/audit.ts';
import { grantSigner, hostId } from '../../agent/identity.ts';
import { parseJournal } from '../../agent/journal.ts';
import { drawDomain, drawNonce } from '../../agent/unique.ts';
import { fromHex, utf8 } from '../../shared/bytes.ts';
import { keyIdentity } from '../../shared/crypto/key.ts';
import { refused, agent as run } from './support.ts';

function agentOf(t: Test, chance: string[] = []): Agent {
  const state = mkdtempSync(join(tmpdir(), 'ironport-state-test-'));
  t.teardown(() => rmSync(state, { recursive: true }));
  const random = (length: number): Uint8Array => fromHex(chance.shift() ?? '00'.repeat(length));
  return new Agent({ state, ...(chance.length === 0 ? {} : { random }) });
}

t.test('domain numbers count from 1 and survive', async (t) => {
  const agent = agentOf(t);
  await agent.alone(async () => {
    t.equal(await drawDomain(agent), 1);
    t.equal(await drawDomain(new Agent({ state: agent.state })), 2);
    writeFileSync(join(agent.state, 'unique', 'iommu-domain'), '4294967294\n');
    t.equal(await drawDomain(agent), 0xffff_ffff);
    await t.rejects(drawDomain(agent), { code: 'E_NONCE' }, 'and end with 32 bits');
    for (const text of ['', '0\n', '-1\n', '7', '7\n7\n', 'x\n']) {
      writeFileSync(join(agent.state, 'unique', 'iommu-domain'), text);
      await t.rejects(drawDomain(agent), { code: 'E_STORE' }, JSON.stringify(text));
    }
  });
});

t.test('nonces are never 0 and never drawn twice', async (t) => {
  const agent = agentOf(t, ['00000000', '00000001', '00000001', '00000002', 'fffffffe']);
  await agent.alone(async () => {
    t.equal(await drawNonce(agent), 1, 'not 0');
    t.equal(await drawNonce(agent), 2, 'not 1 again');
    t.equal(await drawNonce(agent), 0xffff_fffe);
    t.equal(
      readFileSync(join(agent.state, 'unique', 'nonces'), 'utf8'),
      '00000001\n00000002\nfffffffe\n',
    );
    await t.rejects(drawNonce(agent), { code: 'E_NONCE' }, 'chance that is all zeros');
    appendFileSync(join(agent.state, 'unique', 'nonces'), '0000');
    await t.rejects(drawNonce(agent), { code: 'E_STORE' }, 'a damaged table is not a short one');
  });
});

t.test('the key and the id of the host are made once, for us alone', async (t) => {
  const agent = agentOf(t);
  await agent.alone(async () => {
    const [first, second] = [await grantSigner(agent), await grantSigner(agent)];
    t.equal(keyIdentity(first.key), keyIdentity(second.key));
    t.equal(statSync(join(agent.state, 'keys', 'grant.json')).mode & 0o777, 0o600);
    const id = await hostId(agent);
    t.match(id, /^[0-9a-f]{32}$/);
    t.equal(await hostId(agent), id);
    t.equal(statSync(agent.state).mode & 0o777, 0o700);
  });
});

async function verified(path: string): Promise<number> {
  const lines = readAudit(path);
  for (let next = await lines.next(); ; next = await lines.next())
    if (next.done === true) return next.value.lines;
}

t.test('the audit log is a chain', async (t) => {
  const agent = agentOf(t);
  const path = join(agent.state, 'audit.jsonl');
  await agent.audit.append({ event: 'one', value: 'a' }, { event: 'two' });
  await new Agent({ state: agent.state }).audit.append({ event: 'three', text: 'ä\n"' });
  t.equal(await verified(path), 3, 'also over two runs');
  t.equal(statSync(path).mode & 0o777, 0o600);
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);

  const broken: [name: string, lines: (string | undefined)[]][] = [
    ['a changed line', [lines[0]?.replace('"a"', '"b"'), lines[1], lines[2]]],
    ['a line taken out', [lines[0], lines[2]]],
    ['the first line taken out', [lines[1], lines[2]]],
    ['two lines swapped', [lines[1], lines[0], lines[2]]],
    ['a line twice', [lines[0], lines[0], lines[1]]],
    ['a line that is none', [lines[0], 'nonsense']],
  ];
  for (const [name, those] of broken) {
    writeFileSync(path, `${those.join('\n')}\n`);
    await t.rejects(verified(path), { code: 'E_STORE' }, name);
    refused(t, await run('audit', 'verify', '--state', agent.state), 'E_STORE', name);
  }
  writeFileSync(path, `${lines.join('\n')}\n{"seq":4,"at":"20`);
  t.equal(await verified(path), 3, 'half a line is of an append under way');
  await new Agent({ state: agent.state }).audit.append({ event: 'four' });
  t.equal(await verified(path), 4, 'and is cut off by the next append');
  await t.rejects(agent.audit.append({ event: 'long', text: 'x'.repeat(100_000) }), {
    code: 'E_TOO_LARGE',
  });
  t.equal(await verified(path), 4);
});

t.test('a long log is read line by line', async (t) => {
  const agent = agentOf(t);
  const text = 'x'.repeat(10_000);
  for (let i = 0; i < 30; i++)
    await agent.audit.append(...Array.from({ length: 10 }, () => ({ event: 'much', text })));
  t.equal(await verified(join(agent.state, 'audit.jsonl')), 300);
  const tail = await run('audit', 'tail', '-n', '2', '--state', agent.state);
  t.strictSame(
    tail.data.lines.map((line: { seq: number }) => line.seq),
    [299, 300],
  );
});

t.test('two agents at once', async (t) => {
  const agent = agentOf(t);
  await agent.alone(async () => {
    const other = new Agent({ state: agent.state });
    await t.rejects(
      other.alone(async () => {}, { waitMs: 0 }),
      { code: 'E_LOCKED' },
    );
  });
});

t.test('journals that are damaged', async (t) => {
  const head = JSON.stringify({
    schema: 'ironport-agent.journal/v1',
    purpose: 'bind',
    device: '0000:00:05.0',
    boot: 'x',
    domain: 1,
    from: { driver: null, override: null },
    to: { driver: 'vfio-pci', override: null },
    stations: [],
  });
  t.equal(parseJournal(utf8(`${head}\n`)).entries.length, 0);
  t.equal(parseJournal(utf8(`${head}\n{"event":"inte`)).entries.length, 0, 'a torn line');
  for (const text of ['', head, `${head}\n{}\n`, `\n${head}\n`, `${head.replace('v1', 'v2')}\n`])
    t.throws(() => parseJournal(utf8(text)), { name: 'IronError' }, text.slice(-20));
});
