/** The vendor's uploads when what the service has of them is not what it should be. */

import { createHash, randomBytes } from 'node:crypto';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isWorthRetrying } from '../../publisher/upload/again.ts';
import { Api } from '../../publisher/upload/api.ts';
import { uploadBlob } from '../../publisher/upload/blob.ts';
import { Repository } from '../../publisher/upload/http.ts';
import { IronError } from '../../shared/errors.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { systemRandom } from '../../shared/node/random.ts';
import { running } from '../server/support.ts';
import { sha256 } from '../support/repository.ts';

t.test('damaged by a power cut, it is sent once more', async (t) => {
  const first = await running(t);
  const { service, acme, caller, clock, home } = first;
  const repository = new Repository(new URL(service.url).host);
  t.teardown(() => repository.close());
  const options = { repository, signer: acme.api, crypto: platformCrypto, clock: clock.read };
  const vendor = new Api({ ...options, random: systemRandom });
  const bytes = randomBytes(100_000);
  const digest = sha256(bytes);
  await caller.patch(digest, 0, bytes.length, bytes.subarray(0, 60_000));
  const part = join(home, 'private/quarantine/acme', `${digest}.100000.part`);
  writeFileSync(part, new Uint8Array(10_000), { flag: 'r+' });
  // The service goes on with the hash that it has in memory; so it starts anew.
  const blob = { source: { bytes }, length: bytes.length, sha256: digest };
  utimesSync(part, clock.now, clock.now);
  await first.restart();
  await uploadBlob(vendor, blob);
  t.equal((await caller.send('HEAD', api.blob(digest))).headers['upload-offset'], '100000');

  // A file that is not what was measured is refused, and is not sent for ever.
  const wrong = createHash('sha256').update('else').digest('hex');
  await caller.patch(wrong, 0, bytes.length, bytes.subarray(0, 60_000));
  await t.rejects(uploadBlob(vendor, { ...blob, sha256: wrong }), { code: 'E_HASH' });
  t.equal((await caller.send('HEAD', api.blob(wrong))).status, 404);
});

t.test('a quota is waited for only when the service says how long', (t) => {
  t.notOk(isWorthRetrying(new IronError('E_QUOTA', 'too much waits')));
  const often = new IronError('E_QUOTA', 'too often', { context: { retry_after: 1 } });
  t.ok(isWorthRetrying(often));
  t.notOk(isWorthRetrying(new IronError('E_HASH', 'wrong')));
  t.end();
});
