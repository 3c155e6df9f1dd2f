/** Text in ELF files: bytes up to a zero byte, of a table that may lie about itself. */

import { ELF_LIMITS } from '../../limits.ts';
import { malformed } from './view.ts';

/** Reads names, and counts them: a file must not make us write a book. */
export class Names {
  #left: number = ELF_LIMITS.names;

  /** The text from `at` to the next zero byte, which must come. */
  at(table: Uint8Array, at: number, what: string): string {
    if (at >= table.length) throw malformed(`${what} begins beyond its table`);
    const most = table.subarray(at, at + ELF_LIMITS.name + 1);
    const end = most.indexOf(0);
    if (end === -1) throw malformed(`${what} does not end`);
    return this.text(most.subarray(0, end), what);
  }

  /** Bytes as text: UTF-8 that can be printed. */
  text(bytes: Uint8Array, what: string): string {
    this.#left -= 1;
    if (this.#left < 0) throw malformed(`more than ${ELF_LIMITS.names} names`);
    if (bytes.length > ELF_LIMITS.name) throw malformed(`${what} does not end`);
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw malformed(`${what} is not UTF-8`);
    }
    // It will stand on somebody's terminal.
    if (/\p{Cc}/u.test(text)) throw malformed(`${what} has a control character`);
    return text;
  }
}
