/** What operators and reviewers bring, and what the owner of the machine is shown. */

import { api } from '../../../shared/layout.ts';
import type { Operation } from './operation.ts';
import { BODY, ID, JSON_TYPE } from './vendor-operations.ts';

/** What signed files of the operators may be refused for. */
const FILES = [
  ...['E_NAME', 'E_KEY', 'E_SIGNATURE', 'E_THRESHOLD', 'E_EXPIRED', 'E_VERSION'],
  ...['E_NOT_AUTHORISED', 'E_CONFLICT', 'E_POLICY', 'E_DELEGATION', 'E_REVOCATIONS'],
  ...['E_ROLLBACK', 'E_HASH', 'E_LENGTH', 'E_REVOKED', 'E_QUOTA', 'E_NOTHING_TO_DO'],
] as const;

const FILES_AND_DRAFTS: readonly Operation[] = [
  {
    method: 'post',
    path: api.operatorFiles,
    id: 'submitFiles',
    tag: 'operators',
    summary: 'Hands in signed root and targets files',
    description:
      'Nobody is asked who it is: the signatures decide. Only the first root of a repository needs the owner’s token.',
    caller: 'first',
    body: { type: JSON_TYPE, schema: 'OperatorFilesRequest' },
    answers: [
      {
        status: 202,
        means: 'it verifies, and is queued',
        content: { type: JSON_TYPE, schema: 'SubmissionReply' },
        headers: { location: 'where to ask what becomes of it' },
      },
    ],
    refuses: [...BODY, ...FILES, 'E_NO_PIN'],
  },
  {
    method: 'post',
    path: api.operatorDrafts,
    id: 'bringFiles',
    tag: 'operators',
    summary: 'Leaves files that lack signatures, or adds signatures to them',
    caller: 'anybody',
    body: { type: JSON_TYPE, schema: 'OperatorFilesRequest' },
    answers: [
      {
        status: 202,
        means: 'the draft as it stands now',
        content: { type: JSON_TYPE, schema: 'DraftReply' },
        headers: { location: 'where the draft can be asked for' },
      },
    ],
    refuses: [...BODY, ...FILES, 'E_NO_PIN'],
  },
  {
    method: 'get',
    path: api.operatorDrafts,
    id: 'operatorDrafts',
    tag: 'operators',
    summary: 'What of the operators waits for signatures',
    caller: 'anybody',
    answers: [
      { status: 200, means: 'newest first', content: { type: JSON_TYPE, schema: 'DraftList' } },
    ],
    refuses: [],
  },
  {
    method: 'get',
    path: '/api/v1/operator/pending/{id}',
    id: 'operatorDraft',
    tag: 'operators',
    summary: 'One draft, with its files while it is open',
    caller: 'anybody',
    parameters: [ID],
    answers: [
      { status: 200, means: 'as it stands', content: { type: JSON_TYPE, schema: 'DraftReply' } },
    ],
    refuses: ['E_NOT_FOUND'],
  },
  {
    method: 'delete',
    path: '/api/v1/operator/pending/{id}',
    id: 'dropDraft',
    tag: 'operators',
    summary: 'Drops a draft',
    caller: 'owner',
    parameters: [ID],
    answers: [
      { status: 200, means: 'it is dropped', content: { type: JSON_TYPE, schema: 'DraftReply' } },
    ],
    refuses: ['E_NOT_FOUND', 'E_NOTHING_TO_DO', 'E_CONFLICT'],
  },
];

const REVIEWS: readonly Operation[] = [
  {
    method: 'get',
    path: api.reviews,
    id: 'reviews',
    tag: 'reviews',
    summary: 'What waits for reviewers',
    caller: 'owner',
    parameters: [
      {
        name: 'all',
        in: 'query',
        description: 'also what was decided; `?all`, with no value',
        schema: { type: 'boolean' },
      },
    ],
    answers: [
      { status: 200, means: 'oldest first', content: { type: JSON_TYPE, schema: 'ReviewList' } },
    ],
    refuses: [],
  },
  {
    method: 'get',
    path: '/api/v1/operator/reviews/{id}',
    id: 'review',
    tag: 'reviews',
    summary: 'One submission, with what a reviewer has to look at',
    caller: 'owner',
    parameters: [ID],
    answers: [
      { status: 200, means: 'as it stands', content: { type: JSON_TYPE, schema: 'ReviewReply' } },
    ],
    refuses: ['E_NOT_FOUND'],
  },
  {
    method: 'get',
    path: '/api/v1/operator/reviews/{id}/files/{sha256}',
    id: 'reviewFile',
    tag: 'reviews',
    summary: 'The bytes of a file that waits',
    caller: 'owner',
    parameters: [ID, { name: 'sha256', in: 'path', description: 'SHA-256 of the file' }],
    answers: [{ status: 200, means: 'all of it', content: { type: 'application/octet-stream' } }],
    refuses: ['E_NOT_FOUND'],
  },
  {
    method: 'post',
    path: '/api/v1/operator/reviews/{id}',
    id: 'decide',
    tag: 'reviews',
    summary: 'A reviewer’s signed decision',
    description:
      'It counts by its signature, whoever brings it. An approval that is the last one needed is answered when the submission is published or refused, or after 20 seconds.',
    caller: 'anybody',
    parameters: [ID],
    body: { type: JSON_TYPE, schema: 'Envelope' },
    answers: [
      {
        status: 200,
        means: 'what became of the submission',
        content: { type: JSON_TYPE, schema: 'DecisionReply' },
      },
    ],
    refuses: [
      ...BODY,
      ...(['E_NOTHING_TO_DO', 'E_NOT_AUTHORISED', 'E_NOT_FOUND'] as const),
      ...(['E_CONFLICT', 'E_EVIDENCE', 'E_SIGNATURE', 'E_REVIEW'] as const),
    ],
  },
];

const RETENTION: Operation = {
  method: 'post',
  path: api.retention,
  id: 'collect',
  tag: 'operators',
  summary: 'Collects bytes whose published window is over, or says which',
  description:
    'Only what no live snapshot lists, nobody holds and nothing that waits lists again; at most 10000 targets, and none with `dry_run`.',
  caller: 'owner',
  body: { type: JSON_TYPE, schema: 'CollectRequest' },
  answers: [
    {
      status: 200,
      means: 'what is gone, or would be',
      content: { type: JSON_TYPE, schema: 'CollectReply' },
    },
  ],
  refuses: [...BODY, 'E_POLICY', 'E_EXPIRED'],
};

export const OPERATOR_OPERATIONS: readonly Operation[] = [
  ...FILES_AND_DRAFTS,
  ...REVIEWS,
  RETENTION,
];
