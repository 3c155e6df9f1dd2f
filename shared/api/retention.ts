/** What the owner of the machine asks the service to collect, and what it answers. */

import * as z from 'zod';

export const collectRequest = z.strictObject({ dry_run: z.boolean() });

export const candidate = z.object({
  path: z.string(),
  sha256: z.string(),
  length: z.number().int(),
  /** Expiry of the last snapshot that listed it. */
  listed_until: z.string(),
  /** When its bytes may go. */
  due: z.string(),
});

export const collectReply = z.object({
  dry_run: z.boolean(),
  /** Seconds. */
  window: z.number().int(),
  grace: z.number().int(),
  collected: z.array(candidate),
  bytes: z.number().int(),
  /** Due, and for the next run. */
  left: z.number().int(),
  held: z.array(candidate),
  /** Not due yet. */
  waiting: z.number().int(),
  /** When the next of them is. */
  next: z.string().nullable(),
});
export type CollectReply = z.infer<typeof collectReply>;
