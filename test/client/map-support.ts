/** A host with a map (TAP 4) of repositories that are served. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { type Served, serve } from '../support/serve.ts';
import type { Simulator } from '../support/simulator.ts';

/** Two of `sims` must agree, for all artifacts of the vendor `acme`, unless `change` says otherwise. */
export async function mapOf(t: Test, sims: Readonly<Record<string, Simulator>>, change: object) {
  const folder = t.testdir({ store: {}, roots: {} });
  const place = (...names: string[]): string => join(folder, ...names);
  const served = new Map<string, Served>();
  for (const [name, sim] of Object.entries(sims)) {
    const one = await serve(sim);
    served.set(name, one);
    t.teardown(() => one.close());
    await writeFile(place('roots', `${name}.json`), sim.roots.get(1) as Uint8Array);
  }
  const map = {
    repositories: Object.fromEntries([...served].map(([name, { url }]) => [name, [url]])),
    mapping: [
      {
        paths: ['acme/*/*/*'],
        repositories: Object.keys(sims),
        threshold: 2,
        terminating: true,
        ...change,
      },
    ],
  };
  await writeFile(place('map.json'), JSON.stringify(map));
  return { folder, map, place, served };
}
