// Validly signed, and not what this host takes: through the whole client and the whole agent.

import t from 'tap';
import { concatBytes, utf8 } from '../../shared/bytes.ts';
import { BUILDERS } from '../../shared/evidence/identifiers.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import {
  evidence,
  type Forgery,
  POLICY,
  provenance,
  release,
  type Scene,
  summary,
  testResult,
  tryForgeries,
  VENDOR,
} from './forgery-support.ts';

/** The vendor's provenance, and other lines in the places of those behind it. */
const saying =
  (lines: {
    readonly tested?: Promise<Uint8Array>;
    readonly released?: Promise<Uint8Array>;
    readonly judged?: Promise<Uint8Array>;
  }) =>
  async (scene: Scene) => {
    const { statements } = scene.good;
    const own = statements.subarray(0, statements.indexOf(0x0a) + 1);
    const { tested = testResult('PASSED'), released = release(), judged = summary() } = lines;
    const others = await Promise.all([tested, released, judged]);
    scene.relist({ statements: concatBytes(own, ...others) });
  };
/** Evidence that an honest tool makes of another truth. */
const making = (change: Parameters<typeof evidence>[0]) => async (scene: Scene) =>
  scene.publish(await evidence(change));
/** The bill of the good driver, changed. */
const billed = (edit: (bill: { packages: JsonObject[] }) => void) => (scene: Scene) => {
  const bill = JSON.parse(new TextDecoder().decode(scene.good.sbom));
  edit(bill);
  scene.relist({ sbom: utf8(JSON.stringify(bill)) });
};
const alsoPackage = (i: number, purl = ''): JsonObject => ({
  SPDXID: `SPDXRef-${i}`,
  name: `part-${i}`,
  downloadLocation: 'NOASSERTION',
  ...(purl !== '' && {
    externalRefs: [
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
    ],
  }),
});

const forgeries: readonly Forgery[] = [
  {
    name: 'an unknown external parameter',
    refused: ['E_POLICY', 'parameter', /the external parameter "debug" is unknown/],
    forge: making({
      provenancePredicate: provenance({
        externalParameters: {
          source: 'git+https://git.acme.example/edu',
          target: 'linux-6.12',
          debug: true,
        },
      }),
    }),
  },
  {
    name: 'a known external parameter of another value',
    refused: ['E_POLICY', 'parameter', /the external parameter "target" has another value/],
    forge: making({
      provenancePredicate: provenance({
        externalParameters: { source: 'git+https://git.acme.example/edu', target: 'linux-5.4' },
      }),
    }),
  },
  {
    name: 'another source',
    refused: ['E_POLICY', 'source', /built from git\+https:\/\/git\.evil\.example\/edu/],
    forge: making({
      provenancePredicate: provenance({
        externalParameters: { source: 'git+https://git.evil.example/edu', target: 'linux-6.12' },
      }),
    }),
  },
  {
    name: 'a builder that nobody accepted',
    refused: ['E_POLICY', 'builder', /no accepted pair of signer and builder/],
    forge: making({ provenancePredicate: provenance({ builderId: `${BUILDERS.byHand}.evil` }) }),
  },
  {
    name: 'another build type',
    refused: ['E_POLICY', 'build-type', /the build type is https:\/\/evil\.example\/x/],
    forge: making({ provenancePredicate: provenance({ buildType: 'https://evil.example/x' }) }),
  },
  {
    name: 'a test that the laboratory saw fail',
    refused: ['E_POLICY', 'predicate', /0 of the 1 signatures that are demanded under/],
    forge: saying({ tested: testResult('FAILED') }),
  },
  {
    name: 'a test result that the vendor signed for the laboratory',
    refused: ['E_POLICY', 'predicate', /0 of the 1 signatures that are demanded under/],
    forge: saying({ tested: testResult('PASSED', VENDOR) }),
  },
  {
    name: 'the release of an older version, under the name of this one',
    refused: ['E_POLICY', 'release', /0 of the 1 signatures that are demanded under/],
    forge: saying({ released: release('pkg:generic/acme/edu@0.9.0') }),
  },
  {
    name: 'the release of another product',
    refused: ['E_POLICY', 'release', /0 of the 1 signatures that are demanded under/],
    forge: saying({ released: release('pkg:generic/acme/nic@1.0.0') }),
  },
  {
    name: 'a summary that the vendor signed for the laboratory',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures .* SLSA_BUILD_LEVEL_2$/],
    forge: saying({ judged: summary({}, VENDOR) }),
  },
  {
    name: 'a summary by a verifier that nobody named',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures/],
    forge: saying({ judged: summary({ verifier: { id: 'https://evil.example/v1' } }) }),
  },
  {
    name: 'a summary of another version',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures/],
    forge: saying({
      judged: summary({ resourceUri: 'pkg:generic/acme/edu@2.0.0#edu-driver.mjs' }),
    }),
  },
  {
    name: 'a summary that failed',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures/],
    forge: saying({ judged: summary({ verificationResult: 'FAILED' }) }),
  },
  {
    name: 'a summary of a level too low',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures/],
    forge: saying({ judged: summary({ verifiedLevels: ['SLSA_BUILD_LEVEL_1'] }) }),
  },
  {
    name: 'a summary of last year',
    refused: ['E_POLICY', 'summary', /0 of the 1 signatures/],
    forge: saying({ judged: summary({ timeVerified: '2025-01-01T00:00:00Z' }) }),
  },
  {
    name: 'a component that is forbidden',
    refused: ['E_POLICY', 'component', /: 1 package is forbidden$/],
    forge: billed(({ packages }) => packages.push(alsoPackage(1, 'pkg:generic/left-pad@1.3.0'))),
  },
  {
    name: 'a licence that is denied',
    refused: ['E_POLICY', 'licence', /: 1 package has no licence that this host takes$/],
    forge: billed(({ packages }) => {
      packages[0] = { ...packages[0], licenseConcluded: 'AGPL-3.0-only' };
    }),
  },
  {
    name: 'a bill that an expression refuses',
    refused: ['E_POLICY', 'expression', /a small bill/],
    forge: billed(({ packages }) => packages.push(alsoPackage(1), alsoPackage(2))),
  },
  {
    name: 'a policy that is over',
    refused: ['E_POLICY', 'expired', /the policy/],
    forge: (scene) => scene.setPolicy({ ...POLICY, expires: '2020-01-01T00:00:00Z' }),
  },
];

t.test('what the policy of this host refuses', (t) => tryForgeries(t, forgeries));
