/**
 * Resumable uploads by tus 1.0.0 (https://tus.io/protocols/resumable-upload): the core, and its
 * extensions creation, expiration and termination. An upload's address is the digest of its blob,
 * so that whoever lost everything but the file knows where to go on.
 */

import { fromBase64, fromUtf8, toBase64, utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';

/** The one version of the protocol that is spoken. */
export const TUS_VERSION = '1.0.0';
export const TUS_EXTENSIONS = 'creation,expiration,termination';
/** With it a request is of this protocol, and its signature covers what that one sends. */
export const TUS_RESUMABLE = 'tus-resumable';
/** What is told of an upload when it is created; the only key that is read is `sha256`. */
export const UPLOAD_METADATA = 'upload-metadata';
/** When an unfinished upload is deleted, as an HTTP date (RFC 9110 5.6.7). */
export const UPLOAD_EXPIRES = 'upload-expires';

/** `Upload-Metadata` of a blob: its digest, 64 hexadecimal digits in base64. */
export function formatUploadMetadata(sha256: string): string {
  return `sha256 ${toBase64(utf8(sha256))}`;
}

/** The digest that `Upload-Metadata` names. `E_USAGE` on any other key, or none, or two. */
export function parseUploadMetadata(field: string | undefined): string {
  // 64 bytes in base64 are 86 characters and their padding.
  const value = /^sha256 ([A-Za-z0-9+/]{86}==)$/.exec(field ?? '')?.[1];
  const digest = value === undefined ? '' : readText(value);
  if (/^[0-9a-f]{64}$/.test(digest)) return digest;
  throw new IronError('E_USAGE', 'the field upload-metadata does not name one SHA-256', {
    why: 'it is "sha256", a space, and the digest as 64 lower-case hexadecimal digits in base64',
    hint: 'nothing was changed',
  });
}

function readText(base64: string): string {
  try {
    return fromUtf8(fromBase64(base64));
  } catch {
    return '';
  }
}
