/** The versions of a role and of its bins that divide the targets otherwise. */

import type { PublicKey } from '../shared/crypto/key.ts';
import { keyIdentity } from '../shared/crypto/key.ts';
import { IronError } from '../shared/errors.ts';
import { Node } from '../shared/json/decode.ts';
import { isJsonObject, type JsonObject, jsonObject } from '../shared/json/value.ts';
import { BIN_LIMITS } from '../shared/limits.ts';
import { platformCrypto as crypto } from '../shared/node/crypto.ts';
import { formatInstant, type Instant } from '../shared/time.ts';
import { objectMember, succinctTree, targetsTree, withFields } from '../shared/tuf/build.ts';
import {
  binFor,
  binNames,
  parseDelegations,
  type SuccinctRoles,
} from '../shared/tuf/delegations.ts';
import { binPrefix } from '../shared/tuf/names.ts';
import type { Targets } from '../shared/tuf/targets.ts';
import { demandReadable } from './next-role.ts';

/** What is signed: the role that is divided, and every bin. */
export interface Division {
  readonly own: JsonObject;
  readonly bins: ReadonlyMap<string, JsonObject>;
  readonly succinct: SuccinctRoles | undefined;
}

export interface DivisionInput {
  /** The role: the vendor's own, or a nested one. */
  readonly role: string;
  readonly base: Targets;
  /** Every entry that is published now, from wherever it stands. */
  readonly entries: ReadonlyMap<string, JsonObject>;
  /** The length of the bins' numbers; 0 for none: everything back into the role. */
  readonly bits: number;
  readonly keys: readonly PublicKey[];
  readonly threshold: number;
  readonly expires: Instant;
  /** The version that the snapshot lists of a role, 0 for none: it is never begun anew. */
  readonly listed: (role: string) => number;
}

/** `E_TOO_LARGE` when no file could hold it, or more would move than the service takes. */
export function divide(input: DivisionInput): Division {
  const { base, entries, bits, keys, threshold, expires } = input;
  if (entries.size > BIN_LIMITS.moved)
    throw new IronError('E_TOO_LARGE', `${entries.size} targets are too many to move at once`, {
      why: `at most ${BIN_LIMITS.moved} are moved together`,
      hint: 'nothing was signed; choose the number of bins while the role is smaller',
    });
  if (bits === 0) {
    const fields = Object.entries(base.envelope.tree).filter(([name]) => name !== 'delegations');
    const own = withFields(jsonObject(fields), {
      version: base.version + 1,
      expires: formatInstant(expires),
      targets: jsonObject(entries),
    });
    demandReadable(own);
    return { own, bins: new Map(), succinct: undefined };
  }
  const { delegations, succinct } = describe(input.role, bits, { keys, threshold });
  const own = withFields(base.envelope.tree, {
    version: base.version + 1,
    expires: formatInstant(expires),
    targets: jsonObject([]),
    delegations,
  });
  const contents = new Map(binNames(succinct).map((name) => [name, new Map<string, JsonObject>()]));
  for (const [path, entry] of entries)
    contents.get(binFor(crypto, succinct, path))?.set(path, entry);
  const bins = new Map<string, JsonObject>();
  for (const [role, targets] of contents)
    bins.set(role, targetsTree(input.listed(role) + 1, expires, { targets }));
  return { own, bins, succinct };
}

/** The role alone with other keys for the bins that it has, which stand as they are. */
export function rekeyed({
  role,
  base,
  bits,
  keys,
  threshold,
  expires,
}: Omit<DivisionInput, 'entries' | 'listed'>): JsonObject {
  const { delegations } = describe(role, bits, { keys, threshold });
  return withFields(base.envelope.tree, {
    version: base.version + 1,
    expires: formatInstant(expires),
    delegations,
  });
}

/** Bins of a role, each key named once. */
function describe(
  role: string,
  bits: number,
  { keys, threshold }: Pick<DivisionInput, 'keys' | 'threshold'>,
): { readonly delegations: JsonObject; readonly succinct: SuccinctRoles } {
  const unique = [...new Map(keys.map((key) => [keyIdentity(key), key])).values()];
  const spec = { keys: unique, threshold };
  const delegations = succinctTree(crypto, spec, bits, binPrefix(role, bits));
  const succinct = parseDelegations(new Node(delegations, 'delegations')).succinct as SuccinctRoles;
  return { delegations, succinct };
}

/** The entries of a role file, by path. */
export function entriesOf(role: Targets): [string, JsonObject][] {
  return Object.entries(objectMember(role.envelope.tree, 'targets')).filter(
    (pair): pair is [string, JsonObject] => isJsonObject(pair[1]),
  );
}
