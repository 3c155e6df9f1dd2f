/** The signature at the end of a kernel module: read, verified, and refused for its own reasons. */

import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { readCertificate, verifyModuleSignature } from '../../publisher/sbom/check-signature.ts';
import { concatBytes, toHex, utf8 } from '../../shared/bytes.ts';
import { isIronError } from '../../shared/errors.ts';
import { parseCertificateIds } from '../../shared/evidence/elf/certificate.ts';
import { parseSignedModule, type SignedModule } from '../../shared/evidence/elf/signed-module.ts';
import { ELF_LIMITS } from '../../shared/limits.ts';
import { EDU_MODULE } from './elf-support.ts';
import {
  append,
  der,
  MODULE_KEY,
  moduleKey,
  OIDS,
  oid,
  pkcs7Of,
  type SigningOf,
  signedData,
  signModule,
} from './module-signing.ts';
import { refused } from './support.ts';

const EC = moduleKey('acme ec', 'ec', 0x55);
const OTHER = moduleKey('somebody else');
const certificateOf = (key = MODULE_KEY) => new X509Certificate(key.certificate);
const parsed = (bytes: Uint8Array) => parseSignedModule(bytes) as SignedModule;
const signed = (options?: SigningOf) => parsed(signModule(EDU_MODULE, options));

t.test('what it says, and the bytes that it is over', async (t) => {
  t.equal(parseSignedModule(EDU_MODULE), undefined, 'none');
  const { module, block, signature } = signed();
  t.same(module, EDU_MODULE);
  t.match(signature.signers, [
    {
      id: { issuer: 'CN=acme module signing', serial: '07' },
      digest: 'sha256',
      algorithm: OIDS.rsa,
    },
  ]);
  t.equal(signature.signers[0]?.signature.length, 256);
  t.same(append(module, block), signModule(EDU_MODULE), 'nothing is lost between them');
  const byKeyId = signed({ byKeyId: true }).signature.signers[0]?.id;
  t.same(byKeyId, { keyId: toHex(MODULE_KEY.keyId) });
});

t.test('verified by the certificate of the signer that it names', async (t) => {
  for (const options of [
    {},
    { byKeyId: true },
    { withAttributes: true },
    { by: EC },
    { by: EC, byKeyId: true, withAttributes: true },
  ] satisfies SigningOf[]) {
    const certificates = [certificateOf(OTHER), certificateOf(), certificateOf(EC)];
    const found = verifyModuleSignature(signed(options), certificates);
    t.equal(found, certificates['by' in options ? 2 : 1], JSON.stringify(Object.keys(options)));
  }
});

t.test('refused when it does not verify', async (t) => {
  const bad = (module: SignedModule, why: RegExp, certificates = [certificateOf()]) => {
    const error = refused(
      t,
      () => verifyModuleSignature(module, certificates),
      'E_SIGNATURE',
      String(why),
    );
    t.match(error.why, why);
  };
  const changed = Uint8Array.from(EDU_MODULE);
  changed[100] = (changed[100] as number) ^ 1;
  bad(parsed(append(changed, pkcs7Of(EDU_MODULE))), /not one of that key/);
  bad(parsed(append(changed, pkcs7Of(EDU_MODULE, { withAttributes: true }))), /other bytes/);
  bad(signed({ by: OTHER, as: MODULE_KEY }), /not one of that key/);
  bad(signed({ by: OTHER }), /none of the certificates/);
  bad(signed(), /none of the certificates/, []);
  bad(signed({ by: EC, as: MODULE_KEY }), /not one of that key/);
  bad(signed({ digest: '1.3.14.3.2.26' }), /its digest, sha1/);
  bad(signed({ digest: '1.2.3.4' }), /its digest, 1\.2\.3\.4/);
});

t.test('a signature that cannot be read', async (t) => {
  const bad = (bytes: Uint8Array, why: RegExp) => {
    const error = refused(t, () => parseSignedModule(bytes), 'E_SCHEMA', String(why));
    t.match(error.message, why);
  };
  const block = pkcs7Of(EDU_MODULE);
  bad(utf8('~Module signature appended~\n'), /no room/);
  bad(append(EDU_MODULE, block, { 2: 1 }), /not PKCS #7/);
  for (const at of [0, 1, 3, 4, 5, 7]) bad(append(EDU_MODULE, block, { [at]: 1 }), /another kind/);
  bad(append(EDU_MODULE, block, { 8: 255 }), /it has \d+ bytes/);
  bad(append(EDU_MODULE, new Uint8Array()), /it has 0 bytes/);
  bad(append(new Uint8Array(), block), /longer than the file/);
  bad(append(EDU_MODULE, new Uint8Array(ELF_LIMITS.signature + 1)), /it has 262145 bytes/);
  bad(append(EDU_MODULE, concatBytes(block, Uint8Array.of(0))), /something follows/);
  bad(append(EDU_MODULE, der(0x30, oid(OIDS.data))), /no SignedData/);
  bad(append(EDU_MODULE, signedData()), /nobody signed/);
  bad(append(EDU_MODULE, Uint8Array.of(0x30, 0x80, 0, 0)), /not of DER/);
  bad(append(EDU_MODULE, Uint8Array.of(0x30, 0x81, 0x01, 0)), /not of DER/);
  bad(append(EDU_MODULE, Uint8Array.of(0x3f, 0x81, 0x01, 0)), /several bytes/);
  const info = der(0x30);
  bad(append(EDU_MODULE, signedData(...Array(ELF_LIMITS.signers + 1).fill(info))), /too early|tag/);
  const withContent = concatBytes(oid(OIDS.data), der(0xa0, der(4, utf8('other'))));
  const inside = der(
    0x30,
    oid(OIDS.signedData),
    der(0xa0, der(0x30, der(2, Uint8Array.of(1)), der(0x31), der(0x30, withContent), der(0x31))),
  );
  bad(append(EDU_MODULE, inside), /content of its own/);
  for (let length = 0; length < block.length; length += 3) {
    try {
      parseSignedModule(append(EDU_MODULE, block.subarray(0, length)));
      t.fail(`${length} of ${block.length} bytes were taken`);
    } catch (error) {
      if (!isIronError(error, 'E_SCHEMA')) throw error;
    }
  }
});

t.test('attributes that speak of something else, or twice', async (t) => {
  const attribute = (type: string, ...values: Uint8Array[]) =>
    der(0x30, oid(type), der(0x31, ...values));
  const type = attribute(OIDS.contentType, oid(OIDS.data));
  const digest = attribute(OIDS.messageDigest, der(4, new Uint8Array(32)));
  const bad = (why: RegExp, ...attributes: Uint8Array[]) => {
    const info = der(
      0x30,
      der(2, Uint8Array.of(3)),
      der(0x80, MODULE_KEY.keyId),
      der(0x30, oid(OIDS.sha256)),
      der(0xa0, ...attributes),
      der(0x30, oid(OIDS.rsa)),
      der(4, new Uint8Array(8)),
    );
    const run = () => parseSignedModule(append(EDU_MODULE, signedData(info)));
    t.match(refused(t, run, 'E_SCHEMA', String(why)).message, why);
  };
  bad(/about no data/, digest);
  bad(/about no data/, attribute(OIDS.contentType, oid(OIDS.signedData)), digest);
  bad(/no digest/, type);
  bad(/no digest/, type, attribute(OIDS.messageDigest, der(2, Uint8Array.of(1))));
  bad(/twice/, type, digest, digest);
  bad(/two values/, type, attribute(OIDS.messageDigest, der(4), der(4)));
});

t.test('names that would fool a reader are shown as bytes', async (t) => {
  const key = moduleKey('evil\u001b[2J');
  const shown = `CN=#${toHex(utf8('evil\u001b[2J'))}`;
  t.match(signed({ by: key }).signature.signers, [{ id: { issuer: shown } }]);
  const comma = moduleKey('a, O=Microsoft');
  t.match(signed({ by: comma }).signature.signers, [{ id: { issuer: 'CN=a\\, O\\=Microsoft' } }]);
});

t.test('certificates', async (t) => {
  t.match(parseCertificateIds(MODULE_KEY.certificate), {
    serial: '07',
    keyId: toHex(MODULE_KEY.keyId),
  });
  refused(t, () => parseCertificateIds(MODULE_KEY.certificate.subarray(1)), 'E_KEY', 'cut');
  refused(t, () => parseCertificateIds(utf8('-----BEGIN')), 'E_KEY', 'text');
  refused(t, () => readCertificate(utf8('nothing'), 'x.pem'), 'E_KEY', 'no certificate');
  t.equal(readCertificate(MODULE_KEY.certificate, 'x').serialNumber, '07');
});
