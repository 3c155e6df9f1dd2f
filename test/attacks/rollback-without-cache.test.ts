// Rollback of a role whose cached file was taken away, and with it, one would hope, its floor.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { made, refused } from './client-support.ts';

t.test(
  'CVE-2022-29173, CVE-2025-2887, CVE-2025-2888: no role goes back, cached or not',
  async (t) => {
    for (const role of ['timestamp', 'snapshot', 'targets', 'A']) {
      const subject = await made(t);
      const { sim } = subject;
      for (let i = 0; i < 3; i++) sim.publish('targets', 'A');
      t.equal(await subject.download('file'), 0);
      subject.forgetTargets();
      const draft = role === 'timestamp' || role === 'snapshot' ? sim[role] : sim.role(role);
      draft.version -= 2;
      if (role === 'targets' || role === 'A') sim.publish();
      else if (role === 'snapshot') sim.publishTimestamp();
      rmSync(join(subject.metadata, `${role}.json`));
      await refused(t, subject, 'file', role);
    }
  },
);
