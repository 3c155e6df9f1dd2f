/**
 * What a list of revocations says: the least security generation of each product, digests and keys
 * that count no more, and why. Closed, sorted and canonical, so that one content has one form.
 */

import { utf8 } from '../bytes.ts';
import { IronError } from '../errors.ts';
import type { Node } from '../json/decode.ts';
import { type JsonObject, type JsonValue, jsonObject } from '../json/value.ts';
import { REVOCATION_LIMITS } from '../limits.ts';
import { formatInstant, type Instant } from '../time.ts';
import { parseArtifactPath } from '../tuf/names.ts';

export interface RevocationList {
  readonly epoch: number;
  /** Counts up within an epoch. */
  readonly version: number;
  readonly issued: Instant;
  /** By component, i.e. `vendor/product` of the target path. */
  readonly floors: ReadonlyMap<string, Floor>;
  /** By SHA-256, lower-case: artifacts or files beside them. */
  readonly digests: ReadonlyMap<string, Denial>;
  /** By key id as this project computes it (TUF 4.2.3). */
  readonly keys: ReadonlyMap<string, DeniedKey>;
}

export interface Denial {
  readonly reason: string;
}

/** Everything of the component with a smaller generation is refused: one line, every older build. */
export interface Floor extends Denial {
  readonly generation: number;
}

/** The key counts nowhere, but for the artifacts with these digests. */
export interface DeniedKey extends Denial {
  readonly allowed: readonly string[];
}

/** No control characters, and no line ends of any kind. */
const REASON = /^[^\p{Cc}\p{Zl}\p{Zp}]+$/u;
const SHA256 = /^[0-9a-f]{64}$/;
const number = (node: Node, least: number): number => node.integer(least, REVOCATION_LIMITS.number);

/** Reads the predicate of a list. `E_SCHEMA`, `E_NAME`. Says nothing about who signed it. */
export function parseRevocationList(node: Node): RevocationList {
  node.only('epoch', 'version', 'issued', 'floors', 'denied_digests', 'denied_keys');
  return {
    epoch: number(node.get('epoch'), 1),
    version: number(node.get('version'), 1),
    issued: node.get('issued').instant(),
    floors: sorted(node.get('floors'), 'component', parseFloor),
    digests: sorted(node.get('denied_digests'), 'sha256', (item) => {
      item.only('sha256', 'reason');
      item.get('sha256').matching(SHA256, 'a SHA-256 in lower-case hexadecimal');
      return { reason: reasonOf(item) };
    }),
    keys: sorted(node.get('denied_keys'), 'keyid', parseDeniedKey),
  };
}

function parseFloor(item: Node): Floor {
  item.only('component', 'generation', 'reason');
  parseComponent(item.get('component').string());
  return { generation: number(item.get('generation'), 1), reason: reasonOf(item) };
}

function parseDeniedKey(item: Node): DeniedKey {
  item.only('keyid', 'allowed_sha256', 'reason');
  item.get('keyid').matching(SHA256, 'a key id in lower-case hexadecimal');
  const list = item.get('allowed_sha256');
  const allowed = list
    .items(REVOCATION_LIMITS.allowed)
    .map((digest) => digest.matching(SHA256, 'a SHA-256 in lower-case hexadecimal'));
  requireRising(list, allowed);
  return { allowed, reason: reasonOf(item) };
}

/** `vendor/product`, of the grammar that target paths have. `E_NAME`. */
export function parseComponent(component: string): string {
  const [vendor = '', product = '', ...rest] = component.split('/');
  if (rest.length > 0) {
    throw new IronError('E_NAME', `not a component: ${JSON.stringify(component.slice(0, 80))}`, {
      hint: 'a component is VENDOR/PRODUCT, as in the path of an artifact',
    });
  }
  parseArtifactPath(`${vendor}/${product}/0/x`);
  return component;
}

function reasonOf(item: Node): string {
  // Shown to people on terminals: one line, and nothing that steers one.
  const reason = item.get('reason').matching(REASON, 'a reason, in one line of text,');
  if (reason.trim() === '') throw item.get('reason').error('a reason is expected');
  if (utf8(reason).length > REVOCATION_LIMITS.reason)
    throw item.get('reason').error(`at most ${REVOCATION_LIMITS.reason} bytes are expected`);
  return reason;
}

/** Entries by their name, which must rise: none stands twice, and one content has one form. */
function sorted<T>(list: Node, name: string, read: (item: Node) => T): Map<string, T> {
  const entries = list
    .items(REVOCATION_LIMITS.entries)
    .map((item) => [item.get(name).string(), read(item)] as const);
  requireRising(
    list,
    entries.map(([key]) => key),
  );
  return new Map(entries);
}

function requireRising(list: Node, keys: readonly string[]): void {
  keys.forEach((key, i) => {
    if (i > 0 && (keys[i - 1] as string) >= key)
      throw list.error(`entry ${i} is not behind the one before it: sorted, and each once`);
  });
}

/** The predicate as it is signed. */
export function revocationPredicate(list: RevocationList): JsonObject {
  const rows = <T>(map: ReadonlyMap<string, T>, row: (key: string, value: T) => JsonObject) =>
    [...map.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => row(key, value));
  const object = (...fields: [string, JsonValue][]): JsonObject => jsonObject(fields);
  return object(
    ['epoch', list.epoch],
    ['version', list.version],
    ['issued', formatInstant(list.issued)],
    [
      'floors',
      rows(list.floors, (component, { generation, reason }) =>
        object(['component', component], ['generation', generation], ['reason', reason]),
      ),
    ],
    [
      'denied_digests',
      rows(list.digests, (sha256, { reason }) => object(['sha256', sha256], ['reason', reason])),
    ],
    [
      'denied_keys',
      rows(list.keys, (keyid, { allowed, reason }) =>
        object(['keyid', keyid], ['allowed_sha256', [...allowed].sort()], ['reason', reason]),
      ),
    ],
  );
}

/** The first list of an epoch, which revokes nothing. */
export function emptyList(epoch: number, issued: Instant): RevocationList {
  return { epoch, version: 1, issued, floors: new Map(), digests: new Map(), keys: new Map() };
}
