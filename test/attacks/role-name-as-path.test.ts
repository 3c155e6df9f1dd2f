// The name of a role as a path that leads out of the folder of metadata.

import { readdir } from 'node:fs/promises';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { initialised } from './client-support.ts';

t.test(
  'CVE-2021-41131, GHSA-r56q-vv3c-6g9c: the name of a role stays inside the folder',
  async (t) => {
    for (const name of ['../../../escaped', '/tmp/escaped', '..', 'a/../../b', 'x\u0000y']) {
      const subject = await initialised(t);
      const { sim } = subject;
      sim.delegate('targets', name, { paths: ['*'] });
      sim.addTarget(name, 'file', utf8('x'));
      sim.publish('targets');
      const before = await readdir(subject.folder);
      await subject.download('file');
      const after = (await readdir(subject.folder)).filter((found) => found !== 'targets');
      t.strictSame(after, before, JSON.stringify(name));
      for (const found of await readdir(subject.metadata))
        t.match(found, /^[A-Za-z0-9%._~-]+$/, 'one plain segment');
    }
  },
);
