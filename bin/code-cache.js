// V8's compiled code of a bundle, taken at the end of a command that succeeded. Node's own cache takes
// a module before it runs, when hardly a function of it is compiled: each start of a command compiled
// some three hundred anew. A file for each command, because code that a command never calls costs it
// as much to take from a cache as calling costs without one.
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const { createRequire } = require('node:module');
const { dirname, join } = require('node:path');
const vm = require('node:vm');
const { CACHE, bundlePath, stampLine } = require('./bundled.js');

const DIGEST_BYTES = 32;
const COMMAND = /^[a-z][a-z-]{0,30}$/;
/** What is asked for with one of these succeeds too, and calls hardly anything of the command. */
const ABOUT = ['--help', '-h', '--version'];
const HEAD = '(function (exports, require, module, __filename, __dirname) {';
const TAIL = '\n})';

/**
 * Runs the bundle `name` below `root`, with the code that an earlier `command` left, where there is
 * some and it is of this bundle, this Node and these flags; a cache that is anything else counts for
 * none. A string that is no command's name shares one cache with all such.
 * @param {string} root of the checkout or package
 * @param {string} name of the bundle
 * @param {string | undefined} command the word by which people call what is about to be done
 * @returns {{exports: any, keep: () => void}} what the bundle exports; `keep` writes the cache when
 *   there was none to take, after a success. It never fails: a cache that cannot be written is none.
 */
function runBundle(root, name, command) {
  const filename = join(root, bundlePath(name));
  // Bundles are ASCII: no letter has to be decoded.
  const source = fs.readFileSync(filename, 'latin1');
  // V8 compares the length of the source, and trusts every byte of the code: what the file system
  // says of the bundle, and a digest, stand for the rest. A file that was cut short could crash it.
  const identity = stampLine(root, bundlePath(name));
  const file = cacheFile(root, name, command);
  const cachedData = read(file, identity);
  const script = new vm.Script(HEAD + source + TAIL, {
    filename,
    columnOffset: -HEAD.length,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
  const module = { exports: {} };
  const run = script.runInThisContext();
  run.call(
    module.exports,
    ...[module.exports, createRequire(filename), module, filename, dirname(filename)],
  );
  const isTaken = cachedData !== undefined && script.cachedDataRejected === false;
  const isAbout = process.argv.some((argument) => ABOUT.includes(argument));
  return {
    exports: module.exports,
    keep: () => {
      if (!isTaken && !isAbout) write(file, identity, script.createCachedData());
    },
  };
}

/** One for each Node, or two that are used in turn would each refuse what the other left. */
function cacheFile(root, name, command) {
  const word = command !== undefined && COMMAND.test(command) ? `-${command}` : '';
  return join(root, CACHE, `${name}${word}-${process.version}-${process.arch}.code`);
}

function read(file, identity) {
  let whole;
  try {
    whole = fs.readFileSync(file);
  } catch {
    return undefined;
  }
  const code = whole.subarray(DIGEST_BYTES);
  return digest(identity, code).equals(whole.subarray(0, DIGEST_BYTES)) ? code : undefined;
}

function write(file, identity, code) {
  const half = `${file}.${process.pid}.tmp`;
  try {
    fs.writeFileSync(half, Buffer.concat([digest(identity, code), code]), { flag: 'wx' });
    fs.renameSync(half, file);
  } catch {
    remove(half);
  }
}

/** Where there is no room, not even what was begun may be left. */
function remove(half) {
  try {
    fs.unlinkSync(half);
  } catch {
    // It was not begun.
  }
}

function digest(identity, code) {
  return createHash('sha256').update(`${identity}\n`).update(code).digest();
}

module.exports = { runBundle };
