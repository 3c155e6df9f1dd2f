/** What everybody may read: the tree, the pages, and what monitors ask. */

import { api, tree } from '../../../shared/layout.ts';
import { METRICS_TYPE } from '../../observe/metrics.ts';
import type { Answer, Operation, Parameter } from './operation.ts';
import { JSON_TYPE } from './vendor-operations.ts';

const HTML_TYPE = 'text/html; charset=utf-8';

function file(type: string, schema?: 'Metadata'): Answer[] {
  const content = { type, ...(schema === undefined ? {} : { schema }) };
  return [
    {
      status: 200,
      means: 'the whole file',
      content,
      headers: { etag: 'a strong validator', 'cache-control': 'immutable, but for the timestamp' },
    },
    { status: 206, means: 'the range that was asked for', content: { type } },
    { status: 304, means: 'the caller has it already' },
    { status: 416, means: 'the range lies past the end' },
  ];
}

function treeOperations(folder: string, what: Parameter, answers: Answer[]): Operation[] {
  const path = `/${folder}/{${what.name}}`;
  const shared = { path, tag: 'tree', caller: 'anybody' } as const;
  return [
    {
      ...shared,
      method: 'get',
      id: `${folder}File`,
      summary: `A file of the tree under ${folder}/`,
      parameters: [what],
      answers,
      refuses: folder === tree.targetsFolder ? ['E_NOT_FOUND', 'E_COLLECTED'] : ['E_NOT_FOUND'],
    },
    {
      ...shared,
      method: 'head',
      id: `${folder}FileHead`,
      summary: `The header of a file under ${folder}/`,
      parameters: [what],
      answers: answers
        .filter(({ status }) => status === 200 || status === 304)
        .map(({ content, ...head }) => head),
      refuses: folder === tree.targetsFolder ? ['E_NOT_FOUND', 'E_COLLECTED'] : ['E_NOT_FOUND'],
    },
    {
      ...shared,
      method: 'options',
      id: `${folder}Preflight`,
      summary: 'What a browser asks first (CORS)',
      parameters: [what],
      answers: [{ status: 204, means: 'every origin may read' }],
      refuses: [],
    },
  ];
}

const METADATA: Parameter = {
  name: 'file',
  in: 'path',
  description:
    '`timestamp.json`, which moves, or `VERSION.ROLE.json`, which never changes. The role name is percent-encoded once as a file name, and that name once more in the URL.',
};
const TARGET: Parameter = {
  name: 'path',
  in: 'path',
  description:
    'a target path whose last segment has its SHA-256 and a dot before it (consistent snapshots): `acme/edu/1.0.0/SHA256.edu.js`. Its slashes are not encoded.',
};

function monitor(path: string, id: string, summary: string, schema: 'HealthReply' | 'ReadyReply') {
  const content = { type: JSON_TYPE, schema };
  const answers = [
    { status: 200, means: 'yes', content },
    { status: 503, means: 'no', content },
  ];
  const shared = {
    path,
    tag: 'service',
    caller: 'anybody',
    refuses: [],
    listener: 'both',
  } as const;
  return { ...shared, method: 'get', id, summary, answers } as const;
}

const SERVICE: readonly Operation[] = [
  {
    method: 'get',
    path: '/',
    id: 'statusPage',
    tag: 'service',
    summary: 'The status page',
    caller: 'anybody',
    parameters: [
      { name: 'role', in: 'query', description: 'a vendor whose targets are listed' },
      {
        name: 'page',
        in: 'query',
        description: 'of that list',
        schema: { type: 'integer', minimum: 1 },
      },
    ],
    answers: [{ status: 200, means: 'a page', content: { type: HTML_TYPE } }],
    refuses: [],
  },
  {
    method: 'get',
    path: api.description,
    id: 'description',
    tag: 'service',
    summary: 'This document',
    caller: 'anybody',
    answers: [
      { status: 200, means: 'OpenAPI 3.1', content: { type: JSON_TYPE, schema: 'Description' } },
    ],
    refuses: [],
  },
  {
    method: 'get',
    path: api.descriptionPage,
    id: 'descriptionPage',
    tag: 'service',
    summary: 'This document, for people',
    caller: 'anybody',
    answers: [{ status: 200, means: 'a page', content: { type: HTML_TYPE } }],
    refuses: [],
  },
  monitor(api.health, 'health', 'Whether hosts accept what is served', 'HealthReply'),
  monitor(api.ready, 'ready', 'Whether the service can do its work', 'ReadyReply'),
  {
    method: 'get',
    path: api.metrics,
    id: 'metrics',
    tag: 'service',
    summary: 'Metrics, in the text format of Prometheus',
    caller: 'anybody',
    listener: 'operators',
    answers: [
      { status: 200, means: 'all series', content: { type: METRICS_TYPE } },
      { status: 503, means: 'the service is starting', content: { type: METRICS_TYPE } },
    ],
    refuses: [],
  },
];

export const PUBLIC_OPERATIONS: readonly Operation[] = [
  ...treeOperations(tree.metadataFolder, METADATA, file(JSON_TYPE, 'Metadata')),
  ...treeOperations(tree.targetsFolder, TARGET, file('*/*')),
  ...SERVICE,
];
