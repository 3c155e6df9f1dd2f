/**
 * Submissions that wait for reviewers, as they go over the wire. What waits is embargoed: only the
 * owner of the machine is shown it. A decision carries its own authority, whoever brings it.
 *
 *     GET  operator/reviews                      a ReviewList; the owner's token
 *     GET  operator/reviews/<id>                 a ReviewReply; the owner's token
 *     GET  operator/reviews/<id>/files/<sha256>  the bytes; the owner's token
 *     POST operator/reviews/<id>                 a reviewer's signed statement; 200 a DecisionReply
 */

import * as z from 'zod';
import { REVIEW_LIMITS } from '../limits.ts';
import { errorBody, reviewState, submissionState, verdict } from './upload.ts';

export const REVIEW_SCHEMA = 'ironport.review/v1';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** What a new artifact's ceiling asks for that the one before it did not. */
export const ceilingDifference = z.object({
  path: z.string(),
  /** Whose ceiling it was compared with; null for the first of a product. */
  against: z.string().nullable(),
  changes: z.array(z.object({ effect: z.enum(['wider', 'narrower', 'other']), text: z.string() })),
});
export type CeilingDifference = z.infer<typeof ceilingDifference>;

/** A role file, or a target that is new. */
export const reviewedFile = z.object({
  path: z.string(),
  sha256,
  length: z.number().int().min(0),
});
export type ReviewedFile = z.infer<typeof reviewedFile>;

const statement = z.object({
  keyid: sha256,
  result: z.enum(['approved', 'rejected']),
  comment: z.string().nullable(),
  at: z.string(),
  /** The DSSE envelope. */
  envelope: z.string(),
});

const summary = z.object({
  id: z.string(),
  vendor: z.string(),
  role: z.string(),
  version: z.number().int(),
  state: submissionState,
  ...reviewState.shape,
});

export const reviewList = z.object({
  /** What the owner said is to wait. */
  require: z.string(),
  reviews: z.array(summary),
});
export type ReviewList = z.infer<typeof reviewList>;
export type ReviewSummary = z.infer<typeof summary>;

export const reviewReply = z.object({
  schema: z.literal(REVIEW_SCHEMA),
  ...summary.shape,
  ceilings: z.array(ceilingDifference),
  files: z.array(reviewedFile).max(REVIEW_LIMITS.files),
  verdicts: z.array(verdict),
  statements: z.array(statement),
  error: errorBody.nullable(),
});
export type ReviewReply = z.infer<typeof reviewReply>;

/** What became of the submission by a decision. */
export const decisionReply = z.object({
  id: z.string(),
  state: submissionState,
  approved_by: z.number().int(),
  needed: z.number().int().nullable(),
  error: errorBody.nullable(),
});
export type DecisionReply = z.infer<typeof decisionReply>;
