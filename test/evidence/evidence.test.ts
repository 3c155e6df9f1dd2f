/** What good evidence says, and that it says the same to everybody. */

import fc from 'fast-check';
import t from 'tap';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import { isIronError } from '../../shared/errors.ts';
import { type EvidenceVerdict, verifyEvidence } from '../../shared/evidence/evidence.ts';
import { SIDECARS, type Sidecar } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import {
  acme,
  artifactOf,
  CEILING,
  EDU,
  inputOf,
  listing,
  make,
  p256Signer,
  refused,
} from './support.ts';

t.test('the verdict says what was checked, by which key and against what', async (t) => {
  const made = await make();
  const verdict = verifyEvidence(platformCrypto, inputOf(made));
  const by = `ed25519 ${keyId(platformCrypto, acme.key)}`;
  t.same(
    verdict.checks.map((check) => [check.rule, check.by]),
    [
      ['sidecar-listed', null],
      ['sidecar-listed', null],
      ['sidecar-listed', null],
      ['sidecar-listed', null],
      ['provenance', by],
      ['sbom', null],
      ['ceiling', by],
      ['bundle', null],
    ],
  );
  for (const check of verdict.checks.slice(4)) t.equal(check.against, EDU.sha256);
  t.match(verdict.notChecked.join('; '), /who the builder is.*what the SBOM lists/);
  t.same(verdict.ceiling.value, CEILING);
  t.equal(verdict.provenance.builderId, 'https://ironshim.dev/builders/vendor-by-hand/v1');
  t.equal(verdict.custom.generation, 1);
  t.same(verifyEvidence(nobleCrypto, inputOf(made)), verdict, 'the same by the pure crypto');
});

t.test('a host without SHA-512, and without the Sigstore bundle', async (t) => {
  const made = await make();
  const { bundle, ...sidecars } = inputOf(made).sidecars;
  const { sha512, ...artifact } = EDU;
  t.ok(bundle && sha512);
  const verdict = verifyEvidence(platformCrypto, { ...inputOf(made), artifact, sidecars });
  t.equal(verdict.checks.length, 6);
  t.match(verdict.notChecked.at(-1), /\.sigstore\.json: none was given/);
});

t.test('equal inputs give equal bytes', async (t) => {
  t.same(await make(), await make());
  const later = await make({ generation: 2 });
  t.same((await make()).ceiling, later.ceiling);
  t.notSame((await make()).custom, later.custom);
});

t.test('ECDSA keys, several keys, retired keys', async (t) => {
  const ecdsa = p256Signer();
  const made = await make({ signer: ecdsa });
  const verdict = verifyEvidence(platformCrypto, inputOf(made, [acme.key, ecdsa.key]));
  t.match(verdict.checks[4]?.by, /^ecdsa-sha2-nistp256 [0-9a-f]{64}$/);
  const rotated = { ...inputOf(made), evidenceKeys: { active: [acme.key], retired: [ecdsa.key] } };
  t.match(verifyEvidence(platformCrypto, rotated).checks[4]?.by, / \(retired\)$/);
  const dropped = { ...inputOf(made), evidenceKeys: { active: [acme.key], retired: [] } };
  refused(t, () => verifyEvidence(platformCrypto, dropped), 'E_EVIDENCE', 'no longer listed');
});

t.test('a vendor learns before signing what a host would refuse', async (t) => {
  let signed = 0;
  const sign = (message: Uint8Array) => {
    signed++;
    return acme.sign(message);
  };
  const signer = { ...acme, sign };
  await t.rejects(make({ signer, provenancePredicate: { runDetails: {} } }), { code: 'E_SCHEMA' });
  await t.rejects(make({ signer, artifact: artifactOf('acme/edu.js') }), { code: 'E_NAME' });
  t.equal(signed, 0);
});

/** Whatever a hostile mirror or vendor does to the bytes of one sidecar. */
const mutation = fc.oneof(
  fc.record({ cut: fc.nat(4096) }),
  fc.record({ at: fc.nat(4096), byte: fc.nat(255) }),
  fc.record({ at: fc.nat(4096), insert: fc.uint8Array({ maxLength: 8 }) }),
  fc.record({ replace: fc.uint8Array({ maxLength: 64 }) }),
);
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(bytes: Uint8Array, change: Mutation): Uint8Array {
  if ('cut' in change) return bytes.subarray(0, change.cut % bytes.length);
  if ('replace' in change) return change.replace;
  const at = change.at % bytes.length;
  const middle = 'byte' in change ? [change.byte] : change.insert;
  return Uint8Array.of(
    ...bytes.subarray(0, at),
    ...middle,
    ...bytes.subarray('byte' in change ? at + 1 : at),
  );
}

const essence = ({ ceiling, provenance }: EvidenceVerdict): string =>
  JSON.stringify([ceiling.value, provenance]);

t.test('altered sidecars are refused by their digest', async (t) => {
  const made = await make();
  const sidecar = fc.constantFrom(...(Object.keys(SIDECARS) as Sidecar[]));
  const property = fc.property(sidecar, mutation, (name, change) => {
    const altered = mutate(made[name], change);
    fc.pre(Buffer.compare(altered, made[name]) !== 0);
    const input = inputOf({ ...made, [name]: altered });
    try {
      verifyEvidence(platformCrypto, input);
    } catch (error) {
      const code = name === 'ceiling' ? 'E_CEILING' : 'E_EVIDENCE';
      return isIronError(error, code) && error.context.reason === 'swapped';
    }
    return false;
  });
  t.doesNotThrow(() => fc.assert(property));
});

t.test('altered sidecars that are listed so are refused, or mean what they meant', async (t) => {
  const made = await make();
  const verdict = essence(verifyEvidence(platformCrypto, inputOf(made)));
  const sidecar = fc.constantFrom(...(Object.keys(SIDECARS) as Sidecar[]));
  const property = fc.property(sidecar, mutation, (name, change) => {
    const altered = listing(made, { [name]: mutate(made[name], change) });
    try {
      return essence(verifyEvidence(platformCrypto, inputOf(altered))) === verdict;
    } catch (error) {
      return (
        isIronError(error, 'E_EVIDENCE', 'E_CEILING') && typeof error.context.reason === 'string'
      );
    }
  });
  t.doesNotThrow(() => fc.assert(property, { numRuns: 500 }));
});
