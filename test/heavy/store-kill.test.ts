// kill -9 at 500 random points of processes that do nothing but write into one store.

import t from 'tap';
import { killRefreshers, refreshTogether } from '../client/store-processes.ts';

t.setTimeout(1_200_000);

t.test('500 are killed with -9 at random points', (t) => killRefreshers(t, 500));
t.test('eight processes, 100 refreshes each', (t) => refreshTogether(t, 8, 100));
