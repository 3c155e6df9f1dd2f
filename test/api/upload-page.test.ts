/** The page about the upload API says what the code does, as far as a test can read it. */

import { readFile } from 'node:fs/promises';
import t from 'tap';
import { signRequest, verifyRequest } from '../../shared/api/http-signature.ts';
import {
  errorReply,
  operatorFilesRequest,
  parseBody,
  submissionReply,
  submissionRequest,
} from '../../shared/api/upload.ts';
import { fromHex, utf8 } from '../../shared/bytes.ts';
import { ed25519Key } from '../../shared/crypto/key.ts';
import { parseReview } from '../../shared/evidence/predicates.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { api } from '../../shared/layout.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { keyId } from '../../shared/tuf/key.ts';

const page = await readFile(new URL('../../docs/reference/upload-api.md', import.meta.url), 'utf8');
const blocks = (kind: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${kind}\n([^\`]*)\n\`\`\``, 'g'))].map(
    ([, text]) => text as string,
  );

t.test('the signed request', async (t) => {
  const [text] = blocks('http');
  const [first, ...lines] = (text as string).split('\n');
  const [method, path] = (first as string).split(' ') as [string, string];
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 2),
    ]),
  );
  const head = { method, authority: headers.host as string, path, query: '', headers };
  const key = ed25519Key(fromHex(/Ed25519 key `([0-9a-f]{64})`/.exec(page)?.[1] as string));
  const keys = new Map([[keyId(platformCrypto, key), key]]);
  t.match(verifyRequest(platformCrypto, head, keys, 1906545610), { created: 1906545600 });

  // What the page says is signed, is what a signer is given.
  let signed = new Uint8Array();
  const signer = {
    key,
    async sign(message: Uint8Array) {
      signed = message.slice();
      return new Uint8Array(64);
    },
  };
  const { signature: _signature, 'signature-input': _input, ...plain } = headers;
  const nonce = /nonce="([^"]+)"/.exec(text as string)?.[1] as string;
  const options = { signer, created: 1906545600, nonce };
  await signRequest(platformCrypto, { ...head, headers: plain }, options);
  t.equal(new TextDecoder().decode(signed), blocks('text')[0]);
});

t.test('the documents', (t) => {
  const documents = blocks('json').map((text) => utf8(text));
  t.equal(documents.length, 5);
  const [submission, reply, files, review, error] = documents as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  t.equal(parseBody(submissionRequest, submission).role, 'acme');
  t.equal(parseBody(submissionReply, reply).state, 'published');
  t.equal(parseBody(operatorFilesRequest, files).files.length, 2);
  const predicate = new Node(parseJson(review, { length: 1000 }), 'predicate');
  t.match(parseReview(predicate), { result: 'approved', comment: 'one line' });
  t.equal(parseBody(errorReply, error).error.code, 'E_CONFLICT');
  t.end();
});

t.test('every address', (t) => {
  for (const path of [api.blob('<sha256>'), api.submissions, api.operatorFiles])
    t.ok(page.includes(`${path}\` |`), path);
  t.end();
});
