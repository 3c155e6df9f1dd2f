/** The audit file: one line of JSON for each run, written before the output appears. */

import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { fromUtf8, utf8 } from '../../../shared/bytes.ts';
import { compactJson } from '../../../shared/evidence/compact.ts';
import { type JsonObject, jsonObject } from '../../../shared/json/value.ts';
import { onPath, systemFiles } from '../../../shared/node/file-system.ts';
import { writeAll } from '../../../shared/node/files.ts';
import { ensurePrivateFolder } from '../../../shared/node/folders.ts';
import { formatInstant, type Instant } from '../../../shared/time.ts';

/**
 * Appends `{time, …entry}` durably. `E_IO`: then the caller writes no output, so that nothing comes
 * out of the pipeline that the file does not know of.
 */
export async function appendAudit(path: string, time: Instant, entry: JsonObject): Promise<void> {
  await ensurePrivateFolder(dirname(path));
  const line = jsonObject([['time', formatInstant(time)], ...Object.entries(entry)]);
  const bytes = utf8(`${fromUtf8(compactJson(line))}\n`);
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  await onPath(path, async () => {
    const flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;
    const file = await systemFiles.open(path, flags, 0o600);
    try {
      await writeAll(file, bytes);
      await file.sync();
    } finally {
      await file.close();
    }
  });
}
