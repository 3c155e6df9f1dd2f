/** The schemas of the description: made from those by which the service reads and writes bodies. */

import * as z from 'zod';
import { healthReply, readyReply } from '../../../shared/api/health.ts';
import { draftList, draftReply, draftRoleRequest } from '../../../shared/api/pending.ts';
import { collectReply, collectRequest } from '../../../shared/api/retention.ts';
import { decisionReply, reviewList, reviewReply } from '../../../shared/api/review.ts';
import {
  batchReply,
  errorBody,
  errorReply,
  operatorFilesRequest,
  reviewState,
  submissionReply,
  submissionRequest,
  verdict,
} from '../../../shared/api/upload.ts';

const SCHEMAS = {
  SubmissionRequest: submissionRequest,
  SubmissionReply: submissionReply,
  Verdict: verdict,
  ReviewState: reviewState,
  BatchReply: batchReply,
  OperatorFilesRequest: operatorFilesRequest,
  DraftRoleRequest: draftRoleRequest,
  DraftReply: draftReply,
  DraftList: draftList,
  ReviewList: reviewList,
  ReviewReply: reviewReply,
  DecisionReply: decisionReply,
  CollectRequest: collectRequest,
  CollectReply: collectReply,
  HealthReply: healthReply,
  ReadyReply: readyReply,
  ErrorBody: errorBody,
  ErrorReply: errorReply,
} as const satisfies Record<string, z.ZodType>;

/** Documents whose form other specifications say; they are not read by a schema library. */
const FOREIGN = {
  Metadata: {
    description:
      'A metadata file of TUF 1.0.34: `signatures` over the canonical form of `signed`. Its own specification says what stands in it; nothing of it is to be believed before it was verified.',
    type: 'object',
    required: ['signatures', 'signed'],
    properties: { signatures: { type: 'array' }, signed: { type: 'object' } },
  },
  Envelope: {
    description: 'A DSSE envelope (version 1.0) over an in-toto statement, signed by one reviewer.',
    type: 'object',
    required: ['payload', 'payloadType', 'signatures'],
    properties: {
      payload: { type: 'string', contentEncoding: 'base64' },
      payloadType: { type: 'string', const: 'application/vnd.in-toto+json' },
      signatures: { type: 'array', minItems: 1 },
    },
  },
  Description: {
    description: 'This document (OpenAPI 3.1).',
    type: 'object',
    required: ['openapi', 'info', 'paths'],
  },
} as const;

export type SchemaName = keyof typeof SCHEMAS | keyof typeof FOREIGN;

export function schemaPlace(name: SchemaName): string {
  return `#/components/schemas/${name}`;
}

/**
 * All of them, as JSON Schema 2020-12, which is what OpenAPI 3.1 takes. Answers may get further
 * members within a version; what is sent to the service may have no others.
 */
export function jsonSchemas(): Readonly<Record<string, object>> {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => schemaPlace(id as SchemaName),
    override: ({ jsonSchema }) => {
      // The bounds of safe integers are the strict reader's, for every number, and say nothing here.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  const made = Object.entries(schemas).map(([id, { $schema, $id, ...schema }]) => [id, schema]);
  return { ...Object.fromEntries(made), ...FOREIGN };
}
