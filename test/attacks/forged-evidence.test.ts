// Forged evidence, through the whole client and the whole agent, each refused for its own reason.

import t from 'tap';
import { concatBytes, toBase64, utf8 } from '../../shared/bytes.ts';
import { pae } from '../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from '../../shared/evidence/identifiers.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { CEILING, NAME } from '../agent/support.ts';
import { testKey } from '../support/keys.ts';
import { digest } from '../support/simulator.ts';
import {
  DRIVER,
  DRIVER_SHA256,
  type Evidence,
  evidence,
  type Forgery,
  line,
  lineOf,
  POLICY,
  provenance,
  type Scene,
  testResult,
  tryForgeries,
  VENDOR,
} from './forgery-support.ts';

const EVIL = testKey('evil evidence');
const OTHER = utf8('another driver, or another version of this one\n');
/** Truly signed by the vendor, for other bytes. */
const elsewhere = (path: string): Promise<Evidence> =>
  evidence({ artifact: { path, length: OTHER.length, sha256: digest('sha256', OTHER) } });
const version2 = await elsewhere('acme/edu/2.0.0/edu-driver.mjs');
const nic = await elsewhere('acme/nic/1.0.0/nic-driver.mjs');
const byEvil = await evidence({ signer: EVIL });
const tested = await testResult('PASSED');

const subject = { sha256: DRIVER_SHA256 };
const statement = (predicateType: string, predicate: JsonObject): Uint8Array =>
  buildStatement({ subjects: [subject], predicateType, predicate });
const TRUE = statement(PREDICATE_TYPES.provenance, provenance());
const twice = (payload: Uint8Array): Uint8Array =>
  utf8(
    new TextDecoder().decode(payload).replace('"predicateType"', '"subject":[],"predicateType"'),
  );

/** Statements of these lines, listed by the entry. */
const stating =
  (...lines: readonly (Uint8Array | Promise<Uint8Array>)[]) =>
  async (scene: Scene): Promise<void> =>
    scene.relist({ statements: concatBytes(...(await Promise.all(lines))) });
/** A ceiling of this predicate and signer, listed by the entry. */
const ceilingOf =
  (payload: Uint8Array, signer = VENDOR, type?: string) =>
  async (scene: Scene) =>
    scene.relist({ ceiling: (await lineOf(payload, signer, type)).slice(0, -1) });
const ceiling = (change: JsonObject): Uint8Array =>
  statement(PREDICATE_TYPES.ceiling, { ...CEILING, generation: 2, ...change });

/** The signature of one statement around another. */
async function transplanted(payload: Uint8Array): Promise<Uint8Array> {
  const sig = toBase64(await VENDOR.sign(pae(IN_TOTO_PAYLOAD_TYPE, TRUE)));
  const envelope = { payload: toBase64(payload), payloadType: IN_TOTO_PAYLOAD_TYPE };
  return utf8(`${JSON.stringify({ ...envelope, signatures: [{ sig }] })}\n`);
}

const forgeries: readonly Forgery[] = [
  // What the vendor's role lists.
  {
    name: 'an entry without evidence',
    refused: ['E_EVIDENCE', 'unlisted', /edu-driver.mjs lists no evidence$/],
    forge: (scene) => {
      scene.put(NAME, DRIVER);
      scene.repository.publish();
    },
  },
  {
    name: 'an entry that lists no ceiling',
    refused: ['E_CEILING', 'unlisted', /the entry of \S+ lists no \S+\.ceiling\.json$/],
    forge: (scene) => {
      const { ceiling: _, ...sidecars } = scene.good.custom.sidecars as JsonObject;
      scene.publish({ ...scene.good, custom: { ...scene.good.custom, sidecars } });
    },
  },
  {
    name: 'a role that lists no evidence key',
    refused: ['E_EVIDENCE', 'unlisted', /the vendor's role lists no evidence key/],
    forge: ({ sim, repository }) => {
      sim.role('acme')['x-ironport'] = { evidence_keys: [] };
      repository.publish();
    },
  },
  // Put in the place of what the entry lists, and truly signed for something else.
  {
    name: 'the ceiling of another version',
    refused: ['E_CEILING', 'swapped', /\.ceiling\.json is not the one that the entry of/],
    forge: (scene) => scene.swap({ ceiling: version2.ceiling }),
  },
  {
    name: 'the statements of another version',
    refused: ['E_EVIDENCE', 'swapped', /\.intoto\.jsonl is not the one that the entry of/],
    forge: (scene) => scene.swap({ statements: version2.statements }),
  },
  {
    name: 'the SBOM of another driver',
    refused: ['E_EVIDENCE', 'swapped', /\.spdx\.json is not the one that the entry of/],
    forge: (scene) => scene.swap({ sbom: nic.sbom }),
  },
  // The same, and the entry lists them.
  {
    name: 'the ceiling of another version, listed',
    refused: ['E_CEILING', 'subject', /the ceiling was made for another artifact/],
    forge: (scene) => scene.relist({ ceiling: version2.ceiling }),
  },
  {
    name: 'a provenance of another subject, listed',
    refused: ['E_EVIDENCE', 'subject', /the provenance is about another artifact/],
    forge: (scene) => scene.relist({ statements: version2.statements }),
  },
  {
    name: 'the SBOM of another driver, listed',
    refused: ['E_EVIDENCE', 'subject', /the SPDX 2.3 document describes another file/],
    forge: (scene) => scene.relist({ sbom: nic.sbom }),
  },
  {
    name: 'all that stands beside another version, listed',
    refused: ['E_EVIDENCE', 'subject', /the provenance is about another artifact/],
    forge: (scene) => scene.publish(version2),
  },
  {
    name: 'the Sigstore bundle of another version, listed',
    refused: ['E_EVIDENCE', 'disagree', /the Sigstore bundle holds another signing/],
    forge: (scene) => scene.relist({ bundle: version2.bundle }),
  },
  // Signers.
  {
    name: "a provenance by another vendor's key",
    refused: ['E_EVIDENCE', 'signer', /no statement is signed by an evidence key of the vendor/],
    forge: (scene) =>
      scene.relist({ statements: concatBytes(byEvil.statements), bundle: byEvil.bundle }),
  },
  {
    name: "a ceiling by another vendor's key",
    refused: ['E_CEILING', 'signer', /the ceiling is signed by no evidence key of the vendor/],
    forge: (scene) => scene.relist({ ceiling: byEvil.ceiling }),
  },
  {
    name: 'a signature over another statement',
    refused: ['E_EVIDENCE', 'signer', /no statement is signed by an evidence key of the vendor/],
    forge: stating(
      transplanted(statement(PREDICATE_TYPES.provenance, provenance({ builderId: 'https://x/' }))),
      tested,
    ),
  },
  // What is signed is something else.
  {
    name: 'a predicate type of before',
    refused: ['E_EVIDENCE', 'predicate-type', /but none is a SLSA provenance v1/],
    forge: stating(line('https://slsa.dev/provenance/v0.2', provenance()), tested),
  },
  {
    name: 'a ceiling in the place of a provenance',
    refused: ['E_EVIDENCE', 'predicate-type', /but none is a SLSA provenance v1/],
    forge: stating(lineOf(ceiling({})), tested),
  },
  {
    name: 'a provenance in the place of a ceiling',
    refused: ['E_CEILING', 'predicate-type', /but not as a resource ceiling/],
    forge: ceilingOf(TRUE),
  },
  {
    name: 'a payload type of somebody else',
    refused: ['E_EVIDENCE', 'payload-type', /no envelope holds an in-toto statement/],
    forge: stating(lineOf(TRUE, VENDOR, 'application/json')),
  },
  {
    name: 'a statement with a JSON key twice',
    refused: ['E_EVIDENCE', 'unreadable', /a signed statement cannot be read/],
    forge: stating(lineOf(twice(TRUE))),
  },
  {
    name: 'a ceiling with a JSON key twice',
    refused: ['E_CEILING', 'unreadable', /the ceiling is not an in-toto statement/],
    forge: ceilingOf(twice(ceiling({}))),
  },
  {
    name: 'a truncated SBOM',
    refused: ['E_EVIDENCE', 'unreadable', /the SBOM is not JSON/],
    forge: (scene) => scene.relist({ sbom: scene.good.sbom.subarray(0, 99) }),
  },
  // Two of which a reader would choose.
  {
    name: 'two provenances that disagree',
    refused: ['E_EVIDENCE', 'disagree', /line 1 and line 5 contradict each other/],
    forge: async (scene) => {
      const externalParameters = { source: POLICY.evidence.rules[0]?.sources[0] as string };
      const second = await line(PREDICATE_TYPES.provenance, provenance({ externalParameters }));
      scene.relist({ statements: concatBytes(scene.good.statements, second) });
    },
  },
  {
    name: 'two test results of one laboratory that disagree',
    refused: ['E_EVIDENCE', 'disagree', /line 2 and line 5 contradict each other/],
    forge: async (scene) =>
      scene.relist({
        statements: concatBytes(scene.good.statements, await testResult('FAILED')),
      }),
  },
  {
    name: 'a generation in the entry that the ceiling does not have',
    refused: ['E_CEILING', 'disagree', /disagree on its generation/],
    forge: (scene) => {
      scene.publish({ ...scene.good, custom: { ...scene.good.custom, generation: 3 } });
    },
  },
  {
    name: 'a ceiling for hardware of somebody else',
    refused: [
      'E_NOT_AUTHORISED',
      undefined,
      /acme may not speak for the hardware PCI:0x8086:0x10d3/,
    ],
    forge: ceilingOf(ceiling({ devices: [{ vendor: '0x8086', device: '0x10d3' }] })),
  },
];

t.test('forged evidence', (t) => tryForgeries(t, forgeries));
