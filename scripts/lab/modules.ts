/** Modules of a packaged kernel, unpacked, in the order in which they have to be loaded. */

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface Module {
  readonly name: string;
  /** The unpacked object. */
  readonly path: string;
}

/**
 * `names` and what they depend on, dependencies first; what is built into the kernel is left out.
 * Throws when one is neither a module nor built in.
 */
export function loadModules(folder: string, names: readonly string[], cache: string): Module[] {
  const unpacked = join(cache, `modules-${basename(folder)}`);
  mkdirSync(unpacked, { recursive: true });
  const files = new Map(
    readdirSync(join(folder, 'kernel'), { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.ko(\.xz)?$/.test(path))
      .map((path) => [nameOf(path), join(folder, 'kernel', path)]),
  );
  const builtIn = new Set(
    readFileSync(join(folder, 'modules.builtin'), 'utf8').split('\n').map(nameOf),
  );
  const loaded = new Map<string, Module>();
  const load = (name: string): void => {
    if (loaded.has(name) || builtIn.has(name)) return;
    const file = files.get(name);
    if (file === undefined) throw new Error(`this kernel has no module ${name}`);
    const path = join(unpacked, `${name}.ko`);
    if (!existsSync(path)) writeFileSync(path, unpack(file));
    for (const dependency of dependenciesOf(readFileSync(path))) load(dependency);
    loaded.set(name, { name, path });
  };
  for (const name of names) load(name);
  return Array.from(loaded.values());
}

/** Modules are found by names in which `-` and `_` are the same. */
function nameOf(path: string): string {
  return basename(path)
    .replace(/\.ko(\.xz)?$/, '')
    .replaceAll('-', '_');
}

function unpack(file: string): Uint8Array {
  if (!file.endsWith('.xz')) return readFileSync(file);
  const { status, stdout, stderr } = spawnSync('xz', ['-dc', file], {
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`xz -dc ${file}: ${stderr}`);
  return stdout;
}

/** The section .modinfo is strings, each `key=value` and a NUL. */
function dependenciesOf(object: Uint8Array): string[] {
  const text = Buffer.from(object).toString('latin1');
  const found = /(?:^|\0)depends=([^\0]*)\0/.exec(text)?.[1] ?? '';
  return found
    .split(',')
    .filter((name) => name !== '')
    .map(nameOf);
}
