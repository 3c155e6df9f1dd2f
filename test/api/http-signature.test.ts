import fc from 'fast-check';
import t from 'tap';
import {
  contentDigest,
  type RequestHead,
  signRequest,
  verifyBody,
  verifyRequest,
} from '../../shared/api/http-signature.ts';
import { parseSignature } from '../../shared/api/signature-fields.ts';
import { fromUtf8, utf8 } from '../../shared/bytes.ts';
import { nobleCrypto } from '../../shared/crypto/noble.ts';
import type { Signer } from '../../shared/crypto/signer.ts';
import { IronError } from '../../shared/errors.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';
import { testKey } from '../support/keys.ts';

const NOW = 1_900_000_000;
const NONCE = 'abcdefghijklmnopqrstuvwx';
const acme = testKey('acme api');
const BODY = utf8('{"hello": "world"}');

const POST: RequestHead = {
  method: 'POST',
  authority: '127.0.0.1:8080',
  path: '/api/v1/submissions',
  query: '',
  headers: {},
};
const PATCH: RequestHead = {
  ...POST,
  method: 'PATCH',
  path: '/api/v1/blobs/00',
  headers: { 'upload-offset': '0', 'upload-length': '12' },
};

async function signed(head: RequestHead, signer: Signer = acme, body?: Uint8Array) {
  const options = { signer, created: NOW, nonce: NONCE };
  const added = await signRequest(platformCrypto, head, options, body);
  return { ...head, headers: { ...head.headers, ...added } } satisfies RequestHead;
}

const keysOf = (...signers: Signer[]) =>
  new Map(signers.map((signer) => [keyId(platformCrypto, signer.key), signer.key]));

function verify(head: RequestHead, now = NOW, crypto = platformCrypto, keys = keysOf(acme)) {
  return verifyRequest(crypto, head, keys, now);
}

const refusedWith = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof IronError) return error.code;
    throw error;
  }
  return 'accepted';
};

t.test('what was signed verifies, by either crypto', async (t) => {
  for (const [head, body] of [
    [POST, BODY],
    [PATCH, undefined],
    [{ ...POST, method: 'GET', query: '?wait=5' }, undefined],
    [{ ...POST, method: 'HEAD' }, undefined],
  ] as const) {
    const request = await signed(head, acme, body);
    for (const crypto of [platformCrypto, nobleCrypto]) {
      t.same(
        verify(request, NOW, crypto),
        { keyid: keyId(crypto, acme.key), nonce: NONCE, created: NOW, expires: NOW + 60 },
        head.method,
      );
    }
  }
});

t.test('ECDSA goes over the wire as RFC 9421 3.3.4 has it', async (t) => {
  const signer = testKey('p256', 'ecdsa-sha2-nistp256');
  // Several, because r and s lose their leading zeros in DER.
  for (let i = 0; i < 40; i++) {
    const request = await signed(POST, signer, BODY);
    t.equal(parseSignature(request.headers).signature.length, 64);
    t.equal(verify(request, NOW, platformCrypto, keysOf(signer)).nonce, NONCE);
  }
});

t.test('the digest of the example in RFC 9530 appendix A', async (t) => {
  t.equal(
    contentDigest(platformCrypto, BODY),
    'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
  );
});

t.test('every signed part holds', async (t) => {
  const post = await signed(POST, acme, BODY);
  const patch = await signed(PATCH);
  const change = (request: RequestHead, headers: Record<string, string | undefined>) => ({
    ...request,
    headers: { ...request.headers, ...headers },
  });
  const input = post.headers['signature-input'] as string;
  const digest = post.headers['content-digest'] as string;
  const cases: [string, RequestHead][] = [
    ['another method', { ...post, method: 'GET' }],
    ['another host', { ...post, authority: 'other.example' }],
    ['another path', { ...post, path: '/api/v1/submission' }],
    ['a query', { ...post, query: '?x' }],
    ['another digest', change(post, { 'content-digest': contentDigest(platformCrypto, utf8('')) })],
    ['no digest', change(post, { 'content-digest': undefined })],
    ['two digests', change(post, { 'content-digest': `${digest}, ${digest}` })],
    ['another offset', change(patch, { 'upload-offset': '1' })],
    ['another length', change(patch, { 'upload-length': '13' })],
    ['no length', change(patch, { 'upload-length': undefined })],
    ['a patch as a post', { ...patch, method: 'POST' }],
    ['no signature', change(post, { signature: undefined })],
    ['no input', change(post, { 'signature-input': undefined })],
    ['another label', change(post, { signature: post.headers.signature?.replace('sig1', 'sig2') })],
    ['unpadded', change(post, { signature: post.headers.signature?.replace('==:', ':') })],
    ['two signatures', change(post, { signature: `${post.headers.signature}, a=:AAAA:` })],
    ['other nonce', change(post, { 'signature-input': input.replace(NONCE, `x${NONCE}`) })],
    ['later', change(post, { 'signature-input': input.replace(`=${NOW + 60}`, `=${NOW + 61}`) })],
    ['white space', change(post, { 'signature-input': input.replace('" "', '"  "') })],
    ['uncovered', change(post, { 'signature-input': input.replace('"@path" ', '') })],
    [
      'a part twice',
      change(post, { 'signature-input': input.replace('"@path"', '"@path" "@path"') }),
    ],
    ['another tag', change(post, { 'signature-input': input.replace('ironport', 'tusport') })],
    ['another alg', change(post, { 'signature-input': input.replace('ed25519', 'hmac-sha256') })],
    ['no nonce', change(post, { 'signature-input': input.replace(/;nonce="[^"]*"/, '') })],
    [
      'nonce twice',
      change(post, { 'signature-input': input.replace(/;tag=.*/, `;nonce="${NONCE}"`) }),
    ],
    ['a huge field', change(post, { 'signature-input': input.padEnd(5000, ' ') })],
    ['a fraction', change(post, { 'signature-input': input.replace(`=${NOW};`, `=${NOW}.0;`) })],
    ['a line end', { ...post, path: '/api\n"@query": ?' }],
  ];
  t.doesNotThrow(() => verify(post));
  for (const [name, request] of cases)
    t.equal(
      refusedWith(() => verify(request)),
      'E_UNAUTHENTICATED',
      name,
    );
});

t.test('time, keys and bodies', async (t) => {
  const post = await signed(POST, acme, BODY);
  const head = POST;
  t.equal(
    refusedWith(() => verify(post, NOW + 60)),
    'E_UNAUTHENTICATED',
    'expired',
  );
  t.equal(
    refusedWith(() => verify(post, NOW - 301)),
    'E_UNAUTHENTICATED',
    'from the future',
  );
  t.doesNotThrow(() => verify(post, NOW - 299), 'a clock that is a little behind');
  const options = { signer: acme, created: NOW, nonce: NONCE, lifetime: 301 };
  const added = await signRequest(platformCrypto, head, options, BODY);
  t.equal(
    refusedWith(() => verify({ ...head, headers: added })),
    'E_UNAUTHENTICATED',
    'too long',
  );
  t.equal(
    refusedWith(() => verify(post, NOW, platformCrypto, keysOf(testKey('other')))),
    'E_UNAUTHENTICATED',
    'a key that nobody lists',
  );
  const swapped = new Map([[keyId(platformCrypto, acme.key), testKey('other').key]]);
  t.equal(
    refusedWith(() => verify(post, NOW, platformCrypto, swapped)),
    'E_UNAUTHENTICATED',
    'another key under the id',
  );
  t.doesNotThrow(() => verifyBody(platformCrypto, post, BODY));
  t.equal(
    refusedWith(() => verifyBody(platformCrypto, post, utf8('{}'))),
    'E_HASH',
  );
  t.equal(
    refusedWith(() => verifyBody(platformCrypto, POST, BODY)),
    'E_UNAUTHENTICATED',
  );
});

t.test('whatever the fields are, the answer is a refusal with a code', async (t) => {
  const post = await signed(POST, acme, BODY);
  const input = post.headers['signature-input'] as string;
  const cut = fc.nat(input.length).map((at) => input.slice(0, at));
  const replaced = fc
    .tuple(fc.nat(input.length - 1), fc.string({ unit: 'binary', minLength: 1, maxLength: 4 }))
    .map(([at, text]) => input.slice(0, at) + text + input.slice(at + 1))
    .filter((text) => text !== input);
  fc.assert(
    fc.property(fc.oneof(cut, replaced, fc.string({ maxLength: 400 })), (text) => {
      const headers = { ...post.headers, 'signature-input': text };
      return (
        text === input || refusedWith(() => verify({ ...post, headers })) === 'E_UNAUTHENTICATED'
      );
    }),
    { numRuns: 2000 },
  );
  t.pass('2000 fields');
});

t.test('what a vendor signs of its own accord, but not as it must be signed', async (t) => {
  // Each of these verifies: the holder of the key signed exactly what is sent.
  const signedSo = async (
    head: RequestHead,
    edit: (text: string) => string,
  ): Promise<RequestHead> => {
    const signer: Signer = {
      key: acme.key,
      sign: (message) => acme.sign(utf8(edit(fromUtf8(message)))),
    };
    const request = await signed(head, signer, head.method === 'POST' ? BODY : undefined);
    const input = edit(request.headers['signature-input'] ?? '');
    return { ...request, headers: { ...request.headers, 'signature-input': input } };
  };
  const without = (name: string) => (text: string) =>
    text
      .replace(new RegExp(`^"${name}": .*\\n`, 'm'), '')
      .replace(new RegExp(`(?<=\\()"${name}" | "${name}"`), '');
  const why = (request: RequestHead): string => {
    try {
      verify(request);
      return 'accepted';
    } catch (error) {
      return error instanceof IronError ? `${error.code} ${error.why}` : String(error);
    }
  };
  t.equal(
    why(await signedSo(POST, (text) => text)),
    'accepted',
    'the way of signing is the right one',
  );
  for (const name of ['@method', '@authority', '@path', '@query', 'content-digest']) {
    const request = await signedSo(POST, without(name));
    t.match(why(request), `E_UNAUTHENTICATED the signature does not cover ${name}`);
  }
  for (const name of ['upload-offset', 'upload-length']) {
    const request = await signedSo(PATCH, without(name));
    t.match(why(request), `E_UNAUTHENTICATED the signature does not cover ${name}`);
  }
  const other = await signedSo(POST, (text) => text.replace('tag="ironport"', 'tag="tusport"'));
  t.match(why(other), 'E_UNAUTHENTICATED the signature is tagged "tusport"');
  const alg = await signedSo(POST, (text) => text.replace('alg="ed25519"', 'alg="hmac-sha256"'));
  t.match(why(alg), `E_UNAUTHENTICATED the algorithm "hmac-sha256" is not the key's`);
});
