/** The machine's clock, for shells to pass in. */

import type { Clock } from '../time.ts';

export const systemClock: Clock = () => Math.floor(Date.now() / 1000);
