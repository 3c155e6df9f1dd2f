/** How requests are authorised, as the description says it. */

import type { Caller } from './operation.ts';

const SIGNATURE = `One HTTP message signature (RFC 9421), in one form:

- covered components, without parameters: \`"@method" "@authority" "@path" "@query"\`; of a POST also \`"content-digest"\`; of a PATCH also \`"upload-offset" "upload-length"\`. No more and no less.
- parameters, each once: \`created\` and \`expires\` in seconds, at most 300 apart and \`created\` at most 300 from the service’s clock; \`nonce\`, 16 to 88 characters of base64, never used before with this key; \`keyid\`, the TUF key id of an API key that the signed targets list for the vendor; \`alg\`, one of \`ed25519\`, \`ecdsa-p256-sha256\`, \`ecdsa-p384-sha384\`; \`tag="ironport"\`.
- the signature of an ECDSA key is r and s one after the other (RFC 9421 3.3.4, 3.3.5).`;

export const SECURITY_SCHEMES = {
  signature: { type: 'apiKey', in: 'header', name: 'Signature', description: SIGNATURE },
  signatureInput: {
    type: 'apiKey',
    in: 'header',
    name: 'Signature-Input',
    description: 'What `Signature` covers, and its parameters (RFC 9421 section 4.1).',
  },
  contentDigest: {
    type: 'apiKey',
    in: 'header',
    name: 'Content-Digest',
    description: '`sha-256=:<base64>:` of the body as it is sent, alone (RFC 9530).',
  },
  owner: {
    type: 'http',
    scheme: 'bearer',
    description:
      'The token in `private/service.json`, which only the owner of the service can read; another one at each start.',
  },
} as const;

type Requirement = Partial<Record<keyof typeof SECURITY_SCHEMES, readonly string[]>>;

/** What a request of `caller` must have; any one of the list. */
export function securityOf(caller: Caller, hasDigest: boolean): readonly Requirement[] {
  if (caller === 'owner') return [{ owner: [] }];
  if (caller === 'first') return [{}, { owner: [] }];
  if (caller === 'anybody') return [];
  const signed = { signature: [], signatureInput: [] };
  return [hasDigest ? { ...signed, contentDigest: [] } : signed];
}
