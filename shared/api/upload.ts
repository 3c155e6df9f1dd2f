/**
 * The upload API, version 1: what goes over the wire between a vendor or an operator and the
 * service. Nothing here is trusted for what it says: a submission counts by the signatures in the
 * metadata that it carries.
 *
 *     HEAD  blobs/<sha256>      200 Upload-Offset, Upload-Length | 404
 *     PATCH blobs/<sha256>      Upload-Offset, Upload-Length (total); 204 Upload-Offset
 *     POST  blobs               many small blobs at once (blob-batch.ts); 200 a BatchReply
 *     POST  submissions         202 a SubmissionReply
 *     GET   submissions/<id>    200 a SubmissionReply; ?wait=SECONDS waits for the end, or for reviewers
 *     POST  operator/files      202 a SubmissionReply
 *
 * Errors are an ErrorReply, with the HTTP status of the code.
 */

import * as z from 'zod';
import { fromBase64 } from '../bytes.ts';
import { CODES, type Code, IronError } from '../errors.ts';
import { parseJson } from '../json/read.ts';
import { BIN_LIMITS, NESTED_LIMITS, SERVER_LIMITS } from '../limits.ts';

/** The type of an upload's body, as the resumable uploads of others have it. */
export const UPLOAD_TYPE = 'application/offset+octet-stream';
/** Header fields of an upload: where these bytes begin, and how many there are in all. */
export const UPLOAD_OFFSET = 'upload-offset';
export const UPLOAD_LENGTH = 'upload-length';
/** Most seconds that one GET of a submission waits. */
export const LONGEST_WAIT = 60;

export const SUBMISSION_SCHEMA = 'ironport.submission/v1';
export const OPERATOR_FILES_SCHEMA = 'ironport.operator-files/v1';

const base64 = z.string().max(SERVER_LIMITS.body);

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** A signed role file that was uploaded as a blob. */
const uploadedRole = z.strictObject({ role: z.string().min(1).max(100), sha256 });
export type UploadedRole = z.infer<typeof uploadedRole>;

/**
 * Signed role files of a vendor: its own, and its bins or roles nested in it, which were uploaded
 * like blobs. They become visible together. All blobs that they list were uploaded before.
 */
export const submissionRequest = z
  .strictObject({
    schema: z.literal(SUBMISSION_SCHEMA),
    role: z.string().min(1).max(100),
    metadata: base64.optional(),
    bins: z
      .array(uploadedRole)
      .min(1)
      .max(2 ** BIN_LIMITS.bits)
      .optional(),
    nested: z.array(uploadedRole).min(1).max(NESTED_LIMITS.roles).optional(),
  })
  .refine((body) => [body.metadata, body.bins, body.nested].some((part) => part !== undefined), {
    error: 'neither metadata, bins nor nested roles',
  });

/** Blobs of a batch that are here now. */
export const batchReply = z.object({ received: z.number().int(), bytes: z.number().int() });
export type BatchReply = z.infer<typeof batchReply>;

/** Signed root or targets files, in any order. */
export const operatorFilesRequest = z.strictObject({
  schema: z.literal(OPERATOR_FILES_SCHEMA),
  files: z.array(base64).min(1).max(SERVER_LIMITS.operatorFiles),
});

const code = z.enum(Object.keys(CODES) as [Code, ...Code[]]);

/** What one check of intake found. */
export const verdict = z.object({
  check: z.string(),
  ok: z.boolean(),
  detail: z.string(),
  /** Only where `ok` is false. */
  code: code.optional(),
});
export type Verdict = z.infer<typeof verdict>;

export const errorBody = z.object({
  code,
  message: z.string(),
  why: z.string().nullable(),
  hint: z.string().nullable(),
  context: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});
export type ErrorBody = z.infer<typeof errorBody>;

/** Every answer that is no success. */
export const errorReply = z.object({ ok: z.literal(false), error: errorBody });

export const submissionState = z.enum(['queued', 'in-review', 'published', 'refused']);

/** How far reviewers have come. */
export const reviewState = z.object({
  /** Why it waits for them, in words. */
  reasons: z.array(z.string()),
  since: z.string(),
  /** Refused when they have not agreed by then. */
  until: z.string(),
  approved_by: z.number().int(),
  /** How many must agree; null while the targets name no reviewers. */
  needed: z.number().int().nullable(),
});
export type ReviewState = z.infer<typeof reviewState>;

export const submissionReply = z.object({
  id: z.string(),
  state: submissionState,
  /** The vendor's role, or `root`, `targets` or both for an operator's files. */
  role: z.string(),
  /** The version that was submitted; of operator's files the highest of the first named role. */
  version: z.number().int(),
  verdicts: z.array(verdict),
  error: errorBody.optional(),
  /** Only of one that reviewers had, or have, to look at. */
  review: reviewState.optional(),
  /** Versions that the repository has since this was published. */
  published: z.object({ snapshot: z.number().int(), timestamp: z.number().int() }).optional(),
  /** Only of what is no submission: what the operators' scanner said later of what is published. */
  rescan: z.literal(true).optional(),
});
export type SubmissionReply = z.infer<typeof submissionReply>;
export type SubmissionState = SubmissionReply['state'];

/** A body of the API, through the strict reader and then its schema. `E_JSON`, `E_SCHEMA`. */
export function parseBody<T>(
  schema: z.ZodType<T>,
  bytes: Uint8Array,
  length: number = SERVER_LIMITS.body,
): T {
  const tree = parseJson(bytes, { length, depth: 8 });
  const result = schema.safeParse(tree);
  if (result.success) return result.data;
  const [first] = result.error.issues;
  const at = first?.path.join('.') ?? '';
  throw new IronError('E_SCHEMA', `the body is not of the documented form at ${at || 'its top'}`, {
    why: first?.message ?? 'it has another shape',
    hint: 'nothing was changed; compare the body with version 1 of the upload API',
    context: { at },
  });
}

/** The bytes of a signed file in a body. */
export function decodeFile(text: string): Uint8Array {
  return fromBase64(text);
}

export function errorBodyOf(error: IronError): ErrorBody {
  const { code, message, why = null, hint = null, context } = error;
  return { code, message, why, hint, context };
}

/** The other way, on the caller's side: the service's error as one of ours. */
export function errorFromBody(body: ErrorBody): IronError {
  const { why, hint, context } = body;
  return new IronError(body.code, body.message, {
    ...(why === null ? {} : { why }),
    ...(hint === null ? {} : { hint }),
    context,
  });
}
