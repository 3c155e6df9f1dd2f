/** From the path of a URL to a path in the tree: decoded once, and contained (invariant 3). */

import { IronError } from '../../shared/errors.ts';

/** The segments of a path as they came over the wire. `E_NOT_FOUND` for any that is not plain. */
export function decodeUrlPath(raw: string): string {
  const segments = raw
    .replace(/^\//, '')
    .split('/')
    .map((segment) => {
      const text = decodeOnce(segment);
      // Dot files include `.` and `..` and whatever a crash left unfinished; a slash that only
      // appears by decoding would make two segments of one.
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
      if (text === '' || text.startsWith('.') || /[/\\\u0000-\u001f\u007f]/.test(text)) {
        throw noSuchFile();
      }
      return text;
    });
  return segments.join('/');
}

function decodeOnce(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw noSuchFile();
  }
}

/** What every refusal of this room says: nothing about what else may be there. */
export function noSuchFile(): IronError {
  return new IronError('E_NOT_FOUND', 'there is no such file');
}
