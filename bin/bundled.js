// Where the bundles of the programs lie, and whether one is still what its sources say.
//
// Beside each bundle lies a stamp: every file that went into it, and the bundle itself, with what
// the file system says of it. The status change time is among that, which no program can set: a
// file that was written to since, or put back under its old time, does not pass for unchanged.
const { readFileSync, statSync } = require('node:fs');
const { join } = require('node:path');

const SEPARATOR = '\t';

/** Bundles and the modules that they begin with: the four programs, and what only a checkout has. */
const PROGRAMS = {
  client: 'client/main.ts',
  server: 'server/main.ts',
  publisher: 'publisher/main.ts',
  agent: 'agent/main.ts',
};
const WORKSHOP = {
  'workshop-conformance': 'test/conformance/main.ts',
  'workshop-bench': 'bench/client/ours.ts',
  'workshop-evidence': 'bench/evidence/verify.ts',
};

/** `client` is `dist/bundle/client.cjs`. */
const bundlePath = (name) => `dist/bundle/${name}.cjs`;
const stampPath = (name) => `dist/bundle/${name}.stamp`;

/** V8's compiled code. In the package, because whoever can write there decides what runs anyway. */
const CACHE = 'dist/cache';

/** One line of a stamp. `path` is relative to `root`. */
function stampLine(root, path) {
  const found = statSync(`${root}/${path}`, { throwIfNoEntry: false });
  if (found === undefined) return `${path}${SEPARATOR}absent`;
  const { size, mtimeMs, ctimeMs, ino } = found;
  return [path, size, mtimeMs, ctimeMs, ino].join(SEPARATOR);
}

/** Whether the bundle is there and made from the files as they are now. */
function isFresh(root, name) {
  let stamp;
  try {
    stamp = readFileSync(join(root, stampPath(name)), 'utf8');
  } catch {
    return false;
  }
  const lines = stamp.split('\n');
  // The last line is that of the bundle itself: a stamp that was cut short has none.
  const last = `${bundlePath(name)}${SEPARATOR}`;
  if (lines.pop() !== '' || lines.at(-1)?.startsWith(last) !== true) return false;
  return lines.every((line) => line === stampLine(root, line.slice(0, line.indexOf(SEPARATOR))));
}

module.exports = { PROGRAMS, WORKSHOP, bundlePath, stampPath, stampLine, isFresh, CACHE };
