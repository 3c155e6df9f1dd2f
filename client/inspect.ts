/** What a file says, for people to read. Nothing is verified: a file may say anything. */

import { fromUtf8, toHex } from '../shared/bytes.ts';
import type { Crypto } from '../shared/crypto/crypto.ts';
import { IronError, isIronError } from '../shared/errors.ts';
import { parseBundle } from '../shared/evidence/bundle.ts';
import { parseCycloneDx } from '../shared/evidence/cyclonedx.ts';
import {
  type Envelope as DsseEnvelope,
  parseEnvelope as parseDsse,
} from '../shared/evidence/dsse.ts';
import { PREDICATE_TYPES } from '../shared/evidence/identifiers.ts';
import { parseSigstoreBundle } from '../shared/evidence/sigstore-bundle.ts';
import { parseSpdx3 } from '../shared/evidence/spdx3.ts';
import { parseStatement } from '../shared/evidence/statement.ts';
import { parseRecord } from '../shared/handoff/record.ts';
import { parseJson } from '../shared/json/read.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../shared/json/value.ts';
import { HANDOFF_LIMITS, METADATA_LIMITS } from '../shared/limits.ts';
import { formatInstant } from '../shared/time.ts';
import { parseCommon, parseEnvelope } from '../shared/tuf/envelope.ts';
import { shortKeyId } from '../shared/tuf/key.ts';
import type { RoleKeys } from '../shared/tuf/role.ts';
import { parseRoot } from '../shared/tuf/root.ts';
import { parseSnapshot } from '../shared/tuf/snapshot.ts';
import { parseTargets } from '../shared/tuf/targets.ts';
import { parseTimestamp } from '../shared/tuf/timestamp.ts';
import { isBundle, parseHeader, parseIndex } from './bundle/format.ts';
import { bundleFacts, ceilingFacts, keyFacts, sbomFacts, spdxFacts } from './inspect-files.ts';

/** The largest file that is looked at. */
export const INSPECT_LIMIT = HANDOFF_LIMITS.record;

export interface Inspection {
  readonly kind: string;
  readonly sha256: string;
  readonly length: number;
  /** Label and value, in the order in which people want them. */
  readonly facts: readonly (readonly [label: string, value: string])[];
}

/** Recognises every kind of file that the four programs pass to one another. */
export function inspect(crypto: Crypto, bytes: Uint8Array): Inspection {
  const [kind, facts] = read(crypto, bytes);
  return { kind, facts, sha256: toHex(crypto.sha256(bytes)), length: bytes.length };
}

type Facts = (readonly [string, string])[];

function read(crypto: Crypto, bytes: Uint8Array): [kind: string, facts: Facts] {
  if (isBundle(bytes)) {
    const { header, index } = parseHeader(bytes);
    return [BUNDLE_KIND, bundleFacts(parseIndex(bytes.subarray(header, header + index)))];
  }
  const lines = fromUtf8(bytes).trimEnd().split('\n');
  // One JSON document a line is an in-toto bundle; pretty-printed JSON does not parse by lines.
  if (lines.length > 1 && lines[0]?.startsWith('{') && lines[0].endsWith('}')) {
    return ['in-toto bundle', parseBundle(bytes).flatMap(bundleLine)];
  }
  const value = readJson(bytes);
  if (!isJsonObject(value)) throw unknown();
  if ('signed' in value) return readMetadata(bytes, value);
  if ('payloadType' in value) return ['DSSE envelope', dsseFacts(parseDsse(bytes))];
  if ('dsseEnvelope' in value) return ['Sigstore bundle', dsseFacts(parseSigstoreBundle(bytes))];
  if (value.schema === 'ironport.handoff/v1') return ['hand-over record', recordFacts(bytes)];
  if (typeof value.spdxVersion === 'string') return ['SPDX document', spdxFacts(bytes)];
  if ('@graph' in value) return ['SPDX document', sbomFacts(parseSpdx3(bytes))];
  if ('bomFormat' in value) return ['CycloneDX document', sbomFacts(parseCycloneDx(bytes))];
  if (typeof value.schema === 'string' && Object.hasOwn(KEY_KINDS, value.schema)) {
    const [kind, half] = KEY_KINDS[value.schema] as readonly [string, string];
    return [kind, keyFacts(crypto, bytes, half)];
  }
  throw unknown();
}

export const BUNDLE_KIND = 'bundle';

/** Key files by their schema, and what is said of the private half: nothing of it is shown. */
const KEY_KINDS: Readonly<Record<string, readonly [kind: string, half: string]>> = {
  'ironport.key/v1': ['key file', 'in the file, and not shown'],
  'ironport.pubkey/v1': ['public key', 'not in the file'],
  'ironport.key-reference/v1': ['key reference', 'elsewhere: the file says where'],
};

function readJson(bytes: Uint8Array): JsonValue {
  try {
    return parseJson(bytes, { length: INSPECT_LIMIT });
  } catch (error) {
    if (!isIronError(error, 'E_JSON')) throw error;
    const { code, message, context } = error;
    const why = 'no file of a kind that is known here is like that';
    throw new IronError(code, message, { why, hint: KNOWN, cause: error, context });
  }
}

const KNOWN =
  'TUF metadata, DSSE envelopes, in-toto, Sigstore and our bundles, SPDX, CycloneDX, key files and hand-over records are known';

function unknown(): IronError {
  return new IronError('E_SCHEMA', 'not a file of a kind that is known here', {
    hint: KNOWN,
  });
}

function readMetadata(bytes: Uint8Array, value: JsonObject): [string, Facts] {
  const type = isJsonObject(value.signed) ? value.signed._type : undefined;
  const envelope = parseEnvelope(bytes, METADATA_LIMITS.targets, 'file');
  if (typeof type !== 'string') throw unknown();
  const { version, expires } = parseCommon(envelope, type);
  const facts: Facts = [
    ['version', String(version)],
    ['expires', formatInstant(expires)],
    ...[...envelope.signatures.keys()].map((keyid) => ['signature by', keyid] as const),
  ];
  return [`TUF ${type}`, [...facts, ...roleFacts(type, bytes), ...otherFields(envelope.tree)]];
}

function roleFacts(type: string, bytes: Uint8Array): Facts {
  switch (type) {
    case 'root': {
      const { keys, roles, consistentSnapshot } = parseRoot(bytes);
      return [
        ['consistent snapshots', String(consistentSnapshot)],
        ...Object.entries(roles).map(([name, role]) => [name, keysText(role)] as const),
        ...[...keys].map(
          ([keyid, { keytype, unusable }]) =>
            [
              'key',
              `${keyid} ${keytype}${unusable === undefined ? '' : `, unusable: ${unusable}`}`,
            ] as const,
        ),
      ];
    }
    case 'timestamp':
      return [['snapshot', `version ${parseTimestamp(bytes).snapshot.version}`]];
    case 'snapshot':
      return [...parseSnapshot(bytes).roles].map(([role, file]) => [
        'role',
        `${role}, version ${file.version}`,
      ]);
    case 'targets': {
      const targets = parseTargets(bytes, 'targets');
      const { roles = [], succinct } = targets.delegations ?? {};
      return [
        ...targets.paths().map((path) => ['target', path] as const),
        ...roles.map(({ name, scope, terminating, ...role }) => {
          const where = 'paths' in scope ? scope.paths : scope.hashPrefixes;
          const end = terminating ? ', terminating' : '';
          return ['delegates', `${where.join(' ')} to ${name}, ${keysText(role)}${end}`] as const;
        }),
        ...(succinct === undefined
          ? []
          : [
              [
                'delegates',
                `all to ${2 ** succinct.bitLength} bins ${succinct.namePrefix}-*`,
              ] as const,
            ]),
      ];
    }
    default:
      return [];
  }
}

function keysText({ keyids, threshold }: RoleKeys): string {
  return `${threshold} of ${keyids.length}: ${keyids.map(shortKeyId).join(' ')}`;
}

const SHOWN = [
  '_type',
  'spec_version',
  'version',
  'expires',
  'consistent_snapshot',
  'keys',
  'roles',
];

/** Fields that TUF does not know, and that are signed all the same. */
function otherFields(signed: JsonObject): Facts {
  return Object.entries(signed)
    .filter(([name]) => ![...SHOWN, 'meta', 'targets', 'delegations'].includes(name))
    .map(([name, value]) => [name, brief(value)]);
}

function brief(value: JsonValue): string {
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

function bundleLine(line: ReturnType<typeof parseBundle>[number]): Facts {
  return 'envelope' in line ? dsseFacts(line.envelope) : [['line', 'not a DSSE envelope']];
}

function dsseFacts(envelope: DsseEnvelope): Facts {
  const facts: Facts = [['payload type', envelope.payloadType]];
  for (const { keyid } of envelope.signatures) facts.push(['signature by', keyid ?? 'unnamed key']);
  try {
    const { subjects, predicateType, predicate } = parseStatement(envelope);
    for (const { name, sha256 } of subjects)
      facts.push(['subject', `${name ?? ''} ${sha256 ?? ''}`.trim()]);
    facts.push(['predicate type', predicateType]);
    if (predicateType === PREDICATE_TYPES.ceiling) facts.push(...ceilingFacts(predicate));
    else facts.push(['predicate', brief(predicate.value)]);
  } catch (error) {
    if (!(error instanceof IronError)) throw error;
    facts.push(['payload', `${envelope.payload.length} bytes, no in-toto statement`]);
  }
  return facts;
}

function recordFacts(bytes: Uint8Array): Facts {
  const record = parseRecord(bytes);
  return [
    ['artifact', `${record.artifact.path}, ${record.artifact.length} bytes`],
    ['sha256', record.artifact.sha256],
    ...record.sidecars.map(({ path }) => ['sidecar', path] as const),
    ['roots', String(record.roots.length)],
    ['roles', ['timestamp', 'snapshot', ...record.roles.keys()].join(' ')],
  ];
}
