/** What documents look like without their values: every field that is no container, with its types. */

/** `checks[].version` → `integer|null`. */
export type Shape = Readonly<Record<string, string>>;

/** Objects whose members are named by what is in the repository, and not by us. */
const MAPS: ReadonlySet<string> = new Set(['versions', 'hashes', 'sidecars', 'context']);

/**
 * The shape of all `values` together. An empty list is `name[]: nothing`, an empty object
 * `name: nothing`; a member of a map is called `*`.
 */
export function shapeOf(...values: readonly unknown[]): Shape {
  const found = new Map<string, Set<string>>();
  for (const value of values) collect(value, '', found);
  return Object.fromEntries(
    Array.from(found, ([path, types]): [string, string] => [
      path,
      Array.from(types).sort().join('|'),
    ]).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

function collect(value: unknown, path: string, found: Map<string, Set<string>>): void {
  if (Array.isArray(value)) {
    for (const item of value) collect(item, `${path}[]`, found);
    if (value.length === 0) note(`${path}[]`, 'nothing', found);
  } else if (typeof value === 'object' && value !== null) {
    const isMap = MAPS.has(path.slice(path.lastIndexOf('.') + 1));
    for (const [key, member] of Object.entries(value)) {
      const name = isMap ? '*' : key;
      collect(member, path === '' ? name : `${path}.${name}`, found);
    }
    if (Object.keys(value).length === 0) note(path, 'nothing', found);
  } else {
    note(path, value === null ? 'null' : scalar(value), found);
  }
}

function scalar(value: unknown): string {
  if (typeof value !== 'number') return typeof value;
  return Number.isInteger(value) ? 'integer' : 'number';
}

function note(path: string, type: string, found: Map<string, Set<string>>): void {
  found.set(path, (found.get(path) ?? new Set()).add(type));
}
