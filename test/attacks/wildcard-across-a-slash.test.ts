// A path pattern that reaches further than it says, across `/`.

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { initialised, refused } from './client-support.ts';

t.test('sigstore-rust #174: * and ? do not cross a slash', async (t) => {
  const subject = await initialised(t);
  const { sim } = subject;
  sim.delegate('targets', 'A', { paths: ['a/*', 'b?c'] });
  for (const path of ['a/x', 'a/x/y', 'b/c', 'bxc']) sim.addTarget('A', path, utf8(path));
  sim.publish('targets');
  await refused(t, subject, 'a/x/y');
  await refused(t, subject, 'b/c');
  t.equal(await subject.download(['a/x', 'bxc']), 0);
});
