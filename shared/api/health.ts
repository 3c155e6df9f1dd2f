/**
 * What the service says of itself to monitors:
 *
 *     GET healthz    200 or 503, a HealthReply: whether hosts accept what is served
 *     GET readyz     200 or 503, a ReadyReply: whether the service can do its work
 */

import * as z from 'zod';

export const healthReply = z.object({
  ok: z.boolean(),
  /** In words; null when nothing is wrong. */
  problem: z.string().nullable(),
  /** The top-level roles that are served; none while nothing is published or it does not verify. */
  roles: z.record(z.string(), z.object({ version: z.number().int(), expires: z.string() })),
});
export type HealthReply = z.infer<typeof healthReply>;

export const readyReply = z.object({
  ok: z.boolean(),
  /** What is in the way, most important first; none when it is ready. */
  problems: z.array(z.string()),
});
export type ReadyReply = z.infer<typeof readyReply>;
