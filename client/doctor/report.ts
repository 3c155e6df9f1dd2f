/** A file to send to somebody who can help: what was found, and nothing that opens anything. */

import { readdir, stat } from 'node:fs/promises';
import { arch, platform, release } from 'node:os';
import { join, relative } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { hashFile } from '../../shared/node/hash.ts';
import { formatInstant } from '../../shared/time.ts';
import { describeEnvironment, type Env, withoutHome } from '../environment.ts';
import type { Repository } from '../repository.ts';
import type { Finding } from './finding.ts';

/** Larger files are listed without their digest. */
const HASHED = 8 * 1024 * 1024;
const MOST_FILES = 10_000;

export async function writeReport(
  out: string,
  repository: Repository,
  findings: readonly Finding[],
  env: Env,
): Promise<void> {
  const home = (text: string): string => withoutHome(text, env);
  const report = {
    schema: 'ironport-client/doctor-report/v1',
    made: formatInstant(repository.clock()),
    node: process.versions.node,
    system: `${platform()} ${release()} ${arch()}`,
    repository: home(repository.address.url),
    store: home(repository.store.folder),
    findings: findings.map(({ state, subject, what, advice }) => ({
      state,
      subject,
      what: home(what),
      advice: advice === undefined ? null : home(advice),
    })),
    files: await listFiles(repository.store.folder),
    environment: describeEnvironment(env).map(({ name, shown, source }) => ({
      name,
      value: shown === null ? null : home(shown),
      source,
    })),
  };
  await writeFileAtomic(out, utf8(`${JSON.stringify(report, null, 2)}\n`), { mode: 0o600 });
}

async function listFiles(folder: string): Promise<object[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: object[] = [];
  for (const entry of entries.slice(0, MOST_FILES)) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    files.push({
      path: relative(folder, path),
      length: found.size,
      mode: (found.mode & 0o777).toString(8),
      modified: formatInstant(Math.floor(found.mtimeMs / 1000)),
      // Of a lock nothing is read: closing it would drop it.
      sha256: /\.json$/.test(path) && found.size <= HASHED ? await hashed(path) : null,
    });
  }
  return files;
}

async function hashed(path: string): Promise<string | null> {
  return hashFile(path, { nofollow: true }).then(
    ({ sha256 }) => sha256,
    () => null,
  );
}
