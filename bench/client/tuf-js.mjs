// tuf-js, used as its README says: refresh, and one target when one is named.
//   node tuf-js.mjs METADATA_FOLDER METADATA_URL [TARGET TARGETS_URL TARGETS_FOLDER]
import { Updater } from 'tuf-js';

const [metadataDir, metadataBaseUrl, target, targetBaseUrl, targetDir] = process.argv.slice(2);
const updater = new Updater({
  metadataDir,
  metadataBaseUrl,
  ...(target === undefined ? {} : { targetBaseUrl, targetDir }),
  config: { targetsMaxLength: 64_000_000 },
});
await updater.refresh();
if (target !== undefined) {
  const info = await updater.getTargetInfo(target);
  if (info === undefined) throw new Error(`${target} is not listed`);
  await updater.downloadTarget(info);
}
