/**
 * The guest's first and only file system: busybox, the Node that runs this, the native parts of two
 * packages, and the programs and cases as bundles. It is made anew for each run, in seconds.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { utf8 } from '../../shared/bytes.ts';
import { Cpio } from './cpio.ts';
import { must } from './debian.ts';
import { type Fault, planting } from './faults.ts';
import type { Module } from './modules.ts';
import { CHECKOUT } from './places.ts';

/** Plain JavaScript, which whoever has no types can read, too. */
const { bundlePath, CACHE, PROGRAMS } = createRequire(import.meta.url)('../../bin/bundled.js') as {
  readonly bundlePath: (name: string) => string;
  readonly CACHE: string;
  readonly PROGRAMS: Readonly<Record<string, string>>;
};
const { buildBundle } = (await import(new URL('../bundle.mjs', import.meta.url).href)) as {
  readonly buildBundle: (root: string, entry: string, readers: Plugin[]) => Promise<Uint8Array>;
};

/** The guest's own programs; those that are tried come as they are shipped. */
const ENTRIES = [
  'test/lab/guest/main.ts',
  'test/lab/guest/case.ts',
  'test/lab/guest/scene.ts',
  // Their places are relative to themselves: as entries of their own they land in chunks in /dist.
  'scripts/demo/honest.ts',
  'scripts/demo/support/programs.ts',
];
/** Packages with parts that are no JavaScript: copied, not bundled. */
const COPIED = ['koffi', '@koromix/koffi-linux-x64', 'better-sqlite3', 'web-tree-sitter'];
const MODULES = 'node_modules';

export interface InitramfsParts {
  /** busybox, linked statically. */
  readonly busybox: string;
  readonly modules: readonly Module[];
  /** A fault to plant into the programs. */
  readonly fault?: Fault | undefined;
}

export async function makeInitramfs({
  busybox,
  modules,
  fault,
}: InitramfsParts): Promise<Uint8Array> {
  const cpio = new Cpio();
  cpio.file('bin/busybox', readFileSync(busybox), 0o755);
  cpio.link('bin/sh', 'busybox');
  cpio.file('init', readFileSync(join(CHECKOUT, 'test', 'lab', 'guest', 'init')), 0o755);
  for (const name of ['proc', 'sys', 'dev', 'tmp', 'run', 'root', 'host', 'state', 'etc'])
    cpio.folder(name);
  cpio.file('etc/passwd', utf8('root:x:0:0:root:/root:/bin/sh\n'));
  cpio.file('etc/os-release', utf8('ID=ironport-lab\n'));
  addNode(cpio);
  addModules(cpio, modules);
  await addPrograms(cpio, fault);
  return cpio.end();
}

function addNode(cpio: Cpio): void {
  const node = realpathSync(process.execPath);
  cpio.file('bin/node', readFileSync(node), 0o755);
  // ldd(1): `name => path (address)`, or the path of the loader alone.
  for (const [, path] of must('ldd', [node]).matchAll(/(\/\S+) \(0x/g)) {
    if (path !== undefined) cpio.file(path.slice(1), readFileSync(realpathSync(path)), 0o755);
  }
}

function addModules(cpio: Cpio, modules: readonly Module[]): void {
  for (const { name, path } of modules) cpio.file(`lib/modules/${name}.ko`, readFileSync(path));
  cpio.file('lib/modules/order', utf8(modules.map(({ name }) => `${name}\n`).join('')));
}

/**
 * The four programs, made as those of the published package, whose layout the guest's root has: `/bin`,
 * `/dist`, `/node_modules`. An emulated machine starts a bundle in a third of the time that modules take.
 */
async function addPrograms(cpio: Cpio, fault: Fault | undefined): Promise<void> {
  const readers = fault === undefined ? [] : [planting(fault)];
  for (const [name, entry] of Object.entries(PROGRAMS))
    cpio.file(bundlePath(name), await buildBundle(CHECKOUT, entry, readers), 0o644);
  cpio.folder(CACHE);
  for (const name of ['bin', 'package.json', 'examples/edu', 'docs/guide']) copy(cpio, name);
  for (const name of COPIED) copy(cpio, join(MODULES, name));
  addCommands(cpio);
  addStaticDriver(cpio);
  await addCases(cpio, readers);
}

async function addCases(cpio: Cpio, readers: Plugin[]): Promise<void> {
  const { outputFiles } = await build({
    absWorkingDir: CHECKOUT,
    entryPoints: ENTRIES,
    outbase: '.',
    outdir: 'dist',
    bundle: true,
    splitting: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: [...COPIED, 'pkcs11js'],
    logLevel: 'error',
    plugins: readers,
    // Bundled CommonJS asks for the platform's modules by require().
    banner: {
      js: "import { createRequire as labRequire } from 'node:module'; const require = labRequire(import.meta.url);",
    },
  });
  for (const { path, contents } of outputFiles) cpio.file(path.slice(CHECKOUT.length), contents);
}

/** What the guides type, and what makes the files that they begin with (`test/lab/guest/scene.ts`). */
function addCommands(cpio: Cpio): void {
  for (const name of ['ironport', 'ironport-repo', 'ironport-client', 'ironport-agent'])
    cpio.link(`bin/${name}`, `${name}.js`);
  // The programs' first line names env(1) by this path.
  cpio.link('usr/bin/env', '/bin/busybox');
  cpio.file('bin/lab-scene', utf8('#!/bin/sh\nexec node /dist/test/lab/guest/scene.js\n'), 0o755);
}

/** The example driver in C, where this host has a compiler: the cases that run it say so if not. */
function addStaticDriver(cpio: Cpio): void {
  const folder = mkdtempSync(join(tmpdir(), 'ironport-lab-cc-'));
  try {
    const out = join(folder, 'edu-driver');
    const source = join(CHECKOUT, 'examples', 'edu', 'edu-driver.c');
    const { status } = spawnSync('cc', ['-O2', '-static', '-o', out, source], { stdio: 'ignore' });
    if (status === 0) cpio.file('examples/edu/edu-driver', readFileSync(out), 0o755);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What of a package is not for this machine, or not for running it. */
const LEFT_BEHIND =
  /^(doc|deps|vendor|CHANGELOG\.md|(darwin|win32|linuxmusl|musl|linux-arm).*)$|\.(cc|hh|h|c)$/;

/** Copies a file or a folder of the checkout; sources and documents of packages stay behind. */
function copy(cpio: Cpio, path: string): void {
  const place = join(CHECKOUT, path);
  const found = statSync(place, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) {
    cpio.file(path, readFileSync(place), found.mode & 0o777);
    return;
  }
  for (const name of readdirSync(place)) {
    if (path.startsWith(MODULES) && LEFT_BEHIND.test(name)) continue;
    copy(cpio, join(path, name));
  }
}
