/** Hosts as trees of files: what of /sys, /proc and /dev is looked at, as such hosts show it. */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

interface Recorded {
  readonly about: string;
  /** By path below the root; `base64:` before what is no text. */
  readonly files: Readonly<Record<string, string>>;
  readonly links: Readonly<Record<string, string>>;
}

export const HOSTS: readonly string[] = readdirSync(new URL('.', import.meta.url))
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.replace(/\.json$/, ''));

/** Writes the tree of a host into a new folder, which the caller removes. */
export function unpackHost(name: string): string {
  const text = readFileSync(new URL(`${name}.json`, import.meta.url), 'utf8');
  const { files, links } = JSON.parse(text) as Recorded;
  const folder = mkdtempSync(join(tmpdir(), 'ironport-host-'));
  const at = (path: string): string => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    return join(folder, path);
  };
  for (const [path, content] of Object.entries(files)) {
    const isBytes = content.startsWith('base64:');
    writeFileSync(at(path), isBytes ? Buffer.from(content.slice(7), 'base64') : content);
  }
  for (const [path, target] of Object.entries(links)) symlinkSync(target, at(path));
  return folder;
}

/** The options by which `check-host` looks at it. */
export function hostOptions(folder: string): string[] {
  return [
    ...['--sysfs-root', join(folder, 'sys'), '--proc-root', join(folder, 'proc')],
    ...['--dev-root', join(folder, 'dev')],
  ];
}
