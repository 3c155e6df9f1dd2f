/** Keys in PKCS#11 tokens: Ed25519, P-256 and P-384. The private half never leaves the token. */

import { createHash, randomBytes } from 'node:crypto';
import type { Template } from 'pkcs11js';
import { rawToDer } from '../../api/ecdsa-form.ts';
import { equalBytes, fromHex } from '../../bytes.ts';
import { ed25519Key, type PublicKey, type SigningScheme } from '../../crypto/key.ts';
import type { Signer } from '../../crypto/signer.ts';
import { IronError } from '../../errors.ts';
import { type PassphraseSource, passphraseFor } from './passphrase.ts';
import { CK, type Handle, loadModule, type Pkcs11Module } from './pkcs11-module.ts';
import { type Pkcs11Uri, parsePkcs11Uri, pkcs11Words } from './pkcs11-uri.ts';

interface Curve {
  readonly scheme: SigningScheme;
  readonly keyType: number;
  /** CKA_EC_PARAMS in DER; the first one is what is written when a key is made. */
  readonly params: readonly string[];
  readonly generate: number;
  /** Of the public key inside CKA_EC_POINT. */
  readonly point: number;
}

const CURVES: readonly Curve[] = [
  {
    scheme: 'ed25519',
    keyType: CK.keyType.ecEdwards,
    // A printable string, as PKCS#11 3.0 has it, or the object identifier of RFC 8410.
    params: ['130c656477617264733235353139', '06032b6570'],
    generate: CK.mechanism.edwardsKeyPairGen,
    point: 32,
  },
  {
    scheme: 'ecdsa-sha2-nistp256',
    keyType: CK.keyType.ec,
    params: ['06082a8648ce3d030107'],
    generate: CK.mechanism.ecKeyPairGen,
    point: 65,
  },
  {
    scheme: 'ecdsa-sha2-nistp384',
    keyType: CK.keyType.ec,
    params: ['06052b81040022'],
    generate: CK.mechanism.ecKeyPairGen,
    point: 97,
  },
];

/**
 * The key that `rest` (after `pkcs11:`) names. The PIN is asked for when the first signature needs
 * it. `E_USAGE`, `E_CONFIG`, `E_NOT_FOUND` when token or key is not there, `E_KEY`.
 */
export async function openPkcs11(rest: string, source: PassphraseSource): Promise<Signer> {
  const uri = parsePkcs11Uri(rest);
  const module = await loadModule(uri, source.env);
  const session = module.session(uri);
  const login = loginOnce(module, session, uri, source);
  // Public halves are seldom behind the PIN; when this one is, it is needed now.
  let found = module.find(session, template(uri, CK.class.publicKey));
  if (found.length === 0) {
    await login();
    found = module.find(session, template(uri, CK.class.publicKey));
  }
  const { key, curve } = readPublic(module, session, theOne(found, uri, 'public half'));
  return {
    key,
    async sign(message) {
      await login();
      const keys = module.find(session, template(uri, CK.class.privateKey));
      const handle = theOne(keys, uri, 'private half');
      if (curve.scheme === 'ed25519')
        return new Uint8Array(module.sign(session, CK.mechanism.eddsa, handle, message, 64));
      const isP256 = curve.scheme === 'ecdsa-sha2-nistp256';
      const size = isP256 ? 32 : 48;
      const digest = createHash(isP256 ? 'sha256' : 'sha384')
        .update(message)
        .digest();
      return rawToDer(module.sign(session, CK.mechanism.ecdsa, handle, digest, 2 * size), size);
    },
  };
}

/** Makes a key in the token that `rest` names, under its label. `E_EXISTS` when there is one. */
export async function makePkcs11Key(
  rest: string,
  scheme: SigningScheme,
  source: PassphraseSource,
): Promise<void> {
  const uri = parsePkcs11Uri(rest);
  if (uri.object === undefined)
    throw new IronError('E_USAGE', 'a key that is made needs a label', {
      hint: 'add object=LABEL',
    });
  const module = await loadModule(uri, source.env);
  const session = module.session(uri);
  await loginOnce(module, session, uri, source)();
  const taken = [CK.class.publicKey, CK.class.privateKey].some(
    (kind) => module.find(session, template(uri, kind)).length > 0,
  );
  if (taken)
    throw new IronError('E_EXISTS', `${pkcs11Words(uri)} is there already`, {
      hint: 'nothing was made; give it another label',
    });
  const curve = CURVES.find((candidate) => candidate.scheme === scheme) as Curve;
  const { attribute } = CK;
  const named: Template = [
    { type: attribute.token, value: true },
    { type: attribute.label, value: uri.object },
    { type: attribute.id, value: Buffer.from(uri.id ?? randomBytes(8)) },
    { type: attribute.keyType, value: curve.keyType },
  ];
  const params = Buffer.from(fromHex(curve.params[0] as string));
  module.generate(
    session,
    { mechanism: curve.generate },
    [
      ...named,
      { type: attribute.class, value: CK.class.publicKey },
      { type: attribute.verify, value: true },
      { type: attribute.ecParams, value: params },
    ],
    [
      ...named,
      { type: attribute.class, value: CK.class.privateKey },
      { type: attribute.private, value: true },
      { type: attribute.sensitive, value: true },
      { type: attribute.extractable, value: false },
      { type: attribute.sign, value: true },
    ],
  );
}

function loginOnce(
  module: Pkcs11Module,
  session: Handle,
  uri: Pkcs11Uri,
  source: PassphraseSource,
): () => Promise<void> {
  let done = false;
  return async () => {
    if (done) return;
    const from =
      uri.pinSource === undefined ? source : { ...source, passphraseFile: uri.pinSource };
    const name = uri.token.token === undefined ? 'the token' : `the token ${uri.token.token}`;
    module.login(session, await passphraseFor(`${name} (its PIN)`, from));
    done = true;
  };
}

function template({ object, id }: Pkcs11Uri, kind: number): Template {
  const { attribute } = CK;
  return [
    { type: attribute.class, value: kind },
    ...(object === undefined ? [] : [{ type: attribute.label, value: object }]),
    ...(id === undefined ? [] : [{ type: attribute.id, value: Buffer.from(id) }]),
  ];
}

function theOne(found: readonly Handle[], uri: Pkcs11Uri, half: string): Handle {
  const [object] = found;
  if (object === undefined) {
    throw new IronError('E_NOT_FOUND', `the ${half} of ${pkcs11Words(uri)} is not there`, {
      hint: 'nothing was signed; look at the objects of the token, or correct the URI',
    });
  }
  if (found.length > 1)
    throw new IronError('E_USAGE', `several keys fit for ${pkcs11Words(uri)}`, {
      hint: 'nothing was signed; say which with id=, too',
    });
  return object;
}

function readPublic(
  module: Pkcs11Module,
  session: Handle,
  object: Handle,
): { key: PublicKey<SigningScheme>; curve: Curve } {
  const params = module.attribute(session, object, CK.attribute.ecParams);
  const curve = CURVES.find((it) => it.params.some((hex) => equalBytes(fromHex(hex), params)));
  if (curve === undefined)
    throw new IronError('E_KEY', 'the key in the token is not of Ed25519, P-256 or P-384');
  const point = unwrapped(module.attribute(session, object, CK.attribute.ecPoint), curve.point);
  if (curve.scheme === 'ed25519') return { key: ed25519Key(point), curve };
  if (point[0] !== 0x04)
    throw new IronError('E_KEY', 'the token has the key as a compressed point');
  return { key: { scheme: curve.scheme, bytes: Uint8Array.from(point) }, curve };
}

/** PKCS#11 wraps a point into an OCTET STRING; some modules give it bare. */
function unwrapped(point: Uint8Array, length: number): Uint8Array {
  if (point.length === length) return point;
  if (point.length === length + 2 && point[0] === 0x04 && point[1] === length)
    return point.subarray(2);
  throw new IronError('E_KEY', `the token has a point of ${point.length} bytes`);
}
