/** The grammar of C: the only place that touches the parser library and its files. */

import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { cpuUsage, memoryUsage } from 'node:process';
import { Language, Parser, type Tree } from 'web-tree-sitter';
import { toHex } from '../../../shared/bytes.ts';
import { IronError } from '../../../shared/errors.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';
import { platformCrypto } from '../../../shared/node/crypto.ts';
import { onPath } from '../../../shared/node/file-system.ts';

/** A parser of C and what identifies the grammar that it follows. */
export interface CGrammar {
  readonly language: Language;
  /** `tree-sitter-c 0.24.1`. */
  readonly name: string;
  /** SHA-256 of the grammar's file: another grammar may see other calls. */
  readonly sha256: string;
  /** The syntax tree; the caller deletes it. `E_TOO_LARGE` when it takes too long, or too much. */
  parse(text: string): Tree;
}

let loaded: Promise<CGrammar> | undefined;

/** Loads the grammar, once for a process. */
export function loadCGrammar(): Promise<CGrammar> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<CGrammar> {
  const path = createRequire(import.meta.url).resolve('tree-sitter-c/tree-sitter-c.wasm');
  const wasm = new Uint8Array(await onPath(path, () => readFile(path)));
  await Parser.init();
  const language = await Language.load(wasm);
  const version = language.metadata;
  const numbers = [version?.major_version, version?.minor_version, version?.patch_version];
  return {
    language,
    name: `tree-sitter-c ${numbers.join('.')}`,
    sha256: toHex(platformCrypto.sha256(wasm)),
    parse: (text) => parse(language, text),
  };
}

function parse(language: Language, text: string): Tree {
  if (text.length > PIPELINE_LIMITS.source) {
    throw new IronError('E_TOO_LARGE', `the source has more than ${PIPELINE_LIMITS.source} bytes`);
  }
  const parser = new Parser();
  try {
    parser.setLanguage(language);
    // A measure of patience, of which nothing else depends: past it there is no result. Of the
    // processor's time, so that a busy machine does not refuse what an idle one takes.
    const until = cpuSeconds() + PIPELINE_LIMITS.parseSeconds;
    // The parser's memory is its own, and no limit of V8 holds for it: what the process grows by.
    const most = memoryUsage.rss() + PIPELINE_LIMITS.parseMemory;
    let stopped: string | undefined;
    const tree = parser.parse(maskedForGrammar(text), null, {
      // The library takes the answer, although its types say that there is none.
      progressCallback: (() => {
        if (cpuSeconds() > until)
          stopped = `the source was not parsed in ${PIPELINE_LIMITS.parseSeconds} s`;
        else if (memoryUsage.rss() > most)
          stopped = `the source was not parsed in ${PIPELINE_LIMITS.parseMemory / 2 ** 20} MiB of memory`;
        return stopped !== undefined;
      }) as () => void,
    });
    if (tree !== null) return tree;
    throw new IronError('E_TOO_LARGE', stopped ?? 'the source was not parsed', {
      why: 'it is far from any C that people write',
      hint: 'nothing was written',
    });
  } finally {
    parser.delete();
  }
}

function cpuSeconds(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1e6;
}

/**
 * The text as the grammar sees it: of the same length, ASCII only. Bytes above ASCII occur in
 * comments and strings, where any letter does, and in names, which they must not cut in two.
 */
function maskedForGrammar(text: string): string {
  const body = text.startsWith('\u00ef\u00bb\u00bf') ? `   ${text.slice(3)}` : text;
  return body.replaceAll(/[\u0080-\u00ff]/g, 'x');
}
