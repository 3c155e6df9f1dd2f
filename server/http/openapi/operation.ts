/** What the description says of one request: the form in which the tables beside this file are written. */

import type { Code } from '../../../shared/errors.ts';
import type { SchemaName } from './schemas.ts';

export const METHODS = ['get', 'head', 'options', 'post', 'patch', 'delete'] as const;
export type Method = (typeof METHODS)[number];

/**
 * Who may: anybody; the vendor whose API key signed the request; the machine's owner, by the token
 * in the private folder. `first` is anybody, and the owner for more.
 */
export type Caller = 'anybody' | 'vendor' | 'owner' | 'first';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly description: string;
  /** A JSON schema; a string when there is none. */
  readonly schema?: object;
  /** Those of the path always are. */
  readonly required?: boolean;
}

export interface Content {
  /** The media type. */
  readonly type: string;
  /** One of the schemas by which bodies are read or made; bytes without one. */
  readonly schema?: SchemaName;
}

export interface Answer {
  readonly status: number;
  readonly means: string;
  readonly content?: Content;
  /** Header fields that the caller needs, and what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly method: Method;
  /** As OpenAPI has it: `/api/v1/blobs/{sha256}`. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  /** Whole sentences, where the summary is not all. */
  readonly description?: string;
  readonly caller: Caller;
  /** Of some things anybody may ask, as the description says. */
  readonly isOpen?: boolean;
  readonly parameters?: readonly Parameter[];
  readonly body?: Content;
  readonly answers: readonly Answer[];
  /** Codes of this operation, besides those that every operation of this caller has. */
  readonly refuses: readonly Code[];
  /** Also, or only, on the operators' own listener. */
  readonly listener?: 'operators' | 'both';
}

export const TAGS = {
  uploads:
    'Bytes and signed roles of vendors. Every request is signed by one of the API keys that the signed targets list for the vendor.',
  operators: 'Signed files of the operators. They count by their signatures, whoever brings them.',
  reviews: 'What waits for reviewers, and their signed decisions.',
  tree: 'What is published: files, for everybody. Nothing of it is believed before a TUF client verified it.',
  service: 'What the service says of itself. It proves nothing.',
} as const;
export type Tag = keyof typeof TAGS;
