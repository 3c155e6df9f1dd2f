/**
 * Forged evidence, each row refused for its own reason. Where a row says `listed`, the vendor's
 * role itself lists the forged sidecar, so that nothing but the evidence policy stands in the way.
 */

import t from 'tap';
import { concatBytes, toBase64, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { buildBundle } from '../../shared/evidence/bundle.ts';
import { signCeiling } from '../../shared/evidence/ceiling-envelope.ts';
import { pae } from '../../shared/evidence/dsse.ts';
import { type EvidenceInput, verifyEvidence } from '../../shared/evidence/evidence.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import type { MadeEvidence } from '../../shared/evidence/make.ts';
import type { EvidenceReason } from '../../shared/evidence/refusal.ts';
import { SPDX3_CONTEXT } from '../../shared/evidence/spdx3.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { EVIDENCE_LIMITS } from '../../shared/limits.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import {
  acme,
  artifactOf,
  bundleOf,
  bytesOf,
  CEILING,
  duplicated,
  EDU,
  ed25519Signer,
  envelopeOf,
  inputOf,
  listing,
  make,
  other,
  sha256,
  statementOf,
  textOf,
  withStatements,
} from './support.ts';

const made = await make();
/** The next version of the same driver, and another driver of the same vendor: all truly signed. */
const EDU_2 = artifactOf('acme/edu/1.1.0/edu.js', 'version 1.1.0');
const NIC = artifactOf('acme/nic/1.0.0/nic.js');
const made2 = await make({ artifact: EDU_2, generation: 2 });
const madeNic = await make({ artifact: NIC });
/** Made by somebody else for this very file. */
const madeByOther = await make({ signer: other });

const withListed = (change: Partial<MadeEvidence>): EvidenceInput => inputOf(listing(made, change));

/** The signature of an envelope put over another payload. */
async function transplanted(payload: Uint8Array): Promise<Uint8Array> {
  const sig = await acme.sign(pae(IN_TOTO_PAYLOAD_TYPE, statementOf()));
  const text = JSON.stringify({
    payload: toBase64(payload),
    payloadType: IN_TOTO_PAYLOAD_TYPE,
    signatures: [{ sig: toBase64(sig) }],
  });
  return utf8(`${text}\n`);
}

/** The truth but for one byte in the length of one sidecar. */
const lengthened = new Node(
  {
    ...made.custom,
    sidecars: {
      ...(made.custom.sidecars as JsonObject),
      sbom: { length: made.sbom.length + 1, sha256: sha256(made.sbom) },
    },
  },
  'custom.ironport',
);
/** The Sigstore bundle with the right signature around another payload. */
const hollow = utf8(
  textOf(made.bundle).replace(/"payload":"[^"]*"/, `"payload":"${toBase64(statementOf(NIC))}"`),
);
const nested = utf8(`{"_type":${'['.repeat(200)}${']'.repeat(200)}}`);
const sha512OfAnother = { ...EDU, sha512: NIC.sha512 };

/** The least that a bill says of a file: which one it is. */
const cycloneDx = (content: string): JsonObject => ({
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  metadata: {
    component: { type: 'device-driver', name: 'nic', hashes: [{ alg: 'SHA-256', content }] },
  },
});
const spdx3 = (hashValue: string): JsonObject => ({
  '@context': SPDX3_CONTEXT,
  '@graph': [
    { type: 'CreationInfo', '@id': '_:c', specVersion: '3.0.1' },
    { type: 'SpdxDocument', spdxId: 'x:document', rootElement: ['x:nic'] },
    {
      ...{ type: 'software_Package', spdxId: 'x:nic', name: 'nic' },
      verifiedUsing: [{ type: 'Hash', algorithm: 'sha256', hashValue }],
    },
  ],
});

type Row = [
  name: string,
  code: 'E_EVIDENCE' | 'E_CEILING',
  reason: EvidenceReason,
  input: EvidenceInput,
];

const rows: Row[] = [
  // What the role lists.
  ['an entry without evidence', 'E_EVIDENCE', 'unlisted', { ...inputOf(made), custom: undefined }],
  [
    'an entry of another schema',
    'E_EVIDENCE',
    'unreadable',
    { ...inputOf(made), custom: new Node({ ...made.custom, schema: 'x' }, 'c') },
  ],
  [
    'an entry that lists no ceiling',
    'E_CEILING',
    'unlisted',
    { ...inputOf(made), custom: new Node({ ...made.custom, sidecars: {} }, 'c') },
  ],
  ['a role without evidence keys', 'E_EVIDENCE', 'unlisted', inputOf(made, [])],
  [
    'a ceiling that is not there',
    'E_CEILING',
    'missing',
    { ...inputOf(made), sidecars: { statements: made.statements, sbom: made.sbom } },
  ],
  [
    'an SBOM that is not there',
    'E_EVIDENCE',
    'missing',
    { ...inputOf(made), sidecars: { statements: made.statements, ceiling: made.ceiling } },
  ],

  // Sidecars swapped for others that are validly signed.
  [
    'the ceiling of another version',
    'E_CEILING',
    'swapped',
    inputOf({ ...made, ceiling: made2.ceiling }),
  ],
  [
    'the ceiling of another driver',
    'E_CEILING',
    'swapped',
    inputOf({ ...made, ceiling: madeNic.ceiling }),
  ],
  [
    'the statements of another version',
    'E_EVIDENCE',
    'swapped',
    inputOf({ ...made, statements: made2.statements }),
  ],
  ['the SBOM of another driver', 'E_EVIDENCE', 'swapped', inputOf({ ...made, sbom: madeNic.sbom })],
  [
    'the Sigstore bundle of another version',
    'E_EVIDENCE',
    'swapped',
    inputOf({ ...made, bundle: made2.bundle }),
  ],
  ['all sidecars and the entry of another version', 'E_EVIDENCE', 'subject', inputOf(made2)],

  [
    'a sidecar of another length',
    'E_EVIDENCE',
    'swapped',
    { ...inputOf(made), custom: lengthened },
  ],

  // Provenance that the role lists.
  ['statements of nobody', 'E_EVIDENCE', 'missing', withStatements(made, utf8('\n'))],
  [
    'a provenance of another version, listed',
    'E_EVIDENCE',
    'subject',
    withStatements(made, made2.statements),
  ],
  [
    'a provenance that names one right digest of two',
    'E_EVIDENCE',
    'subject',
    withStatements(made, await bundleOf(statementOf(sha512OfAnother))),
  ],
  [
    "a provenance by another vendor's key",
    'E_EVIDENCE',
    'signer',
    withStatements(made, madeByOther.statements),
  ],
  [
    'a signature over another statement',
    'E_EVIDENCE',
    'signer',
    withStatements(made, await transplanted(statementOf(NIC))),
  ],
  [
    'a ceiling in the place of a provenance',
    'E_EVIDENCE',
    'predicate-type',
    withStatements(made, await bundleOf(statementOf(EDU, PREDICATE_TYPES.ceiling, CEILING))),
  ],
  [
    'an older SLSA provenance',
    'E_EVIDENCE',
    'predicate-type',
    withStatements(made, await bundleOf(statementOf(EDU, 'https://slsa.dev/provenance/v0.2'))),
  ],
  [
    'a predicate type that only begins so',
    'E_EVIDENCE',
    'predicate-type',
    withStatements(made, await bundleOf(statementOf(EDU, `${PREDICATE_TYPES.provenance}#`))),
  ],
  [
    'another payload type',
    'E_EVIDENCE',
    'payload-type',
    withStatements(made, await bundleOf(statementOf(), acme, 'application/json')),
  ],
  [
    'no envelope at all',
    'E_EVIDENCE',
    'payload-type',
    withStatements(made, concatBytes(statementOf(), utf8('\n'))),
  ],
  [
    'a JSON key twice',
    'E_EVIDENCE',
    'unreadable',
    withStatements(made, await bundleOf(duplicated(statementOf()))),
  ],
  [
    'a predicate of another shape',
    'E_EVIDENCE',
    'unreadable',
    withStatements(made, await bundleOf(statementOf(EDU, undefined, { builder: 'x' }))),
  ],
  ['a nested statement', 'E_EVIDENCE', 'unreadable', withStatements(made, await bundleOf(nested))],
  [
    'truncated statements',
    'E_EVIDENCE',
    'unreadable',
    withStatements(made, made.statements.subarray(0, 300)),
  ],
  [
    'too many lines',
    'E_EVIDENCE',
    'too-large',
    withStatements(made, utf8('{}\n'.repeat(EVIDENCE_LIMITS.lines + 1))),
  ],
  [
    'more signatures than are worth trying',
    'E_EVIDENCE',
    'too-large',
    {
      ...withStatements(made, buildBundle(Array(64).fill(await envelopeOf(utf8('x'), other)))),
      evidenceKeys: {
        active: Array.from({ length: 32 }, (_, i) => ed25519Signer(`key ${i}`).key),
        retired: [],
      },
    },
  ],

  // The SBOM that the role lists.
  [
    'the SBOM of another driver, listed',
    'E_EVIDENCE',
    'subject',
    withListed({ sbom: madeNic.sbom }),
  ],
  [
    'an SBOM that is another format',
    'E_EVIDENCE',
    'unreadable',
    withListed({ sbom: bytesOf({ bomFormat: 'CycloneDX', specVersion: '1.6' }) }),
  ],
  ['a truncated SBOM', 'E_EVIDENCE', 'unreadable', withListed({ sbom: made.sbom.subarray(0, 99) })],
  [
    'a huge SBOM',
    'E_EVIDENCE',
    'too-large',
    withListed({ sbom: new Uint8Array(EVIDENCE_LIMITS.sbom + 1) }),
  ],

  // Bills in statements: in other formats, and true of other bytes.
  ...(await Promise.all(
    [
      [PREDICATE_TYPES.cyclonedx, cycloneDx(NIC.sha256)] as const,
      [PREDICATE_TYPES.spdx3, spdx3(NIC.sha256)] as const,
    ].map(
      async ([type, bill]): Promise<Row> => [
        `the bill of another file, stated as ${type}`,
        'E_EVIDENCE',
        'subject',
        withStatements(
          made,
          concatBytes(made.statements, await bundleOf(statementOf(EDU, type, bill))),
        ),
      ],
    ),
  )),

  // The ceiling that the role lists.
  [
    'the ceiling of another version, listed',
    'E_CEILING',
    'subject',
    withListed({ ceiling: made2.ceiling }),
  ],
  [
    'the ceiling of another driver, listed',
    'E_CEILING',
    'subject',
    withListed({ ceiling: madeNic.ceiling }),
  ],
  [
    'a ceiling for two artifacts',
    'E_CEILING',
    'subject',
    withListed({
      ceiling: await envelopeOf(
        buildStatement({
          subjects: [EDU, NIC],
          predicateType: PREDICATE_TYPES.ceiling,
          predicate: CEILING,
        }),
      ),
    }),
  ],
  [
    "a ceiling by another vendor's key",
    'E_CEILING',
    'signer',
    withListed({ ceiling: madeByOther.ceiling }),
  ],
  [
    'a provenance in the place of a ceiling',
    'E_CEILING',
    'predicate-type',
    withListed({ ceiling: await envelopeOf(statementOf()) }),
  ],
  [
    'a ceiling of another payload type',
    'E_CEILING',
    'payload-type',
    withListed({
      ceiling: await envelopeOf(
        statementOf(EDU, PREDICATE_TYPES.ceiling, CEILING),
        acme,
        'application/vnd.in-toto.ceiling+json',
      ),
    }),
  ],
  [
    'a ceiling with a JSON key twice',
    'E_CEILING',
    'unreadable',
    withListed({
      ceiling: await envelopeOf(duplicated(statementOf(EDU, PREDICATE_TYPES.ceiling, CEILING))),
    }),
  ],
  [
    'a bare ceiling without envelope',
    'E_CEILING',
    'unreadable',
    withListed({ ceiling: bytesOf(CEILING) }),
  ],
  [
    'a truncated ceiling',
    'E_CEILING',
    'unreadable',
    withListed({ ceiling: made.ceiling.subarray(0, 99) }),
  ],
  [
    'a huge ceiling',
    'E_CEILING',
    'too-large',
    withListed({
      ceiling: await signCeiling(
        EDU,
        { pad: 'x'.repeat(EVIDENCE_LIMITS.ceiling) },
        { signer: acme },
      ),
    }),
  ],

  // The Sigstore bundle that the role lists.
  [
    'the Sigstore bundle of another version, listed',
    'E_EVIDENCE',
    'disagree',
    withListed({ bundle: made2.bundle }),
  ],
  [
    'a Sigstore bundle of another payload',
    'E_EVIDENCE',
    'disagree',
    withListed({ bundle: hollow }),
  ],
  [
    'the Sigstore bundle of another signer',
    'E_EVIDENCE',
    'disagree',
    withListed({ bundle: madeByOther.bundle }),
  ],
  [
    'a truncated Sigstore bundle',
    'E_EVIDENCE',
    'unreadable',
    withListed({ bundle: made.bundle.subarray(0, 99) }),
  ],
];

t.test('a bill that is stated of these bytes, or names none, contradicts nothing', async (t) => {
  const unnamed = { type: 'device-driver', name: 'edu' };
  for (const [type, bill] of [
    [PREDICATE_TYPES.cyclonedx, cycloneDx(EDU.sha256)],
    [PREDICATE_TYPES.cyclonedx, { ...cycloneDx(''), metadata: { component: unnamed } }],
    [PREDICATE_TYPES.spdx3, spdx3(EDU.sha256)],
  ] as const) {
    const line = await bundleOf(statementOf(EDU, type, bill));
    const input = withStatements(made, concatBytes(made.statements, line));
    t.match(verifyEvidence(platformCrypto, input).moreBills, [{ packages: Array }], type);
  }
});

t.test('every forgery is refused, for its own reason', async (t) => {
  for (const [name, code, reason, input] of rows) {
    let error: unknown;
    try {
      verifyEvidence(platformCrypto, input);
    } catch (thrown) {
      error = thrown;
    }
    if (!isIronError(error)) throw error ?? new Error(`not refused: ${name}`);
    t.same([error.code, error.context.reason], [code, reason], `${name}: ${error.message}`);
    t.ok(error.hint, `${name}: says what to do`);
  }
});
