/**
 * A kernel module with a signature at its end, as Linux has it (kernel/module_signature.c): the
 * module, the signature, twelve bytes that say how long it is, and a line of text.
 */

import { utf8 } from '../../bytes.ts';
import { ELF_LIMITS } from '../../limits.ts';
import { type ModuleSignature, readPkcs7 } from './pkcs7.ts';
import { badSignature } from './signature-error.ts';

export interface SignedModule {
  /** What the signature is over: the file without what was appended. */
  readonly module: Uint8Array;
  /** The PKCS #7 block. */
  readonly block: Uint8Array;
  readonly signature: ModuleSignature;
}

const MARK = utf8('~Module signature appended~\n');
const INFO = 12;
/** PKEY_ID_PKCS7. */
const PKCS7 = 2;

/** Whether a file's last bytes say that a signature was appended. */
export function hasModuleSignature(bytes: Uint8Array): boolean {
  const at = bytes.length - MARK.length;
  return at >= 0 && MARK.every((byte, i) => bytes[at + i] === byte);
}

/** Takes a module and its signature apart; undefined when none is appended. `E_SCHEMA`. */
export function parseSignedModule(bytes: Uint8Array): SignedModule | undefined {
  if (!hasModuleSignature(bytes)) return undefined;
  const at = bytes.length - MARK.length - INFO;
  if (at < 0) throw badSignature('there is no room for its length');
  const info = bytes.subarray(at, at + INFO);
  if (info[2] !== PKCS7) throw badSignature('it is not PKCS #7');
  // mod_check_sig: with PKCS #7 all that older kinds said here is zero.
  const others = [0, 1, 3, 4, 5, 6, 7];
  if (others.some((i) => info[i] !== 0)) throw badSignature('its description is of another kind');
  const length = new DataView(info.buffer, info.byteOffset, INFO).getUint32(8);
  if (length === 0 || length > ELF_LIMITS.signature) throw badSignature(`it has ${length} bytes`);
  if (length >= at) throw badSignature('it is longer than the file');
  const block = bytes.subarray(at - length, at);
  return { module: bytes.subarray(0, at - length), block, signature: readPkcs7(block) };
}
