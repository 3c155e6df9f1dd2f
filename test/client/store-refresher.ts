/** A process that refreshes one store again and again: `FOLDER URL ROUNDS`; 0 rounds are endless. */

import { HttpFetcher } from '../../client/fetch/http.ts';
import { FolderStore } from '../../client/store/folder.ts';
import { Updater } from '../../client/updater.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';

const [folder = '', url = '', rounds = '1'] = process.argv.slice(2);
const fetcher = new HttpFetcher({
  metadata: `${url}metadata/`,
  targets: `${url}targets/`,
  random: Math.random,
});
console.log('ready');
for (let i = 0; i < Number(rounds) || rounds === '0'; i++) {
  const store = new FolderStore(folder);
  const updater = new Updater({ crypto: platformCrypto, clock: systemClock, store, fetcher });
  await updater.find('x');
}
await fetcher.close();
