// ADR 0013: a targets file that did not change is left unread by a refresh, and verified when it is
// used. One test a way in which a note could make it skip what it must not.

import t from 'tap';
import { Updater } from '../../client/updater.ts';
import { toHex, utf8 } from '../../shared/bytes.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import type { TrustedMetadata } from '../../shared/verify/trusted.ts';
import { formatNote, parseNote, type TargetsNote } from '../../shared/verify/unread.ts';
import { Host } from '../support/host.ts';
import { testKey } from '../support/keys.ts';
import { signFile } from '../support/simulator.ts';

const PATH = 'acme/edu/1.0.0/edu.js';

class Lazy extends Host {
  override updater(): Updater {
    return new Updater({
      crypto: platformCrypto,
      clock: this.clock.read,
      store: this.store,
      fetcher: this.sim,
      mayLeaveUnread: true,
      report: (check) => this.checks.push(check),
      onUnusable: (role, error) => this.unusable.push([role, error.code]),
    });
  }

  /** Whether a refresh left targets unread. */
  async leaves(): Promise<boolean> {
    const trusted: TrustedMetadata = await this.refresh();
    return trusted.targets('targets') === undefined;
  }

  async note(): Promise<TargetsNote> {
    return parseNote((await this.store.targetsNote()) ?? utf8('')) as TargetsNote;
  }
}

async function host(): Promise<Lazy> {
  const it = new Lazy();
  it.sim.addTarget('targets', PATH, utf8('bytes'));
  t.notOk(await it.leaves(), 'the first time it is verified in full');
  return it;
}

t.test('what did not change is left unread, and verified when it is used', async (t) => {
  const it = await host();
  it.sim.publish();
  it.sim.takeRequests();
  const updater = it.updater();
  const trusted = await updater.refresh();
  t.equal(trusted.targets('targets'), undefined);
  t.equal(trusted.unread?.version, 1);
  t.notOk(it.sim.takeRequests().some((path) => path.endsWith('targets.json')));

  it.checks.length = 0;
  t.equal((await updater.find(PATH))?.role, 'targets');
  t.equal(trusted.targets('targets')?.version, 1);
  t.equal(trusted.unread, undefined);
  t.match(it.checks, [{ rule: 'TUF 5.6.2-5', what: /^targets 1 / }, { rule: 'TUF 5.6.7' }]);
});

t.test('without leave to, everything is read', async (t) => {
  const it = await host();
  const plain = new Updater({
    crypto: platformCrypto,
    clock: it.clock.read,
    store: it.store,
    fetcher: it.sim,
  });
  t.equal((await plain.refresh()).targets('targets')?.version, 1);
});

t.test('a newer file is fetched and verified, and noted in its turn', async (t) => {
  const it = await host();
  it.sim.publish('targets');
  t.notOk(await it.leaves());
  t.equal(await it.stored('targets'), 2);
  t.ok(await it.leaves());
});

t.test('a stored file that is not the noted one is read, and replaced', async (t) => {
  const it = await host();
  const stored = (await it.store.read('targets')) as Uint8Array;
  await it.store.write('targets', stored.with(stored.length - 3, 0x20));
  t.notOk(await it.leaves());
  t.match(it.unusable, [['targets', /^E_/]]);
  t.same(await it.store.read('targets'), stored);
});

t.test('a stored file that is gone is fetched', async (t) => {
  const it = await host();
  await it.store.remove('targets');
  t.notOk(await it.leaves());
  t.equal(await it.stored('targets'), 1);
});

t.test('keys that were taken from the role vouch for nothing any more', async (t) => {
  const it = await host();
  it.sim.nextRoot(() => it.sim.rotateKeys('targets'));
  it.sim.overrides.set('metadata/1.targets.json', (await it.store.read('targets')) as Uint8Array);
  await t.rejects(it.refresh(), { code: 'E_THRESHOLD' });
});

t.test('a higher threshold is asked for', async (t) => {
  const it = await host();
  it.sim.nextRoot(() => {
    it.sim.addKey('targets');
    (it.sim.root.roles.targets as { threshold: number }).threshold = 2;
  });
  it.sim.overrides.set('metadata/1.targets.json', (await it.store.read('targets')) as Uint8Array);
  await t.rejects(it.refresh(), { code: 'E_THRESHOLD' });
});

t.test('an expired file is no longer good enough', async (t) => {
  const it = await host();
  it.sim.root.expires = it.sim.expiry(9000);
  it.sim.timestamp.expires = it.sim.expiry(9000);
  it.sim.snapshot.expires = it.sim.expiry(9000);
  it.sim.nextRoot();
  it.sim.publish();
  it.clock.days(8000);
  await t.rejects(it.refresh(), { code: 'E_EXPIRED', message: /^targets/ });
});

t.test('a forged note lets a forged file lie there, and no word of it in', async (t) => {
  const it = await host();
  const stranger = testKey('stranger');
  const draft = JSON.parse(
    new TextDecoder().decode((await it.store.read('targets')) as Uint8Array),
  );
  draft.signed.targets[PATH].hashes.sha256 = 'ab'.repeat(32);
  const forged = signFile(draft.signed, [stranger]);
  await it.store.write('targets', forged);
  const note = await it.note();
  const sha256 = toHex(platformCrypto.sha256(forged));
  await it.store.writeTargetsNote(formatNote({ ...note, sha256 }));

  const updater = it.updater();
  t.equal((await updater.refresh()).unread?.version, 1, 'whoever can write here can do that much');
  const found = await updater.find(PATH);
  t.equal(found?.entry.hashes.get('sha256'), toHex(platformCrypto.sha256(utf8('bytes'))));
  t.same(it.unusable, [['targets', 'E_THRESHOLD']]);
  t.equal(await it.stored('targets'), 1, 'and the real one is in its place');
});

t.test('a note that cannot be read is no note', async (t) => {
  const it = await host();
  const whole = (await it.store.targetsNote()) as Uint8Array;
  const text = new TextDecoder().decode(whole);
  const damaged = [
    '',
    '{}',
    '[]',
    text.slice(0, -3),
    text.replace('"version":1', '"version":0'),
    text.replace('"version":1', '"version":1,"version":1'),
    text.replace('"signers":"', '"signers":"0'),
    text.replace('}', ',"more":1}'),
    `${' '.repeat(5000)}${text}`,
  ];
  for (const bad of damaged) {
    await it.store.writeTargetsNote(utf8(bad));
    t.equal(parseNote(utf8(bad)), undefined, JSON.stringify(bad.slice(0, 40)));
    t.notOk(await it.leaves());
    t.same(await it.store.targetsNote(), whole, 'a new one was written');
  }
});
