/** Up to 200 kills of a service while three vendors publish. */

import t from 'tap';
import { killUnderLoad } from '../server/kill-load.ts';

t.setTimeout(480_000);

t.test('killed again and again', (t) => killUnderLoad(t, 200, 390));
