/** Reads the history of a tree in a thread whose memory is bounded; answers how much it was told. */

import { parentPort, workerData } from 'node:worker_threads';
import { readHistory } from '../../server/retention/history.ts';
import { roleFiles } from '../../server/storage/blobs.ts';

const { folder, current } = workerData as { folder: string; current: number };
const files = await roleFiles(folder);
const { promises } = await readHistory(folder, files, current);
parentPort?.postMessage({ files: files.length, until: promises.of('acme', 1).until });
