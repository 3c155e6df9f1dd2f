/** A Name of X.509 as a line for people (RFC 4514's way, in the certificate's own order). */

import { toHex } from '../../bytes.ts';
import { type Der, type DerReader, TAG } from './der.ts';

const TYPES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '1.2.840.113549.1.9.1': 'emailAddress',
};
/** UTF8String, PrintableString, IA5String. */
const TEXTS = [0x0c, 0x13, 0x16];

/** Of the content of a Name. Not for comparing: two names can look alike. */
export function nameText(name: DerReader): string {
  const parts: string[] = [];
  while (!name.isAtEnd) {
    const set = name.into(TAG.set);
    while (!set.isAtEnd) {
      const pair = set.into(TAG.sequence);
      const type = pair.oid();
      parts.push(`${TYPES[type] ?? type}=${valueText(pair.next())}`);
    }
  }
  return parts.join(', ');
}

function valueText({ tag, content }: Der): string {
  const hex = `#${toHex(content)}`;
  if (!TEXTS.includes(tag)) return hex;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(content);
    // It will stand on somebody's terminal, between the parts of a name.
    return /[\p{C}\p{Z}]/u.test(text.replaceAll(' ', ''))
      ? hex
      : text.replace(/[,=+"\\<>;]/g, '\\$&');
  } catch {
    return hex;
  }
}
