/** What a helper was started with, the names, the notes and the answers: all that is read of them. */

import t from 'tap';
import { answerTo } from '../../agent/helper/ask-holder.ts';
import { parseHolderNote } from '../../agent/helper/holder-note.ts';
import { domainOf, holderName, parsePassed, withoutManager } from '../../agent/helper/passed.ts';
import { groupName, groupNamed } from '../../agent/host/left-groups.ts';
import { utf8 } from '../../shared/bytes.ts';
import { HOLDER_LIMITS } from '../../shared/limits.ts';

t.test('descriptors by their names', async (t) => {
  const given = { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'a:b' };
  t.same(parsePassed(given, 7), [
    { fd: 3, name: 'a' },
    { fd: 4, name: 'b' },
  ]);
  const names = (env: object): string[] =>
    parsePassed({ ...given, ...env }, 7).map(({ name }) => name);
  t.same(names({ LISTEN_PID: '8' }), [], 'meant for another');
  t.same(names({ LISTEN_PID: undefined }), []);
  for (const count of ['', '0', '-1', '1e1', ' 2', '02', 'x', '999999'])
    t.same(names({ LISTEN_FDS: count }), [], count);
  for (const list of [undefined, 'a', 'a:b:c'])
    t.same(names({ LISTEN_FDNAMES: list }), ['unknown', 'unknown'], 'none is sure');
  t.equal(names({ LISTEN_FDS: '65000' }).length, HOLDER_LIMITS.passed);
  t.same(withoutManager({ ...given, NOTIFY_SOCKET: '/run/x', PATH: '/bin' }), { PATH: '/bin' });
});

t.test('names', async (t) => {
  t.equal(domainOf(holderName(12)), 12);
  for (const name of ['', 'holder-', 'holder-0', 'holder-01', 'holder--1', 'holder-1 ', 'Holder-1'])
    t.equal(domainOf(name), undefined, name);
  t.equal(domainOf('holder-9999999999999999'), undefined, 'more than there can be');
  const device = '0000:00:05.0';
  t.same(groupNamed(groupName(device, 'broker')), { device, of: 'broker' });
  for (const name of [
    'helper',
    'ironport--driver',
    'ironport-x-driver',
    `ironport-${device}-other`,
  ])
    t.equal(groupNamed(name), undefined, name);
});

t.test('a note says all of it, or nothing', async (t) => {
  const good = {
    ...{ schema: 'ironport-agent.holder/v1', device: '0000:00:05.0', domain: 1 },
    ...{ grant_sha256: 'a'.repeat(64), boot: 'b', process: 1, started: '2' },
  };
  const parse = (change: object) => parseHolderNote(utf8(JSON.stringify({ ...good, ...change })));
  t.match(parse({}), { domain: 1, process: { pid: 1, started: '2' } });
  for (const change of [
    ...[{ schema: 'x' }, { domain: 0 }, { domain: '1' }, { grant_sha256: 'A'.repeat(64) }],
    ...[{ process: 0 }, { process: -1 }, { process: 1.5 }, { started: 2 }, { started: '-2' }],
    ...[{ started: '1'.repeat(21) }, { boot: null }, { more: 1 }],
  ])
    t.throws(() => parse(change), { code: /^E_(SCHEMA|JSON)$/ }, JSON.stringify(change));
});

t.test('a holder answers a question, and nothing else', async (t) => {
  const says = { device: '0000:00:05.0', grantSha256: 'a'.repeat(64), pid: 5 };
  const who = '0'.repeat(32);
  t.same(JSON.parse(answerTo(JSON.stringify({ who }), says) ?? ''), {
    ...{ who, device: says.device, grant_sha256: says.grantSha256, process: 5 },
  });
  for (const line of [
    ...['', '{}', '[]', 'null', '{"who":1}', '{"who":"x"}', `{"who":"${who}0"}`],
    ...[`{"who":"${who}","who":"${who}"}`, `{"who":"${who}","more":1}`, '['.repeat(4000)],
  ])
    t.equal(answerTo(line, says), undefined, line.slice(0, 40));
});
