/** The description of the service's HTTP API, as OpenAPI 3.1. */

import { CODES, type Code } from '../../../shared/errors.ts';
import type { Answer, Caller, Content, Operation, Parameter } from './operation.ts';
import { TAGS } from './operation.ts';
import { OPERATOR_OPERATIONS } from './operator-operations.ts';
import { PUBLIC_OPERATIONS } from './public-operations.ts';
import { jsonSchemas, schemaPlace } from './schemas.ts';
import { SECURITY_SCHEMES, securityOf } from './security.ts';
import { VENDOR_OPERATIONS } from './vendor-operations.ts';

/** Every request that the service answers. */
export const OPERATIONS: readonly Operation[] = [
  ...VENDOR_OPERATIONS,
  ...OPERATOR_OPERATIONS,
  ...PUBLIC_OPERATIONS,
];

const ABOUT = `How vendors' bytes and signed roles, and the operators' signed files, come into a repository, and where everybody reads what is published. Nothing that a caller says is believed: a blob counts by its SHA-256, a role by the keys that the signed targets name for it, an operators' file by the keys of the root.

JSON is read strictly: no key twice, no number that is not a safe integer, nothing after the document, no unknown members. Answers may get further members within this version. Every answer that is no success is an ErrorReply with the HTTP status of its code; that to a HEAD has no body.`;

const OPERATORS = {
  url: '{address}',
  description:
    "The operators' own listener (`serve --metrics`), an address apart from the public one.",
  variables: { address: { default: 'http://127.0.0.1:9464' } },
};
const PUBLIC = { url: '/', description: 'The public address.' };

/** Codes that any request of such a caller may be refused with. */
const ALWAYS: Readonly<Record<Caller, readonly Code[]>> = {
  anybody: [],
  first: [],
  owner: ['E_UNAUTHENTICATED'],
  vendor: ['E_UNAUTHENTICATED', 'E_REPLAY', 'E_NO_PIN'],
};

export interface Description {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
  readonly [member: string]: unknown;
}

export interface DescribedOperation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, DescribedAnswer>>;
  readonly [member: string]: unknown;
}

export interface DescribedAnswer {
  readonly description: string;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
  readonly headers?: object;
}

/** The document; the same for every service of this version. */
export function description(): Description {
  const paths: Record<string, Record<string, DescribedOperation>> = {};
  for (const operation of OPERATIONS) {
    paths[operation.path] = {
      ...paths[operation.path],
      [operation.method]: operationObject(operation),
    };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'IronPort repository',
      version: '1',
      description: ABOUT,
      license: { name: 'AGPL-3.0-only', identifier: 'AGPL-3.0-only' },
    },
    servers: [PUBLIC],
    tags: Object.entries(TAGS).map(([name, text]) => ({ name, description: text })),
    paths,
    components: {
      schemas: { ...jsonSchemas() },
      securitySchemes: SECURITY_SCHEMES,
    },
    'x-ironport-codes': Object.fromEntries(
      Object.entries(CODES).map(([code, { http, meaning }]) => [code, { status: http, meaning }]),
    ),
  };
}

function operationObject(operation: Operation): DescribedOperation {
  const { id, tag, summary, caller, method, body, parameters, listener, isOpen } = operation;
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    ...(listener === undefined
      ? {}
      : { servers: listener === 'both' ? [PUBLIC, OPERATORS] : [OPERATORS] }),
    security: [...(isOpen === true ? [{}] : []), ...securityOf(caller, method === 'post')],
    ...(parameters === undefined ? {} : { parameters: parameters.map(parameterObject) }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: contentOf(body) } }),
    responses: responsesOf(operation),
  };
}

function parameterObject({ name, in: place, description, schema, required }: Parameter): object {
  return {
    name,
    in: place,
    description,
    required: place === 'path' || required === true,
    schema: schema ?? { type: 'string' },
  };
}

/** OpenAPI 3.1: of bytes there is no schema to say. */
function contentOf({ type, schema }: Content): Record<string, { schema: object }> {
  return { [type]: { schema: schema === undefined ? {} : { $ref: schemaPlace(schema) } } };
}

function responsesOf(operation: Operation): Record<string, DescribedAnswer> {
  const { answers, caller, refuses, method } = operation;
  const responses: Record<string, DescribedAnswer> = {};
  for (const answer of answers) responses[answer.status] = answerObject(answer);
  const refusals = Map.groupBy(
    new Set([...ALWAYS[caller], ...refuses]),
    (code) => CODES[code].http,
  );
  const [error, content] = [{ $ref: schemaPlace('ErrorReply') }, method !== 'head'];
  for (const [status, codes] of refusals) {
    const means = codes.map((code) => `\`${code}\`: ${CODES[code].meaning}`);
    const before = responses[status];
    const schema = before?.content?.['application/json']?.schema;
    responses[status] = {
      ...before,
      description: [...(before === undefined ? [] : [before.description]), ...means].join('; '),
      ...(content
        ? {
            content: {
              'application/json': {
                schema: schema === undefined ? error : { anyOf: [schema, error] },
              },
            },
          }
        : {}),
    };
  }
  responses.default = {
    description: 'any other refusal, with the status of its code',
    ...(content ? { content: { 'application/json': { schema: error } } } : {}),
  };
  return responses;
}

function answerObject({ means, content, headers }: Answer): DescribedAnswer {
  return {
    description: means,
    ...(content === undefined ? {} : { content: contentOf(content) }),
    ...(headers === undefined
      ? {}
      : {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, text]) => [
              name,
              { description: text, schema: { type: 'string' } },
            ]),
          ),
        }),
  };
}
