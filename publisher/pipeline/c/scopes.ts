/** Which names a file declares itself, and where (C23 6.2.1): those are not the kernel's. */

/** One scope; the file's own has no parent. */
interface Scope {
  readonly parent: number;
  /** Variables, parameters and enumerators. */
  readonly variables: Set<string>;
}

export const FILE_SCOPE = 0;

export type NameOrigin =
  /** Nothing in this file: the kernel's, or a macro's of some header. */
  | 'outside'
  /** A function or macro that the file defines. */
  | 'defined'
  /** A variable or parameter: a call of it goes through a pointer. */
  | 'variable';

export class Scopes {
  readonly #scopes: Scope[] = [{ parent: -1, variables: new Set() }];
  readonly #defined = new Set<string>();

  /** A scope inside `parent`. */
  open(parent: number): number {
    return this.#scopes.push({ parent, variables: new Set() }) - 1;
  }

  variable(scope: number, name: string): void {
    this.#scopes[scope]?.variables.add(name);
  }

  /** A function with a body, or a macro: visible in the whole file. */
  define(name: string): void {
    this.#defined.add(name);
  }

  defines(name: string): boolean {
    return this.#defined.has(name);
  }

  /**
   * Where `name` comes from at a place in `scope`. A declaration counts for all of its scope, also
   * before it: when in doubt, a name is the file's own.
   */
  origin(name: string, scope: number): NameOrigin {
    for (let at = scope; at >= 0; at = this.#scopes[at]?.parent ?? -1)
      if (this.#scopes[at]?.variables.has(name)) return 'variable';
    return this.#defined.has(name) ? 'defined' : 'outside';
  }
}
