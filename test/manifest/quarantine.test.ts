/** Which device is meant, and statements of release: who signed, what for, and until when. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import { HOST_POLICY_PAYLOAD_TYPE } from '../../shared/evidence/policy/signed-policy.ts';
import {
  type DeviceName,
  heldPlacesOf,
  isInIncident,
  type Named,
  parseRelease,
  parseReleaseDraft,
  placesOf,
  RELEASE_PAYLOAD_TYPE,
  releaseDraft,
  releasePayload,
  requireAbout,
  tellingName,
  verifyRelease,
} from '../../shared/manifest/quarantine.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { type TestKey, testKey } from '../support/keys.ts';

const DEVICE: DeviceName = {
  ...{ path: '0000:00:05.0', vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4 },
  ...{ subsystemDevice: 0x1100, class: 0x00ff00, revision: 0x10, serial: null },
};
const SERIAL = '00-11-22-33-44-55-66-77';
const NAMED: Named = {
  ...{ incident: 'ab'.repeat(16), host: 'cd'.repeat(16), device: DEVICE },
  auditSha256: 'ef'.repeat(32),
};
const NOW = 1_900_000_000;
const EXPIRES = NOW + 3600;
const operators = [testKey('operator 1'), testKey('operator 2'), testKey('operator 3')];
const FLEET = { epoch: 1, threshold: 2, keys: operators.map(({ key }) => key) };

const sign = (payload: Uint8Array, by: readonly TestKey[], type = RELEASE_PAYLOAD_TYPE) =>
  signEnvelope(
    type,
    payload,
    by.map((signer) => ({ signer })),
  );
const two = operators.slice(0, 2);
const verify = (bytes: Uint8Array, now = NOW) => verifyRelease(platformCrypto, bytes, FLEET, now);

t.test('which device is meant', async (t) => {
  const named = { ...DEVICE, serial: SERIAL };
  const moved = { ...named, path: '0000:81:00.0' };
  const other = { ...named, serial: SERIAL.replace('77', '78') };
  const neighbour = { ...DEVICE, path: '0000:00:06.0' };
  const places = (quarantined: DeviceName, ...found: DeviceName[]): string[] =>
    placesOf(
      quarantined,
      found.map((name) => ({ path: name.path, name })),
    );
  const [here, there] = [DEVICE.path, moved.path];
  t.strictSame(places(DEVICE, DEVICE, neighbour), [here], 'not its neighbour of one kind');
  t.strictSame(places(DEVICE, { ...DEVICE, device: 1 }), [here], 'other ids at its address');
  t.strictSame(places(named, DEVICE), [here], 'one that hides its serial number');
  t.strictSame(places(DEVICE, named), [here], 'one that shows it later');
  t.strictSame(places(named, other), [here], 'one that shows another one');
  t.strictSame(places(named, moved), [there], 'its serial number goes with it');
  t.strictSame(places(named, { ...moved, device: 1 }), [there], 'with another device id too');
  t.strictSame(places(named, { ...moved, vendor: 1 }), [], 'a number of another vendor');
  t.strictSame(places(named, moved, other), [there, here], 'what came to its slot may be it, too');
  for (const byte of ['00', 'ff']) {
    const none = { ...named, serial: Array(8).fill(byte).join('-') };
    t.strictSame(places(none, none, { ...none, path: there }), [here], `no number: ${byte}`);
  }
  const unread = [
    { path: here, name: undefined },
    { path: there, name: undefined },
  ];
  t.strictSame(placesOf(named, unread), [here], 'what cannot be read is told by its address');
  t.strictSame(places(named), [], 'gone');
});

t.test('which of them are taken from the host, and by what they are told', async (t) => {
  const named = { ...DEVICE, serial: SERIAL };
  const present = (...found: DeviceName[]) => found.map((name) => ({ path: name.path, name }));
  const sibling = { ...named, path: '0000:00:05.1', device: 1 };
  const moved = { ...named, path: '0000:81:00.0' };
  t.strictSame(placesOf(named, present(named, sibling)), [named.path, sibling.path]);
  t.strictSame(heldPlacesOf(named, present(named, sibling)), [named.path], 'not its other port');
  t.strictSame(heldPlacesOf(named, present(moved, { ...sibling, path: '0000:81:00.1' })), [
    moved.path,
  ]);
  const liar = { ...named, serial: SERIAL.replace('77', '78') };
  t.strictSame(
    heldPlacesOf(named, present(liar, moved)),
    [named.path, moved.path],
    'whatever is at its old address, and itself where it is',
  );
  t.strictSame(
    heldPlacesOf(named, present(named, moved)),
    [named.path],
    "where it is still at its address, one that shows its number too is the host's",
  );
  const third = { ...named, path: '0000:82:00.0' };
  t.strictSame(heldPlacesOf(named, present(moved, third)), [], 'of two nobody knows which');
  t.strictSame(heldPlacesOf(named, present({ ...moved, device: 1 })), [], 'with other ids');
  t.equal(tellingName(named, present(named, sibling)).serial, SERIAL, 'one for all its functions');
  t.equal(tellingName(named, present(named, moved)).serial, null, 'one for all cards of a kind');
  t.equal(tellingName(named, present({ ...moved, vendor: 1 })).serial, SERIAL);
  for (const byte of ['00', 'ff']) {
    const none = { ...DEVICE, serial: Array(8).fill(byte).join('-') };
    t.equal(tellingName(none, []).serial, null, `no number: ${byte}`);
  }
});

t.test('whose incident it is that a device goes into', (t) => {
  const named = { ...DEVICE, serial: SERIAL };
  const of = (quarantined: DeviceName, change: Partial<DeviceName>): boolean =>
    isInIncident(quarantined, { ...quarantined, ...change });
  t.ok(of(named, {}));
  t.notOk(of(named, { path: '0000:81:00.0' }), 'what shows its number in another slot');
  t.ok(of(DEVICE, { revision: 9 }), 'without a number it is its address');
  t.notOk(of(named, { serial: SERIAL.replace('77', '78') }), 'what came into its slot');
  t.notOk(of(named, { serial: null }), 'nor what shows none');
  t.notOk(of(named, { path: '0000:00:05.1' }), 'another function of its card');
  t.notOk(of(DEVICE, { path: '0000:81:00.0' }), 'one of its kind');
  t.end();
});

t.test('what enough operators signed is taken, until its hour is over', async (t) => {
  const payload = releasePayload({ ...NAMED, expires: EXPIRES });
  t.strictSame(parseRelease(payload), { ...NAMED, expires: EXPIRES });
  const { statement, signers } = verify(await sign(payload, two));
  t.equal(signers.length, 2);
  requireAbout(statement, NAMED);
  const draft = releaseDraft(NAMED);
  t.strictSame(parseReleaseDraft(draft), NAMED);
  t.throws(() => parseRelease(draft), { code: 'E_SCHEMA' }, 'a draft has no hour');
  t.throws(() => parseReleaseDraft(payload), { code: 'E_SCHEMA' });

  const late = await sign(payload, two);
  t.throws(() => verify(late, EXPIRES), { code: 'E_EXPIRED' });
  const long = await sign(releasePayload({ ...NAMED, expires: EXPIRES + 1 }), two);
  t.throws(() => verify(long), { code: 'E_NOT_RELEASED', context: { reason: 'lifetime' } });
});

t.test('signers', async (t) => {
  const payload = releasePayload({ ...NAMED, expires: EXPIRES });
  const [first] = operators as [TestKey];
  for (const [name, code, by, type] of [
    ['nobody of the fleet', 'E_SIGNATURE', [testKey('somebody')], RELEASE_PAYLOAD_TYPE],
    ['one where two must', 'E_THRESHOLD', [first], RELEASE_PAYLOAD_TYPE],
    ['one twice', 'E_THRESHOLD', [first, first], RELEASE_PAYLOAD_TYPE],
    ['one, and somebody', 'E_THRESHOLD', [first, testKey('somebody')], RELEASE_PAYLOAD_TYPE],
    ['as a policy', 'E_NOT_RELEASED', two, HOST_POLICY_PAYLOAD_TYPE],
  ] as const) {
    const bytes = await sign(payload, by, type);
    t.throws(() => verify(bytes), { code }, name);
  }
});

t.test('what it must be about', async (t) => {
  const statement = { ...NAMED, expires: EXPIRES };
  for (const [reason, other] of [
    ['incident', { incident: '00'.repeat(16) }],
    ['host', { host: '00'.repeat(16) }],
    ['device', { device: { ...DEVICE, path: '0000:00:06.0' } }],
    ['device', { device: { ...DEVICE, serial: SERIAL } }],
    ['device', { device: { ...DEVICE, revision: 1 } }],
    ['audit', { auditSha256: '00'.repeat(32) }],
  ] as const) {
    const about = () => requireAbout({ ...statement, ...other }, NAMED);
    t.throws(about, { code: 'E_NOT_RELEASED', context: { reason } }, reason);
  }
});

t.test('hostile statements', async (t) => {
  const good = Buffer.from(releasePayload({ ...NAMED, expires: EXPIRES })).toString();
  for (const [name, text] of [
    ['nothing', ''],
    ['cut off', good.slice(0, -10)],
    ['huge', `{"schema":"${'x'.repeat(300_000)}"}`],
    ['nested', '['.repeat(100_000)],
    ['a member twice', good.replace('{', '{"incident":"00000000000000000000000000000000",')],
    ['a member more', good.replace('{', '{"more":1,')],
    ['a member less', good.replace(/"host":"[0-9a-f]+",/, '')],
    ['another schema', good.replace('/v1', '/v2')],
    ['an address that is a path', good.replace('0000:00:05.0', '../../etc/x')],
    ['an incident that is a path', good.replace(/"incident":"[0-9a-f]+"/, '"incident":"../x"')],
    ['no time', good.replace(/"expires":"[^"]+"/, '"expires":"never"')],
  ] as const) {
    const bytes = utf8(text);
    t.throws(() => parseRelease(bytes), { name: 'IronError' }, name);
    const signed = await sign(bytes, two);
    t.throws(() => verify(signed), { name: 'IronError' }, `${name}, and signed`);
    t.throws(() => verify(bytes), { name: 'IronError' }, `${name}, in the place of an envelope`);
  }
});
