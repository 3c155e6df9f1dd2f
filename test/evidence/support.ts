/** Keys, artifacts and good evidence, from which the tests of this room make bad evidence. */

import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
} from 'node:crypto';
import type { Test } from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { keyFromSpki } from '../../shared/crypto/key.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import type { Code } from '../../shared/errors.ts';
import { IronError } from '../../shared/errors.ts';
import { buildBundle } from '../../shared/evidence/bundle.ts';
import { signEnvelope } from '../../shared/evidence/dsse.ts';
import type { EvidenceInput } from '../../shared/evidence/evidence.ts';
import {
  BUILD_TYPES,
  BUILDERS,
  IN_TOTO_PAYLOAD_TYPE,
  PREDICATE_TYPES,
} from '../../shared/evidence/identifiers.ts';
import {
  type EvidenceRequest,
  type MadeEvidence,
  makeEvidence,
} from '../../shared/evidence/make.ts';
import { handBuiltProvenance } from '../../shared/evidence/provenance.ts';
import { buildStatement } from '../../shared/evidence/statement.ts';
import { Node } from '../../shared/json/decode.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { parseInstant } from '../../shared/time.ts';

/** PKCS #8 of an Ed25519 key up to its seed (RFC 8410 section 7). */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** A signer that is the same in every run. */
export function ed25519Signer(name: string): Signer {
  const seed = createHash('sha256').update(name).digest();
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' });
  return { key: keyFromSpki('ed25519', spki), sign: async (message) => sign(null, message, key) };
}

export function p256Signer(): Signer {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return {
    key: keyFromSpki('ecdsa-sha2-nistp256', spki),
    sign: async (message) => sign('sha256', message, privateKey),
  };
}

export const acme = ed25519Signer('acme');
export const other = ed25519Signer('other');

export const NOW = parseInstant('2030-01-31T12:00:00Z');

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex');
export const sha512 = (bytes: Uint8Array): string =>
  createHash('sha512').update(bytes).digest('hex');

export function artifactOf(path: string, content = path) {
  const bytes = utf8(content);
  return { path, length: bytes.length, sha256: sha256(bytes), sha512: sha512(bytes) };
}

export const EDU = artifactOf('acme/edu/1.0.0/edu.js');
export const CEILING: JsonObject = { schema: 'test-ceiling', bars: [{ index: 0, access: 'rw' }] };
export const PROVENANCE = handBuiltProvenance({
  buildType: BUILD_TYPES.byHand,
  externalParameters: { source: 'git+https://git.acme.example/edu@refs/tags/v1.0.0' },
  builderId: BUILDERS.byHand,
});

export function make(change: Partial<EvidenceRequest> = {}): Promise<MadeEvidence> {
  return makeEvidence(platformCrypto, {
    artifact: EDU,
    generation: 1,
    ceilingPredicate: CEILING,
    provenancePredicate: PROVENANCE,
    signer: acme,
    now: NOW,
    ...change,
  });
}

/** What a host holds after TUF: `made`'s sidecars, for EDU unless said otherwise. */
export function inputOf(
  made: MadeEvidence,
  keys: readonly PublicKey[] = [acme.key],
): EvidenceInput {
  const { custom, ...sidecars } = made;
  return {
    artifact: EDU,
    custom: new Node(custom, 'custom.ironport'),
    sidecars,
    evidenceKeys: { active: keys, retired: [] },
  };
}

/** As if the vendor's role listed exactly these sidecars: what is left is the evidence itself. */
export function listing(made: MadeEvidence, change: Partial<MadeEvidence>): MadeEvidence {
  const all = { ...made, ...change };
  const entry = (bytes: Uint8Array) => ({ length: bytes.length, sha256: sha256(bytes) });
  const sidecars = {
    ceiling: entry(all.ceiling),
    statements: entry(all.statements),
    sbom: entry(all.sbom),
    bundle: entry(all.bundle),
  };
  return { ...all, custom: { ...all.custom, sidecars } };
}

/** Parts of forged statements; by default each part is the right one. */
export const statementOf = (
  artifact = EDU,
  predicateType: string = PREDICATE_TYPES.provenance,
  predicate = PROVENANCE,
) => buildStatement({ subjects: [artifact], predicateType, predicate });
export const envelopeOf = (
  payload: Uint8Array,
  signer: Signer = acme,
  type: string = IN_TOTO_PAYLOAD_TYPE,
) => signEnvelope(type, payload, [{ signer }]);
export const bundleOf = async (payload: Uint8Array, signer?: Signer, type?: string) =>
  buildBundle([await envelopeOf(payload, signer, type)]);

/** Forged statements alone; the Sigstore bundle is left out, so that it does not object first. */
export function withStatements(made: MadeEvidence, statements: Uint8Array): EvidenceInput {
  const input = inputOf(listing(made, { statements }));
  const { bundle, ...sidecars } = input.sidecars;
  return { ...input, sidecars };
}

export const bytesOf = (value: JsonValue): Uint8Array => utf8(JSON.stringify(value));
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Fails `t` unless `run` throws an IronError with this code, and yields it for a closer look. */
export function refused(t: Test, run: () => unknown, code: Code, name: string): IronError {
  try {
    run();
  } catch (error) {
    if (error instanceof IronError) {
      t.equal(error.code, code, name);
      return error;
    }
    throw error;
  }
  t.fail(`${name}: nothing was refused`);
  return new IronError('E_INTERNAL', 'nothing was refused');
}

/** A statement with a key twice. */
export const duplicated = (payload: Uint8Array): Uint8Array =>
  utf8(textOf(payload).replace('"predicateType"', '"subject":[],"predicateType"'));
