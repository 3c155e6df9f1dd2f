/**
 * The first ceremony in one file, which goes from machine to machine until every signature is there:
 * root, targets and, with a security team, the first list of revocations and the role that lists it.
 * It holds nothing secret; each part is what is published, and counts by its own signatures.
 */

import { toBase64, utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { isJsonObject } from '../../shared/json/value.ts';
import { CEREMONY_LIMITS } from '../../shared/limits.ts';
import { readList } from '../../shared/revocation/signed-list.ts';
import { parseRevocationTrust, type RevocationTrust } from '../../shared/tuf/revocation-trust.ts';
import { parseRoot, type Root } from '../../shared/tuf/root.ts';
import { parseTargets, type Targets } from '../../shared/tuf/targets.ts';

const SCHEMA = 'ironport.ceremony/v1';

export interface CeremonyFiles {
  readonly root: Uint8Array;
  readonly targets: Uint8Array;
  readonly list: Uint8Array | undefined;
  readonly revocations: Uint8Array | undefined;
}

/** What the files say. */
export interface Ceremony {
  readonly root: Root;
  readonly targets: Targets;
  /** The security team; undefined without one. */
  readonly team: RevocationTrust | undefined;
}

/** Whether these bytes are such a file, and not metadata. */
export function isCeremonyFile(bytes: Uint8Array): boolean {
  if (bytes.length > CEREMONY_LIMITS.file) return false;
  const value = parseJson(bytes, { length: CEREMONY_LIMITS.file });
  return isJsonObject(value) && value.schema === SCHEMA;
}

export function parseCeremonyFile(bytes: Uint8Array, name: string): CeremonyFiles {
  const node = new Node(parseJson(bytes, { length: CEREMONY_LIMITS.file }), name);
  node.only('schema', 'root', 'targets', 'list', 'revocations').get('schema').oneOf(SCHEMA);
  return {
    root: node.get('root').base64(),
    targets: node.get('targets').base64(),
    list: node.maybe('list')?.base64(),
    revocations: node.maybe('revocations')?.base64(),
  };
}

export function formatCeremonyFile({
  root,
  targets,
  list,
  revocations,
}: CeremonyFiles): Uint8Array {
  const document = {
    schema: SCHEMA,
    root: toBase64(root),
    targets: toBase64(targets),
    ...(list === undefined ? {} : { list: toBase64(list) }),
    ...(revocations === undefined ? {} : { revocations: toBase64(revocations) }),
  };
  return utf8(`${JSON.stringify(document, null, 2)}\n`);
}

/** All that is in it, as `submit` takes it. */
export function filesOf({ root, targets, list, revocations }: CeremonyFiles): Uint8Array[] {
  return [root, targets, list, revocations].filter((bytes) => bytes !== undefined);
}

/** Reads the parts. No signature is looked at; that they begin a repository is. `E_VERSION`. */
export function readCeremony({ root, targets, list }: CeremonyFiles): Ceremony {
  const ceremony = { root: parseRoot(root), targets: parseTargets(targets, 'targets') };
  const { targets: file } = ceremony;
  if (ceremony.root.version !== 1 || file.version !== 1)
    throw new IronError('E_VERSION', 'a ceremony begins with root 1 and targets 1', {
      hint: 'nothing was signed; later files go from signer to signer with `ironport-repo sign`, or wait at the service: `ironport-repo pending`',
    });
  const team = parseRevocationTrust(file.envelope.signed);
  if (list !== undefined) {
    const { list: said } = readList(list);
    const isEmpty = said.floors.size + said.digests.size + said.keys.size === 0;
    if (team === undefined || said.version !== 1 || !isEmpty)
      throw new IronError('E_REVOCATIONS', 'the first list of a repository revokes nothing', {
        hint: 'nothing was signed; ask whoever made this file what it is',
      });
  }
  return { ...ceremony, team };
}
