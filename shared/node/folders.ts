/** Folders that only we can enter, and places that cannot leave their folder. */

import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { getuid } from 'node:process';
import { IronError } from '../errors.ts';
import { quoted } from '../tuf/names.ts';
import { isErrno } from './errno.ts';
import { type FileSystem, onPath, systemFiles, type WithFiles } from './file-system.ts';

/**
 * Makes sure that `path` is a folder of ours with mode 0700, and no symbolic link. A laxer mode
 * is tightened; somebody else's folder is `E_IO`: they could put files into it.
 */
export async function ensurePrivateFolder(path: string, options: WithFiles = {}): Promise<void> {
  const files = options.files ?? systemFiles;
  await onPath(path, async () => {
    await files.makeFolders(path, 0o700);
    const found = await files.lstat(path);
    const uid = getuid?.();
    if (!found.isDirectory())
      throw new IronError('E_IO', `${path} is not a folder`, { context: { path } });
    if (uid !== undefined && found.uid !== uid) {
      throw new IronError('E_IO', `the folder ${path} belongs to another user`, {
        why: `its owner is ${found.uid}, this program runs as ${uid}`,
        hint: 'nothing was changed; run as its owner, or choose another folder',
        context: { path },
      });
    }
    if ((found.mode & 0o777) !== 0o700) await files.chmod(path, 0o700);
  });
}

/**
 * The absolute place of a relative path from outside, when that place is inside `root`: first by
 * its words, then with every symbolic link that exists on the way resolved. `E_NAME` otherwise.
 * Whoever else can write into `root` can change it afterwards: use it on folders that are ours.
 */
export async function insideFolder(
  root: string,
  path: string,
  options: WithFiles = {},
): Promise<string> {
  const files = options.files ?? systemFiles;
  const outside = (why: string): IronError =>
    new IronError('E_NAME', `the path ${quoted(path)} is refused: ${why}`, { context: { root } });
  if (path === '' || path.includes('\0')) throw outside('it is empty or has a zero byte');
  if (
    isAbsolute(path) ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..')
  ) {
    throw outside('it is absolute, or has an empty, "." or ".." segment');
  }
  const place = resolve(root, path);
  if (!isBelow(resolve(root), place)) throw outside('it leaves its folder');
  return await onPath(root, async () => {
    const realRoot = await files.realpath(root);
    if (!isBelow(realRoot, await realPlace(place, files)))
      throw outside('a symbolic link leads out of its folder');
    return place;
  });
}

function isBelow(root: string, place: string): boolean {
  const way = relative(root, place);
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** `realpath` of a place that may not exist yet: of the part that does, and the rest as it is. */
async function realPlace(place: string, files: FileSystem): Promise<string> {
  try {
    return await files.realpath(place);
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOENT' || dirname(place) === place) throw error;
    // A dangling link does not resolve either, and would be followed by whoever creates a file.
    const isThere = await files.lstat(place).then(
      () => true,
      () => false,
    );
    if (isThere) throw new IronError('E_NAME', `${place} is a symbolic link that leads nowhere`);
    return join(await realPlace(dirname(place), files), basename(place));
  }
}
