/** Targets metadata, of the top-level role and of delegated ones (TUF 1.0.34 section 4.5). */

import type { Node } from '../json/decode.ts';
import { METADATA_LIMITS } from '../limits.ts';
import { type Delegations, parseDelegations } from './delegations.ts';
import { parseCommon, parseEnvelope, type SignedCommon } from './envelope.ts';
import { type Hashes, parseHashes } from './meta-file.ts';

export interface TargetEntry {
  readonly path: string;
  readonly length: number;
  readonly hashes: Hashes;
  /** The free-form field of the entry, unread. */
  readonly custom: Node | undefined;
}

export class Targets implements SignedCommon {
  readonly version: number;
  readonly expires: number;
  readonly envelope: SignedCommon['envelope'];
  readonly delegations: Delegations | undefined;

  constructor(common: SignedCommon, delegations: Delegations | undefined) {
    this.version = common.version;
    this.expires = common.expires;
    this.envelope = common.envelope;
    this.delegations = delegations;
  }

  /**
   * The entry for `path`, or undefined. Entries are read when they are asked for: a role may list
   * a hundred thousand, and a host wants one.
   */
  entry(path: string): TargetEntry | undefined {
    const node = this.envelope.signed.get('targets').maybe(path);
    if (node === undefined) return undefined;
    return {
      path,
      length: node.get('length').integer(0),
      hashes: parseHashes(node.get('hashes')),
      custom: node.maybe('custom'),
    };
  }

  /** Every path that the role lists itself, in the order of the file. */
  paths(): string[] {
    return Object.keys(this.envelope.signed.get('targets').object());
  }
}

/** Reads the file of the role `name`; a delegated role's file has the type `targets` as well. */
export function parseTargets(
  bytes: Uint8Array,
  name: string,
  length: number = METADATA_LIMITS.targets,
): Targets {
  const common = parseCommon(parseEnvelope(bytes, length, name), 'targets');
  const { signed } = common.envelope;
  signed.get('targets').object();
  const delegations = signed.maybe('delegations');
  return new Targets(common, delegations === undefined ? undefined : parseDelegations(delegations));
}
