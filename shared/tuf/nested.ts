/**
 * Roles that a vendor nests below its own, each with keys of its own: `acme.wifi` for the products
 * whose names begin with `wifi-`, say. Which of a vendor's roles may list a path is settled by the
 * path alone: patterns of two nested roles have no path in common, and what none of them covers is
 * the vendor's own.
 */

import type { Crypto } from '../crypto/crypto.ts';
import { keyIdentity } from '../crypto/key.ts';
import { IronError } from '../errors.ts';
import { canonicalText } from '../json/canonical.ts';
import { isJsonObject, type JsonObject } from '../json/value.ts';
import { BIN_LIMITS, NAME_LIMITS, NESTED_LIMITS } from '../limits.ts';
import { objectMember } from './build.ts';
import {
  binFor,
  binNames,
  type DelegatedKeys,
  type DelegatedRole,
  type Delegations,
  isBin,
  type SuccinctRoles,
} from './delegations.ts';
import { binPrefix, quoted } from './names.ts';
import { keyIdentities } from './role.ts';
import type { Targets } from './targets.ts';

/** The role `<vendor>.<name>`. `E_NAME`; also for what the vendor's hash bins could be called. */
export function nestedRole(vendor: string, name: string): string {
  const role = `${vendor}.${name}`;
  const isBinName = /^b\d+-[0-9a-f]+$/.test(name);
  if (!isBinName && /^[a-z0-9][a-z0-9-]*$/.test(name) && role.length <= NAME_LIMITS.role)
    return role;
  throw new IronError('E_NAME', `not a name for a role of ${vendor}: ${quoted(name)}`, {
    why: isBinName ? 'hash bins are called so' : `${vendor}.NAME is the role`,
    hint: `nothing was changed; use a-z, 0-9 and -, beginning with a letter or digit, ${NAME_LIMITS.role} in all with the vendor's name`,
  });
}

/** A segment of a pattern: a text, or what begins with it. */
interface Part {
  readonly text: string;
  readonly isPrefix: boolean;
}

/** What a nested role speaks for: products, and of these versions, always whole. */
interface Pattern {
  readonly product: Part;
  readonly version: Part;
}

/**
 * `<vendor>/<product>/<version>/*`, where product and version may end in `*`. A version's files stay
 * together, since sidecars are of the role of their artifact; and whether two patterns overlap is
 * plain. `E_DELEGATION`.
 */
export function parseNestedPattern(vendor: string, pattern: string): Pattern {
  const [first, a, b, file, ...rest] = pattern.split('/');
  const isPart = (part: string | undefined): part is string =>
    part !== undefined && /^(?:[A-Za-z0-9._+~-]+\*?|\*)$/.test(part);
  const isOurs = first === vendor && file === '*' && rest.length === 0;
  if (!isOurs || !isPart(a) || !isPart(b) || pattern.length > NESTED_LIMITS.pattern) {
    throw new IronError(
      'E_DELEGATION',
      `not a pattern for a role of ${vendor}: ${quoted(pattern)}`,
      {
        why: `nested roles speak for whole versions in the vendor's own folder: ${vendor}/<product>/<version>/*, where product and version may end in *`,
        hint: `nothing was changed; ${vendor}/wifi/*/* is all of one product, ${vendor}/wifi-*/*/* all of some`,
      },
    );
  }
  return { product: partOf(a), version: partOf(b) };
}

function partOf(text: string): Part {
  return text.endsWith('*')
    ? { text: text.slice(0, -1), isPrefix: true }
    : { text, isPrefix: false };
}

function takes({ text, isPrefix }: Part, segment: string): boolean {
  return isPrefix ? segment.startsWith(text) : segment === text;
}

/** Whether some text is of both. */
function meet(a: Part, b: Part): boolean {
  if (a.isPrefix && b.isPrefix) return a.text.startsWith(b.text) || b.text.startsWith(a.text);
  return a.isPrefix ? takes(a, b.text) : takes(b, a.text);
}

/** Whether all that `pattern` takes is covered by one of `outer`, compared segment by segment. */
export function isWithin(pattern: string, outer: readonly string[]): boolean {
  const inner = pattern.split('/');
  return outer.some((one) => {
    const around = one.split('/');
    return (
      around.length === inner.length &&
      around.every((part, i) => {
        const text = inner[i] as string;
        return (
          part === text ||
          part === '*' ||
          (/^[^*?]+\*$/.test(part) && text.startsWith(part.slice(0, -1)))
        );
      })
    );
  });
}

/** The patterns of a nested role; none for one that is delegated by hashes. */
export function patternsOf({ scope }: DelegatedRole): readonly string[] {
  return 'paths' in scope ? scope.paths : [];
}

/**
 * Throws what a vendor's role must not delegate: `E_NAME`, `E_DELEGATION`, `E_THRESHOLD`, `E_QUOTA`.
 * @param vendor whose role it is
 * @param within patterns that are delegated to the vendor itself
 */
export function demandNested(
  vendor: string,
  { roles, keys }: Delegations,
  within: readonly string[],
): void {
  const seen: { readonly role: string; readonly text: string; readonly pattern: Pattern }[] = [];
  if (roles.length === 0)
    throw new IronError('E_DELEGATION', `${vendor} has delegations, and delegates to nobody`, {
      hint: 'nothing was changed; leave the field out',
    });
  if (roles.length > NESTED_LIMITS.roles)
    throw tooMany(vendor, `${roles.length} nested roles`, NESTED_LIMITS.roles);
  for (const role of roles) {
    const { name, terminating, threshold } = role;
    if (
      !name.startsWith(`${vendor}.`) ||
      nestedRole(vendor, name.slice(vendor.length + 1)) !== name
    )
      throw new IronError('E_NAME', `${quoted(name)} is no role of ${vendor}`, {
        why: `what ${vendor} delegates to begins with ${vendor}.`,
      });
    const usable = keyIdentities(keys, role).size;
    if (usable < threshold)
      throw new IronError('E_THRESHOLD', `${name} could never be signed`, {
        why: `${threshold} keys must sign, and ${usable} of those listed can be used`,
      });
    // TUF 5.6.7.2.1: the search ends there, as nobody else may list these paths.
    if (!terminating)
      throw new IronError('E_DELEGATION', `the delegation to ${name} does not end the search`);
    const patterns = patternsOf(role);
    if (patterns.length === 0)
      throw new IronError('E_DELEGATION', `${name} speaks for no path`, {
        why: 'a nested role is given patterns of paths',
      });
    for (const text of patterns) {
      const pattern = parseNestedPattern(vendor, text);
      if (!isWithin(text, within))
        throw new IronError('E_DELEGATION', `${vendor} may not delegate ${quoted(text)}`, {
          why: `the signed targets delegate ${within.join(', ') || 'nothing'} to it`,
        });
      const other = seen.find(
        (one) =>
          meet(one.pattern.product, pattern.product) && meet(one.pattern.version, pattern.version),
      );
      if (other !== undefined)
        throw new IronError('E_DELEGATION', `${text} and ${other.text} have paths in common`, {
          why: `${name} and ${other.role} could list the same path: which of them counts would hang on their order`,
          hint: 'nothing was changed; give each path to one role',
          context: { role: name, other: other.role },
        });
      seen.push({ role: name, text, pattern });
      if (seen.length > NESTED_LIMITS.patterns)
        throw tooMany(vendor, 'more patterns', NESTED_LIMITS.patterns);
    }
  }
}

function tooMany(vendor: string, what: string, limit: number): IronError {
  return new IronError('E_QUOTA', `${vendor} would have ${what}`, {
    why: `at most ${limit} are taken`,
    hint: 'nothing was changed; nest fewer roles, or divide the role into hash bins',
    context: { vendor, limit },
  });
}

/**
 * Throws `E_DELEGATION` for hash bins that a role must not be split into: the name of the role and the
 * length of their numbers name them, and a role that is split lists nothing itself.
 */
export function demandBins(
  role: string,
  file: Targets,
  { bitLength, namePrefix }: SuccinctRoles,
): void {
  if (bitLength > BIN_LIMITS.bits || namePrefix !== binPrefix(role, bitLength)) {
    throw new IronError('E_DELEGATION', `${role} may not be split into ${quoted(namePrefix)}`, {
      why: `at most ${2 ** BIN_LIMITS.bits} bins are taken, called ${binPrefix(role, bitLength)}-…`,
      context: { bits: bitLength, prefix: namePrefix },
    });
  }
  if (file.paths().length > 0) {
    throw new IronError('E_DELEGATION', `${role} is split into bins and lists targets itself`, {
      why: 'a path would have two places in which it could stand',
    });
  }
}

/** Which role of a vendor may list a path: its own, a bin of it, or one that is nested in it. */
export class Owners {
  readonly #crypto: Crypto;
  readonly #vendor: string;
  readonly #delegations: Delegations | undefined;
  readonly #exact = new Map<string, { role: string; pattern: Pattern }[]>();
  readonly #others: { role: string; pattern: Pattern }[] = [];

  /** @param own the vendor's role, whose delegations are as `demandNested` wants them */
  constructor(crypto: Crypto, vendor: string, own: Targets | undefined) {
    this.#crypto = crypto;
    this.#vendor = vendor;
    this.#delegations = own?.delegations;
    for (const role of own?.delegations?.roles ?? []) {
      for (const text of patternsOf(role)) {
        const pattern = parseNestedPattern(vendor, text);
        const one = { role: role.name, pattern };
        const { product } = pattern;
        if (product.isPrefix) this.#others.push(one);
        else this.#exact.set(product.text, [...(this.#exact.get(product.text) ?? []), one]);
      }
    }
  }

  of(path: string): string {
    const succinct = this.#delegations?.succinct;
    if (succinct !== undefined) return binFor(this.#crypto, succinct, path);
    const [, product = '', version = ''] = path.split('/', 3);
    const isHere = ({ pattern }: { pattern: Pattern }): boolean =>
      takes(pattern.product, product) && takes(pattern.version, version);
    const found = this.#exact.get(product)?.find(isHere) ?? this.#others.find(isHere);
    return found?.role ?? this.#vendor;
  }
}

/** Names of the roles below a vendor's own: all of its bins, or those nested in it. */
export function rolesBelow(own: Targets | undefined): string[] {
  const { roles = [], succinct } = own?.delegations ?? {};
  return succinct === undefined ? roles.map(({ name }) => name) : binNames(succinct);
}

/** Who signs a role below a vendor's own; undefined when that delegates to no such role. */
export function keysBelow(own: Targets | undefined, role: string): DelegatedKeys | undefined {
  const { roles = [], succinct } = own?.delegations ?? {};
  if (succinct !== undefined) return isBin(succinct, role) ? succinct : undefined;
  return roles.find(({ name }) => name === role);
}

/** Whether two versions of a vendor's role delegate alike to `role`: same paths, same keys. */
export function delegatesAlike(
  a: Targets | undefined,
  b: Targets | undefined,
  role: string,
): boolean {
  const texts = [a, b].map((own) => {
    const delegations = own && objectMember(own.envelope.tree, 'delegations');
    const roles = delegations?.roles;
    const found = (Array.isArray(roles) ? roles : []).find(
      (one): one is JsonObject => isJsonObject(one) && one.name === role,
    );
    const keys = own?.delegations?.roles.find(({ name }) => name === role);
    if (found === undefined || keys === undefined) return undefined;
    const identities = keys.keyids.map((id) => {
      const key = keys.table.get(id)?.publicKey;
      return key === undefined ? id : keyIdentity(key);
    });
    return `${canonicalText(found)} ${identities.sort().join(' ')}`;
  });
  return texts[0] !== undefined && texts[0] === texts[1];
}
