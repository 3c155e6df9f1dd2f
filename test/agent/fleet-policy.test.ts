/** A fleet policy counts by who signed it, and never goes back. */

import { spawn } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { acceptFleetPolicy } from '../../agent/fleet-policy.ts';
import { loadPresent } from '../../agent/trust.ts';
import { utf8 } from '../../shared/bytes.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import {
  HOST_POLICY_PAYLOAD_TYPE,
  parseFleetKeys,
} from '../../shared/evidence/policy/signed-policy.ts';
import { FLEET_POLICY_PAYLOAD_TYPE } from '../../shared/manifest/signed-policy.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { makeKeyFile } from '../../shared/node/signers/file.ts';
import { formatInstant } from '../../shared/time.ts';
import { keyObject } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';
import { operators, type PolicyOptions } from './helper-support.ts';
import { agent, NAME, POLICY, refused, type Scene, scene, stateOf } from './support.ts';

const DAY = 86_400;

t.test('what is refused, and that nothing is changed by it', async (t) => {
  const place = await scene(t);
  const { take, put } = wordsIn(place);
  const good = await take(await put({ version: 7 }));
  t.match(good.data, { version: 7, again: false, entries: 1 });
  const before = stateOf(place.state);

  const cases: readonly (readonly [string, string, PolicyOptions])[] = [
    ['one that is older', 'E_ROLLBACK', { version: 6 }],
    ['another one of the same version', 'E_POLICY', { version: 7, change: { grant_seconds: 1 } }],
    ['signed by one operator', 'E_THRESHOLD', { version: 8, by: operators.slice(0, 1) }],
    [
      'signed twice by one operator',
      'E_THRESHOLD',
      { version: 8, by: [operators[0] as never, operators[0] as never] },
    ],
    ['signed by somebody else', 'E_SIGNATURE', { version: 8, by: [testKey('a'), testKey('b')] }],
    ['one that is over', 'E_EXPIRED', { version: 8, seconds: -1 }],
    ['one that is over now', 'E_EXPIRED', { version: 8, seconds: 0 }],
    ['one that stands for too long', 'E_POLICY', { version: 8, seconds: 31 * DAY }],
    ['signed as something else', 'E_POLICY', { version: 8, payloadType: HOST_POLICY_PAYLOAD_TYPE }],
    ['with a field that is none', 'E_CONFIG', { version: 8, change: { more: 1 } }],
    ['without a version', 'E_CONFIG', { change: { version: undefined } }],
    ['without an expiry', 'E_CONFIG', { version: 8, change: { expires: undefined } }],
    ['with version 0', 'E_CONFIG', { version: 0 }],
    ['with epoch 0', 'E_CONFIG', { version: 8, change: { epoch: 0 } }],
    ['of another epoch', 'E_POLICY', { version: 8, change: { epoch: 2 } }],
  ];
  for (const [name, code, options] of cases) {
    refused(t, await take(await put(options)), code, name);
    t.same(stateOf(place.state), before, `${name}: nothing is changed`);
  }
  const whole = readFileSync(await put({ version: 8 }));
  for (const [name, bytes] of [
    ['cut short', whole.subarray(0, whole.length - 9)],
    ['nothing', Buffer.alloc(0)],
    ['not signed', readFileSync(POLICY)],
    ['huge', Buffer.alloc(3 * 2 ** 20, ' ')],
    ['nested', Buffer.from('['.repeat(100_000))],
  ] as const) {
    const file = join(place.folder, 'bad.json');
    writeFileSync(file, bytes);
    const answer = await take(file);
    t.match(answer.error?.code, /^E_(JSON|SCHEMA|TOO_LARGE)$/, name);
    t.same(stateOf(place.state), before, `${name}: nothing is changed`);
  }
  t.equal(
    (await take(await put({ version: 8 }))).data.version,
    8,
    'control: the next one is taken',
  );
});

t.test('one that was taken stands no longer than it says', async (t) => {
  const place = await scene(t);
  const { take, put, device } = wordsIn(place);
  await take(await put({ version: 1, seconds: DAY }));
  const stored = join(place.state, 'trust/fleet-policy.json');
  t.equal((await agent('plan', NAME, ...device)).exit, 0, 'control');
  // Time is not moved here: what was stored is made older.
  const old = { ...JSON.parse(readFileSync(POLICY, 'utf8')), version: 1 };
  const payload = { ...old, expires: formatInstant(systemClock() - 1) };
  const signers = operators.map((signer) => ({ signer }));
  writeFileSync(
    stored,
    await signEnvelope(FLEET_POLICY_PAYLOAD_TYPE, utf8(JSON.stringify(payload)), signers),
  );
  refused(t, await agent('plan', NAME, ...device), 'E_EXPIRED', 'it is over');
  refused(t, await agent('apply', NAME, ...device), 'E_EXPIRED', 'and nothing is bound');
  writeFileSync(stored, '{');
  refused(t, await agent('apply', NAME, ...device), 'E_STORE', 'a damaged one is no policy');
  refused(t, await take(await put({ version: 9 })), 'E_STORE', 'nor a floor that is gone');
});

t.test('a clock that is set back brings nothing back', async (t) => {
  const place = await scene(t);
  const { take, put } = wordsIn(place);
  await take(await put({ version: 1, seconds: DAY }));
  const now = systemClock();
  const back = new Agent({ state: place.state, clock: () => now - 40 * DAY });
  const present = await loadPresent(back);
  t.ok(Math.abs(present - now) < 3600, 'what was seen fresh is the floor');
  const fleet = parseFleetKeys(readFileSync(join(place.folder, 'fleet-keys.json')));
  const old = readFileSync(await put({ version: 2, seconds: -DAY }));
  await t.rejects(acceptFleetPolicy(back, old, fleet), { code: 'E_EXPIRED' });
  const ahead = new Agent({ state: place.state, clock: () => now + DAY });
  t.equal(await loadPresent(ahead), now + DAY, 'control: a clock that is ahead is believed');
});

t.test('one that was taken counts while those who signed it are operators', async (t) => {
  const place = await scene(t);
  const { take, put, device, name } = wordsIn(place);
  await take(await put({ version: 5 }));
  const [first, second] = operators as [(typeof operators)[0], (typeof operators)[0]];
  const next = testKey('operator 3');
  const asked = (word: string) => agent(word, NAME, ...device);
  t.equal((await asked('plan')).exit, 0, 'control');

  name([first, next]);
  refused(t, await asked('plan'), 'E_THRESHOLD', 'one of them is an operator no more');
  refused(t, await asked('apply'), 'E_THRESHOLD', 'and nothing is bound');
  t.equal((await asked('why')).data.bindable, false, 'which is told');
  name([next, testKey('operator 4')]);
  refused(t, await asked('apply'), 'E_SIGNATURE', 'nor is the other');
  const file = join(place.folder, 'fleet-keys.json');
  rmSync(file);
  refused(t, await asked('apply'), 'E_NOT_FOUND', 'and nobody at all');

  name([first, next]);
  const older = await take(await put({ version: 4, by: [first, next] }));
  refused(t, older, 'E_ROLLBACK', 'its version stays the floor');
  await take(await put({ version: 6, by: [first, next] }));
  t.equal((await asked('apply')).exit, 0, 'what the operators of today signed counts');
  t.equal((await agent('release', ...place.device)).exit, 0, 'the device is free again');
  name([first, second]);
  refused(t, await asked('plan'), 'E_THRESHOLD', 'and so each time');
});

t.test('who stole the keys of the fleet locks no host for good', async (t) => {
  const place = await scene(t);
  const { take, put, device, name } = wordsIn(place);
  const [first, second] = operators as [(typeof operators)[0], (typeof operators)[0]];
  const next = testKey('operator 3');
  const last = Number.MAX_SAFE_INTEGER;
  const ofSecond = { change: { epoch: 2 } };
  refused(
    t,
    await take(await put({ version: last, ...ofSecond })),
    'E_POLICY',
    'no epoch of theirs',
  );
  t.equal((await take(await put({ version: last }))).exit, 0, 'what the thief signs is signed');

  // Of the three operators one was not robbed, and goes on.
  name([first, next]);
  const mended = { version: 1, by: [first, next] };
  const locked = await take(await put(mended));
  refused(t, locked, 'E_ROLLBACK', 'other keys alone do not help');
  t.match(locked.error?.hint, /"epoch": 2/, 'which says what does');
  name([first, next], 2);
  refused(t, await take(await put(mended)), 'E_POLICY', 'signed for the epoch that is over');
  refused(t, await agent('apply', NAME, ...device), 'E_THRESHOLD', 'nor does what stands count');
  t.equal((await take(await put({ ...mended, ...ofSecond }))).exit, 0);
  t.equal((await agent('apply', NAME, ...device)).exit, 0, 'drivers are bound by it');
  refused(t, await take(await put({ version: last, by: [first, second] })), 'E_THRESHOLD', 'gone');
  const back = await put({ version: last, by: [first, next] });
  t.match((await take(back)).error?.context, { reason: 'policy-epoch' }, 'whoever signed it');
  name([first, next]);
  const older = (await take(back)).error;
  t.match(older, { code: 'E_ROLLBACK', context: { reason: 'policy-epoch', offered: 1, floor: 2 } });
  const bound = await agent('why', NAME, ...device);
  t.equal(bound.data.bindable, false, 'and the keys of before bring no epoch back');
});

t.test('a device is bound for the helper by no policy of an environment', async (t) => {
  const place = await scene(t);
  const words = ['apply', NAME, ...place.device, '--json'];
  const program = fileURLToPath(new URL('../../bin/ironport-agent.js', import.meta.url));
  const child = spawn(process.execPath, [program, ...words, '--supervised', '3'], {
    env: { ...process.env, IRONPORT_FLEET_POLICY: POLICY },
    stdio: ['ignore', 'pipe', 'ignore', 'pipe'],
  });
  let text = '';
  child.stdout?.on('data', (piece) => (text += piece));
  await new Promise((resolve) => child.once('close', resolve));
  t.equal(JSON.parse(text).error?.code, 'E_POLICY');
});

t.test('operators sign one after another', async (t) => {
  const place = await scene(t);
  const files: string[] = [];
  const keys = [];
  for (const name of ['one', 'two']) {
    const { file, key } = await makeKeyFile('ed25519');
    files.push(join(place.folder, `${name}.json`));
    writeFileSync(files.at(-1) as string, file, { mode: 0o600 });
    keys.push(keyObject(key));
  }
  const fleet = join(place.folder, 'their-keys.json');
  writeFileSync(fleet, JSON.stringify({ schema: 'ironport.fleet-keys/v1', threshold: 2, keys }), {
    mode: 0o644,
  });
  const expires = formatInstant(systemClock() + DAY);
  const bare = join(place.folder, 'bare.json');
  const policy = { ...JSON.parse(readFileSync(POLICY, 'utf8')), version: 3, expires };
  writeFileSync(bare, JSON.stringify(policy));
  const [first, second] = [
    join(place.folder, 'signed-1.json'),
    join(place.folder, 'signed-2.json'),
  ];
  const sign = (from: string, key: string | undefined, to: string) =>
    agent('policy', 'sign', from, '--key', key ?? '', '--out', to);
  t.match((await sign(bare, files[0], first)).data, { version: 3, signatures: 1, expires });
  const accept = (file: string) =>
    agent('policy', 'accept', file, '--fleet-keys', fleet, '--state', place.state);
  refused(t, await accept(first), 'E_THRESHOLD', 'one is not enough');
  t.match((await sign(first, files[1], second)).data, { signatures: 2 });
  t.equal((await accept(second)).data.version, 3);
  refused(
    t,
    await sign(POLICY, files[0], first),
    'E_CONFIG',
    'nothing without a version is signed',
  );
});

function wordsIn({ folder, state, device }: Scene) {
  const fleet = join(folder, 'fleet-keys.json');
  const name = (of: typeof operators, epoch?: number): void => {
    const keys = of.map(({ key }) => keyObject(key));
    const file = { schema: 'ironport.fleet-keys/v1', epoch, threshold: 2, keys };
    writeFileSync(fleet, JSON.stringify(file), { mode: 0o644 });
  };
  name(operators);
  return {
    /** Makes these the operators of the host. */
    name,
    device: [...device, '--fleet-keys', fleet],
    take: (file: string) =>
      agent('policy', 'accept', file, '--fleet-keys', fleet, '--state', state),
    async put(options: PolicyOptions): Promise<string> {
      const { version = 1, seconds = DAY, by = operators, change = {}, payloadType } = options;
      const expires = formatInstant(systemClock() + seconds);
      const policy = { ...JSON.parse(readFileSync(POLICY, 'utf8')), version, expires, ...change };
      const file = join(folder, 'policy.json');
      const signers = by.map((signer) => ({ signer }));
      const type = payloadType ?? FLEET_POLICY_PAYLOAD_TYPE;
      writeFileSync(file, await signEnvelope(type, utf8(JSON.stringify(policy)), signers));
      return file;
    },
  };
}
