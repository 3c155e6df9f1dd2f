// Makes one file of each program, so that a start opens one file instead of hundreds.
//   node scripts/bundle.mjs [--pack]
// Does nothing for a bundle that is what its sources say; `--pack` makes those of a package anew.
// Plain JavaScript, because setup.mjs runs it on whatever Node the machine has.
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join, relative } from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';

const require = createRequire(import.meta.url);
const {
  PROGRAMS,
  WORKSHOP,
  bundlePath,
  isFresh,
  stampLine,
  stampPath,
  CACHE,
} = require('../bin/bundled.js');

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What stays a package: native parts, and what finds files beside itself. */
const EXTERNAL = ['better-sqlite3', 'koffi', 'pkcs11js', 'web-tree-sitter', 'tree-sitter-c'];

/**
 * What is loaded by the first use of it and not by the start: packages that only some commands of a
 * program need, and the module that has zod make its schemas. Nothing may use them while it loads.
 */
const LAZY = ['undici', 'fastify', 'better-sqlite3', 'shared/api/upload.ts'];

/** What decides how a bundle is made, besides the files that go into it. */
const MAKERS = ['scripts/bundle.mjs', 'package.json', 'package-lock.json', 'tsconfig.json'];

/** Two changes of a file within one tick of the file system's clock leave the same times on it. */
const TICK_MS = 1000;

/** Makes the bundles of `programs` that are not what their sources say; returns their names. */
async function bundleAll(root, programs) {
  const made = [];
  for (const [name, entry] of Object.entries(programs)) {
    if (await bundle(root, name, entry)) made.push(name);
  }
  return made;
}

/**
 * Makes the bundle `name` of a program whose first module is `entry`, unless it is there and right.
 * Several may do so at once: each file appears whole, and a stamp fits one bundle only.
 */
export async function bundle(root, name, entry) {
  if (isFresh(root, name)) return false;
  const lines = new Map();
  const code = await buildBundle(root, entry, [noting(root, lines)]);
  for (const path of MAKERS) lines.set(path, stampLine(root, path));
  // An empty cache is made now, by the owner of the checkout: root may be the first to start a
  // program, and would leave a folder that nobody else can write to.
  mkdirSync(join(root, CACHE), { recursive: true });
  mkdirSync(join(root, 'dist/bundle'), { recursive: true });
  rmSync(join(root, stampPath(name)), { force: true });
  put(join(root, bundlePath(name)), code);
  const noted = [...lines.values()].sort();
  put(join(root, stampPath(name)), [...noted, stampLine(root, bundlePath(name)), ''].join('\n'));
  return true;
}

function put(path, content) {
  const half = `${path}.${process.pid}.tmp`;
  writeFileSync(half, content);
  renameSync(half, path);
}

/**
 * The bytes of the bundle whose first module is `entry`.
 * @param {string} root of the checkout
 * @param {string} entry relative to it
 * @param {import('esbuild').Plugin[]} readers plugins that read sources in the bundler's place
 * @returns {Promise<Uint8Array>}
 */
export async function buildBundle(root, entry, readers) {
  const { build: esbuild } = await import('esbuild');
  const { outputFiles } = await esbuild({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: 'node',
    // CommonJS starts in two thirds of the time that modules take.
    format: 'cjs',
    target: 'node22',
    // bin/code-cache.js runs a bundle as a script, in which Node leaves `import()` to experiments.
    supported: { 'dynamic-import': false },
    external: EXTERNAL,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
    banner: { js: "const ownUrl=require('node:url').pathToFileURL(__filename).href;" },
    // undici leaves an experimental second parser out where this is defined, as Node's own copy does.
    define: { 'import.meta.url': 'ownUrl', esbuildDetection: '1' },
    plugins: [lazily(root), leanUndici, ...readers],
  });
  return outputFiles[0].contents;
}

/** Reads every file for the bundler, and notes what the file system said of it just before. */
const noting = (root, lines) => ({
  name: 'noting',
  setup({ onLoad }) {
    onLoad({ filter: /\.(ts|js|cjs|mjs|json)$/, namespace: 'file' }, async ({ path }) => {
      const age = Date.now() - statSync(path).ctimeMs;
      if (age < TICK_MS) await setTimeout(TICK_MS - Math.max(0, age));
      const name = relative(root, path);
      lines.set(name, stampLine(root, name));
      const loader = { '.ts': 'ts', '.json': 'json' }[extname(path)] ?? 'js';
      return { contents: readFileSync(path), loader };
    });
  },
});

/** Puts a getter for each export of a lazy module in its place. */
const lazily = (root) => ({
  name: 'lazily',
  setup({ onResolve, onLoad, resolve }) {
    const isOurs = (importer) => !/[\\/]node_modules[\\/]/.test(importer);
    onResolve({ filter: /.*/ }, async ({ path, importer, kind, resolveDir, namespace }) => {
      if (kind !== 'import-statement' || namespace !== 'file' || !isOurs(importer))
        return undefined;
      const found = LAZY.find(
        (name) => name === path || join(resolveDir, path) === join(root, name),
      );
      if (found === undefined) return undefined;
      const { path: place, external } = await resolve(path, { kind: 'require-call', resolveDir });
      return { path: external ? path : place, namespace: 'lazy', pluginData: { external } };
    });
    onLoad({ filter: /.*/, namespace: 'lazy' }, async ({ path, pluginData }) => {
      const specifier = pluginData.external ? require.resolve(path, { paths: [root] }) : path;
      const names = Object.keys(await import(pathToFileURL(specifier).href));
      const contents = lazyModule(path, names);
      return { contents, loader: 'js', resolveDir: root };
    });
  },
});

/** A module in CommonJS; as its default export, one is called or constructed as a whole. */
function lazyModule(path, names) {
  const members = names.filter((name) => name !== 'default' && name !== 'module.exports');
  const getters = members.map((name) => {
    const key = JSON.stringify(name);
    return `Object.defineProperty(lazy, ${key}, { enumerable: true, get: () => load()[${key}] });`;
  });
  return `
    const load = () => require(${JSON.stringify(path)});
    function lazy(...args) {
      return new.target === undefined ? load()(...args) : Reflect.construct(load(), args);
    }
    ${getters.join('\n')}
    module.exports = lazy;`;
}

/**
 * Leaves out of undici what a start would pay for and no program of ours uses: HTTP/2 with Node's
 * own implementation of it (`allowH2` is off), and Node's HTTP client, of which undici wants the
 * default size of a header, and a class to recognise bodies by that are requests of a server.
 */
const leanUndici = {
  name: 'lean-undici',
  setup({ onResolve, onLoad }) {
    const inUndici = /[\\/]node_modules[\\/]undici[\\/]lib[\\/]/;
    const replace = (filter, contents) => {
      onResolve({ filter }, ({ path, importer }) =>
        inUndici.test(importer) ? { path, namespace: 'lean' } : undefined,
      );
      onLoad({ filter, namespace: 'lean' }, () => ({ contents, loader: 'js' }));
    };
    replace(/^node:http$/, 'module.exports = { maxHeaderSize: 16384, IncomingMessage: class {} };');
    // Of Node's assert, undici uses the plain call: the rest of it tells people about differences.
    replace(
      /^node:assert$/,
      `module.exports = (holds, why = 'an assertion of undici does not hold') => {
        if (!holds) throw why instanceof Error ? why : new Error(why);
      };`,
    );
    replace(
      /\/client-h2\.js$/,
      'module.exports = () => { throw new Error("HTTP/2 is not part of this program"); };',
    );
  },
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // A package holds the programs alone, and may be made where there are no tests.
  const pack = process.argv.includes('--pack');
  if (pack) {
    for (const name of Object.keys(PROGRAMS)) rmSync(join(ROOT, stampPath(name)), { force: true });
  }
  const made = await bundleAll(ROOT, pack ? PROGRAMS : { ...PROGRAMS, ...WORKSHOP });
  if (made.length > 0) console.error(`bundled: ${made.join(', ')}`);
}
