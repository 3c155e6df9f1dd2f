/** What vendors ask for. docs/reference/upload-api.md says the same in more words. */

import { BATCH_TYPE } from '../../../shared/api/blob-batch.ts';
import { TUS_RESUMABLE, UPLOAD_EXPIRES, UPLOAD_METADATA } from '../../../shared/api/tus.ts';
import {
  LONGEST_WAIT,
  UPLOAD_LENGTH,
  UPLOAD_OFFSET,
  UPLOAD_TYPE,
} from '../../../shared/api/upload.ts';
import { api } from '../../../shared/layout.ts';
import type { Operation, Parameter } from './operation.ts';

const DIGEST: Parameter = {
  name: 'sha256',
  in: 'path',
  description: 'SHA-256 of the whole blob',
  schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
};
export const ID: Parameter = { name: 'id', in: 'path', description: 'as the service named it' };
const COUNT = { type: 'integer', minimum: 0 };
const STATE = {
  [UPLOAD_OFFSET]: 'bytes that are here and durable',
  [UPLOAD_LENGTH]: 'bytes of the whole blob',
  [UPLOAD_METADATA]: 'its digest, as tus has it',
  [UPLOAD_EXPIRES]: 'when what is unfinished will be deleted',
};
const TUS: Parameter = {
  name: 'Tus-Resumable',
  in: 'header',
  description: 'makes it a request of tus 1.0.0; another version is answered with 412',
};
const SPOKEN = {
  [TUS_RESUMABLE]: '1.0.0',
  'tus-version': '1.0.0',
  'tus-extension': 'creation, expiration, termination',
  'tus-max-size': 'bytes that a blob may have',
};
export const JSON_TYPE = 'application/json';
/** What any body of JSON may be refused for. */
export const BODY = [
  'E_USAGE',
  'E_JSON',
  'E_SCHEMA',
  'E_TOO_LARGE',
  'E_TRY_AGAIN',
  'E_SLOW',
] as const;

const BLOBS: readonly Operation[] = [
  ...[
    { path: api.blobs, id: 'uploadOptions' },
    { path: '/api/v1/blobs/{sha256}', id: 'blobOptions', parameters: [DIGEST] },
  ].map(
    (one): Operation => ({
      method: 'options',
      ...one,
      tag: 'uploads',
      summary: 'What is spoken of tus, resumable uploads',
      caller: 'anybody',
      answers: [{ status: 204, means: 'version and extensions', headers: SPOKEN }],
      refuses: [],
    }),
  ),
  {
    method: 'head',
    path: '/api/v1/blobs/{sha256}',
    id: 'blobState',
    tag: 'uploads',
    summary: 'How much of a blob is here',
    caller: 'vendor',
    parameters: [DIGEST, TUS],
    answers: [{ status: 200, means: 'some of it, or all', headers: STATE }],
    refuses: ['E_USAGE', 'E_NOT_FOUND'],
  },
  {
    method: 'patch',
    path: '/api/v1/blobs/{sha256}',
    id: 'sendBlob',
    tag: 'uploads',
    summary: 'More of a blob',
    description: `The body may be of any length up to the rest. What came is kept when the connection breaks. The digest decides when the last byte came. The signature covers ${UPLOAD_OFFSET} and ${UPLOAD_LENGTH}; of a request of tus content-length instead of that, and the blob was created before. While somebody else sends it, tus is told 423, others 503.`,
    caller: 'vendor',
    parameters: [
      DIGEST,
      TUS,
      {
        name: 'Upload-Offset',
        in: 'header',
        description: 'where these bytes begin: exactly where the blob ends so far',
        schema: COUNT,
        required: true,
      },
      {
        name: 'Upload-Length',
        in: 'header',
        description: 'bytes of the whole blob, the same in every piece; not with tus',
        schema: COUNT,
        required: false,
      },
    ],
    body: { type: UPLOAD_TYPE },
    answers: [{ status: 204, means: 'taken and durable', headers: STATE }],
    refuses: [
      ...(['E_USAGE', 'E_CONFLICT', 'E_TOO_LARGE', 'E_HASH', 'E_LENGTH', 'E_QUOTA'] as const),
      ...(['E_TRY_AGAIN', 'E_SLOW', 'E_NO_SPACE', 'E_NOT_FOUND'] as const),
    ],
  },
  {
    method: 'delete',
    path: '/api/v1/blobs/{sha256}',
    id: 'giveUpBlob',
    tag: 'uploads',
    summary: 'Deletes what came of an unfinished blob',
    description: 'While somebody sends it, tus is told 423, others 503.',
    caller: 'vendor',
    parameters: [DIGEST, TUS],
    answers: [{ status: 204, means: 'nothing of it is here any more' }],
    refuses: ['E_USAGE', 'E_NOT_FOUND', 'E_CONFLICT', 'E_TRY_AGAIN'],
  },
  {
    method: 'post',
    path: api.blobs,
    id: 'sendBlobs',
    tag: 'uploads',
    summary: 'Announces a blob that will come in pieces (tus); or many small ones in one request',
    description:
      'With Tus-Resumable there is no body, and the signature covers upload-length and upload-metadata. Without it, of each blob the SHA-256 as 32 bytes, the length as 4 bytes with the highest first, then the bytes. All of them, or none.',
    caller: 'vendor',
    parameters: [
      TUS,
      {
        name: 'Upload-Length',
        in: 'header',
        description: 'with tus: bytes of the whole blob',
        schema: COUNT,
        required: false,
      },
      {
        name: 'Upload-Metadata',
        in: 'header',
        description: 'with tus: "sha256", a space, and the 64 hexadecimal digits in base64',
        required: false,
      },
    ],
    body: { type: BATCH_TYPE },
    answers: [
      {
        status: 201,
        means: 'room is taken for it; with tus',
        headers: { ...STATE, location: 'the address of the blob' },
      },
      {
        status: 200,
        means: 'all of them are here and durable',
        content: { type: JSON_TYPE, schema: 'BatchReply' },
      },
    ],
    refuses: [...BODY, 'E_HASH', 'E_CONFLICT', 'E_QUOTA', 'E_NO_SPACE'],
  },
];

const SUBMISSIONS: readonly Operation[] = [
  {
    method: 'post',
    path: api.submissions,
    id: 'submitRole',
    tag: 'uploads',
    summary: 'Hands in signed role files',
    description:
      'Whatever the verdict, the answer is 202 with all of the checks; a refusal is in its `error`. What is queued is durable, and is judged again when it is published.',
    caller: 'vendor',
    body: { type: JSON_TYPE, schema: 'SubmissionRequest' },
    answers: [
      {
        status: 202,
        means: 'judged',
        content: { type: JSON_TYPE, schema: 'SubmissionReply' },
        headers: { location: 'where to ask what becomes of it' },
      },
    ],
    refuses: [...BODY, 'E_HASH', 'E_QUOTA', 'E_NOTHING_TO_DO'],
  },
  {
    method: 'get',
    path: '/api/v1/submissions/{id}',
    id: 'submission',
    tag: 'uploads',
    summary: 'What became of a submission',
    description:
      'Of a vendor’s only that vendor may ask, with a signed request; of the operators’ whoever knows the id.',
    caller: 'vendor',
    isOpen: true,
    parameters: [
      ID,
      {
        name: 'wait',
        in: 'query',
        description: 'most seconds to wait for the end, or for reviewers',
        schema: { type: 'integer', minimum: 0, maximum: LONGEST_WAIT },
      },
    ],
    answers: [
      {
        status: 200,
        means: 'as it stands',
        content: { type: JSON_TYPE, schema: 'SubmissionReply' },
      },
    ],
    refuses: ['E_USAGE', 'E_NOT_FOUND'],
  },
];

const PENDING: readonly Operation[] = [
  {
    method: 'post',
    path: api.drafts,
    id: 'bringRole',
    tag: 'uploads',
    summary: 'Leaves a role that lacks signatures, or adds signatures to it',
    caller: 'vendor',
    body: { type: JSON_TYPE, schema: 'DraftRoleRequest' },
    answers: [
      {
        status: 202,
        means: 'the draft as it stands now',
        content: { type: JSON_TYPE, schema: 'DraftReply' },
        headers: { location: 'where the draft can be asked for' },
      },
    ],
    refuses: [
      ...BODY,
      ...(['E_HASH', 'E_CONFLICT', 'E_NOT_AUTHORISED', 'E_SIGNATURE', 'E_QUOTA'] as const),
      ...(['E_NAME', 'E_KEY', 'E_EXPIRED', 'E_POLICY', 'E_NOTHING_TO_DO'] as const),
    ],
  },
  {
    method: 'get',
    path: api.drafts,
    id: 'drafts',
    tag: 'uploads',
    summary: 'What of this vendor waits for signatures',
    caller: 'vendor',
    answers: [
      {
        status: 200,
        means: 'newest first',
        content: { type: JSON_TYPE, schema: 'DraftList' },
      },
    ],
    refuses: [],
  },
  {
    method: 'get',
    path: '/api/v1/pending/{id}',
    id: 'draft',
    tag: 'uploads',
    summary: 'One draft, with its file while it is open',
    caller: 'vendor',
    parameters: [ID],
    answers: [
      { status: 200, means: 'as it stands', content: { type: JSON_TYPE, schema: 'DraftReply' } },
    ],
    refuses: ['E_NOT_FOUND'],
  },
];

export const VENDOR_OPERATIONS: readonly Operation[] = [...BLOBS, ...SUBMISSIONS, ...PENDING];
