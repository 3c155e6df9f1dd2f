/** What kind of file it is, by its name: the way it is transformed must not depend on a guess. */

export type InputKind = 'c' | 'llvm' | 'binary';

export function kindOf(path: string): InputKind {
  const extension = /\.([A-Za-z0-9]+)$/.exec(path)?.[1] ?? '';
  if (/^[ch]$/i.test(extension)) return 'c';
  // `.bc`, LLVM's bitcode, is not text: `llvm-dis` makes it so.
  return extension === 'll' ? 'llvm' : 'binary';
}
