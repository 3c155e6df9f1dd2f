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
  type Scene,
  testResult,
  tryForgeries,
  VENDOR,
} from './forgery-support.ts';

/** The vendor's own line, and another one in the place of the laboratory's. */
const labSays = (other: Promise<Uint8Array>) => async (scene: Scene) => {
  const { statements } = scene.good;
  const own = statements.subarray(0, statements.indexOf(0x0a) + 1);
  scene.relist({ statements: concatBytes(own, await other) });
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
    forge: labSays(testResult('FAILED')),
  },
  {
    name: 'a test result that the vendor signed for the laboratory',
    refused: ['E_POLICY', 'predicate', /0 of the 1 signatures that are demanded under/],
    forge: labSays(testResult('PASSED', VENDOR)),
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
