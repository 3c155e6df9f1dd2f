/** Names of metadata files in the tree, taken apart. The other way is layout.ts. */

import { isTopLevelRole } from '../../shared/tuf/names.ts';

export interface RoleFileName {
  readonly role: string;
  readonly version: number;
  readonly isTopLevel: boolean;
}

/** `metadata/5.acme.json` as role and version; undefined for any other path. */
export function decodeRoleFile(path: string): RoleFileName | undefined {
  const match = /^metadata\/([1-9]\d{0,15})\.([^/]+)\.json$/.exec(path);
  if (match === null) return undefined;
  try {
    const role = decodeURIComponent(match[2] as string);
    return { role, version: Number(match[1]), isTopLevel: isTopLevelRole(role) };
  } catch {
    return undefined;
  }
}
