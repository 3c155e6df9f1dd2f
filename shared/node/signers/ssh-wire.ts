/** The wire of ssh-agent: strings and numbers with their lengths before them (RFC 4251 5). */

import { concatBytes, fromUtf8 } from '../../bytes.ts';
import { IronError } from '../../errors.ts';

export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function sshString(bytes: Uint8Array): Uint8Array {
  return concatBytes(uint32(bytes.length), bytes);
}

/** Reads what an agent answered; every length is held against what is there. */
export class SshReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#take(1)[0] as number;
  }

  uint32(): number {
    const bytes = this.#take(4);
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  }

  string(): Uint8Array {
    return this.#take(this.uint32());
  }

  text(): string {
    try {
      return fromUtf8(this.string());
    } catch {
      // A comment in another encoding: it names nothing here.
      return '';
    }
  }

  /** Nothing may follow. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw malformed('bytes follow its end');
  }

  #take(length: number): Uint8Array {
    if (length > this.#bytes.length - this.#at) throw malformed('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function malformed(why: string): IronError {
  return new IronError('E_KEY', 'what ssh-agent answered cannot be read', {
    why,
    hint: 'nothing was signed',
  });
}
