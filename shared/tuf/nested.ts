/**
 * Roles that a vendor nests below its own, each with keys of its own: `acme.wifi` for the products
 * whose names begin with `wifi-`, say, and `acme.wifi.ax` for some of them, below that. Which of a
 * vendor's roles may list a path is settled by the path alone: patterns of two roles in one role have no
 * path in common, and what none of them covers is that role's own.
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
import { binPrefix, quoted, vendorOfRole } from './names.ts';
import { keyIdentities } from './role.ts';
import type { Targets } from './targets.ts';

/**
 * The role `<vendor>.<name>`; a name of several parts, as `wifi.ax`, is of a role deeper down. `E_NAME`;
 * also for what hash bins could be called.
 */
export function nestedRole(vendor: string, name: string): string {
  const role = `${vendor}.${name}`;
  const parts = name.split('.');
  const isBinName = parts.some(isNameOfBin);
  const isName = parts.every((part) => /^[a-z0-9][a-z0-9-]*$/.test(part));
  const depth = depthOf(role);
  if (!isBinName && isName && role.length <= NAME_LIMITS.role && depth <= NESTED_LIMITS.depth)
    return role;
  throw new IronError('E_NAME', `not a name for a role of ${vendor}: ${quoted(name)}`, {
    why: isBinName
      ? 'hash bins are called so'
      : depth > NESTED_LIMITS.depth
        ? `roles are nested ${NESTED_LIMITS.depth} deep at the most`
        : `${vendor}.NAME is the role`,
    hint: `nothing was changed; use a-z, 0-9 and -, beginning with a letter or digit, ${NAME_LIMITS.role} in all with the vendor's name`,
  });
}

function isNameOfBin(part: string): boolean {
  return /^b\d+-[0-9a-f]+$/.test(part);
}

/** Whether a role is a hash bin, by its name: no nested role may be called so. */
export function isBinName(role: string): boolean {
  return isNameOfBin(role.slice(role.lastIndexOf('.') + 1));
}

/** The role that alone may delegate to this one, by its name; undefined for a vendor's own. */
export function parentRole(role: string): string | undefined {
  const at = role.lastIndexOf('.');
  return at < 0 ? undefined : role.slice(0, at);
}

/** How far below the vendor's own a role stands, by its name: 0 for that itself. */
export function depthOf(role: string): number {
  return role.split('.').length - 1;
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
 * Throws what a role of a vendor, its own or a nested one, must not delegate: `E_NAME`, `E_DELEGATION`,
 * `E_THRESHOLD`, `E_QUOTA`.
 * @param parent the role that delegates
 * @param within patterns that are delegated to it
 */
export function demandNested(
  parent: string,
  { roles, keys }: Delegations,
  within: readonly string[],
): void {
  const vendor = vendorOfRole(parent);
  const seen: { readonly role: string; readonly text: string; readonly pattern: Pattern }[] = [];
  if (roles.length === 0)
    throw new IronError('E_DELEGATION', `${parent} has delegations, and delegates to nobody`, {
      hint: 'nothing was changed; leave the field out',
    });
  if (roles.length > NESTED_LIMITS.roles)
    throw tooManyNested(vendor, `${roles.length} nested roles`, NESTED_LIMITS.roles);
  for (const role of roles) {
    const { name, terminating, threshold } = role;
    if (
      !name.startsWith(`${parent}.`) ||
      nestedRole(vendor, name.slice(vendor.length + 1)) !== name ||
      parentRole(name) !== parent
    )
      throw new IronError('E_NAME', `${quoted(name)} is no role of ${parent}`, {
        why: `what ${parent} delegates to is called ${parent}.NAME`,
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
        throw new IronError('E_DELEGATION', `${parent} may not delegate ${quoted(text)}`, {
          why: `${parent === vendor ? 'the signed targets delegate' : `${parentRole(parent)} delegates`} ${within.join(', ') || 'nothing'} to it`,
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
        throw tooManyNested(vendor, 'more patterns', NESTED_LIMITS.patterns);
    }
  }
}

/** `E_QUOTA` for a vendor whose branch would have more than one of these limits allows. */
export function tooManyNested(vendor: string, what: string, limit: number): IronError {
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

/**
 * Whom a role of a vendor gives a path to: to itself, to a bin of it, or to a role that is nested in it,
 * which may give it on.
 */
export class Owners {
  readonly #crypto: Crypto;
  readonly #role: string;
  readonly #delegations: Delegations | undefined;
  readonly #exact = new Map<string, { role: string; pattern: Pattern }[]>();
  readonly #others: { role: string; pattern: Pattern }[] = [];

  /** @param file what the role says; its delegations are as `demandNested` wants them */
  constructor(crypto: Crypto, role: string, file: Targets | undefined) {
    this.#crypto = crypto;
    this.#role = role;
    this.#delegations = file?.delegations;
    const vendor = vendorOfRole(role);
    for (const role of file?.delegations?.roles ?? []) {
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
    return found?.role ?? this.#role;
  }
}

/** Names of the roles right below one of a vendor: all of its bins, or those nested in it. `E_DELEGATION`. */
export function rolesBelow(own: Targets | undefined): string[] {
  const { roles = [], succinct } = own?.delegations ?? {};
  if (succinct === undefined) return roles.map(({ name }) => name);
  // Two to the power of what a file says are many names: nothing of the kind was ever taken.
  if (succinct.bitLength <= BIN_LIMITS.bits) return binNames(succinct);
  throw new IronError(
    'E_DELEGATION',
    `2^${succinct.bitLength} bins are more than anybody may have`,
  );
}

/** Who signs a role right below `own`; undefined when that delegates to no such role. */
export function keysBelow(own: Targets | undefined, role: string): DelegatedKeys | undefined {
  const { roles = [], succinct } = own?.delegations ?? {};
  if (succinct !== undefined) return isBin(succinct, role) ? succinct : undefined;
  return roles.find(({ name }) => name === role);
}

/** Whether two versions of a role delegate alike to `role`: same paths, same keys. */
export function delegatesAlike(
  a: Targets | undefined,
  b: Targets | undefined,
  role: string,
): boolean {
  const [one, other] = [a, b].map((file) => delegationText(file, role));
  return one !== undefined && one === other;
}

/** All that decides about a role in what delegates to it; undefined when that does not. */
function delegationText(file: Targets | undefined, role: string): string | undefined {
  const keys = keysBelow(file, role);
  if (file === undefined || keys === undefined) return undefined;
  const delegations = objectMember(file.envelope.tree, 'delegations');
  // All bins have one description (TAP 15).
  const listed = Array.isArray(delegations.roles)
    ? delegations.roles
    : [delegations.succinct_roles];
  const found = listed.find(
    (one): one is JsonObject =>
      isJsonObject(one) && (one.name === role || one === delegations.succinct_roles),
  );
  if (found === undefined) return undefined;
  const identities = keys.keyids.map((id) => {
    const key = keys.table.get(id)?.publicKey;
    return key === undefined ? id : keyIdentity(key);
  });
  return `${canonicalText(found)} ${identities.sort().join(' ')}`;
}
