// Real processes on one store: several at once while the repository goes on, and killed ones.

import t from 'tap';
import { killRefreshers, refreshTogether } from '../client/store-processes.ts';

t.test('two processes, 40 refreshes each', (t) => refreshTogether(t, 2, 40));
t.test('eight processes, 10 refreshes each', (t) => refreshTogether(t, 8, 10));
t.test('forty are killed with -9 at random points', (t) => killRefreshers(t, 40));
