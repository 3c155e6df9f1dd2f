// A signature that is too short or too long, which some libraries take or fall over.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { made } from './client-support.ts';

t.test('go-tuf #739: a signature of another length verifies nothing', async (t) => {
  for (const cut of [0, 62, 66]) {
    const subject = await made(t);
    const file = JSON.parse(new TextDecoder().decode(subject.sim.fileOf('timestamp')));
    file.signatures[0].sig = file.signatures[0].sig.padEnd(200, '0').slice(0, cut);
    subject.sim.overrides.set('metadata/timestamp.json', utf8(JSON.stringify(file)));
    t.equal(await subject.refresh(), 1, `${cut} digits`);
  }
});
