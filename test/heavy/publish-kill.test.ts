/**
 * A service that is killed while three vendors publish: up to 500 times, as many as there is time
 * for. `IRONPORT_KILLS=500` takes the time that it takes.
 */

import { env } from 'node:process';
import t from 'tap';
import { killUnderLoad } from '../server/kill-load.ts';

const asked = env.IRONPORT_KILLS;
const seconds = asked === undefined ? 390 : Number.POSITIVE_INFINITY;
t.setTimeout(asked === undefined ? 800_000 : 7_200_000);

t.test('killed again and again', (t) => killUnderLoad(t, Number(asked ?? 500), seconds));
