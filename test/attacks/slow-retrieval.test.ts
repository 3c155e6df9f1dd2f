// Slow retrieval (python-tuf's tests and Uptane have it beside the attacks of TUF 1.5.2): a mirror
// that sends just enough to keep a host waiting keeps it from its updates. The limits are the real
// ones, some half a minute, so every case waits beside the others; how long it took is not judged.

import type { ServerResponse } from 'node:http';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

const CONTENT = 'update'.repeat(2000);
/** A length that neither a timestamp nor this target is too long for. */
const CLAIMED = CONTENT.length;

/** Far longer than a client waits. Bounded all the same: one that never leaves is told by its code. */
const DRIPS = 240;

/** One byte now and then, for as long as anybody listens. */
function drip(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': CLAIMED });
  let sent = 0;
  const timer = setInterval(() => {
    response.write(' ');
    if (++sent === DRIPS) response.destroy();
  }, 500);
  response.on('close', () => clearInterval(timer));
}

/** The head, a beginning, and nothing more. */
function stop(response: ServerResponse): void {
  response.writeHead(200, { 'content-length': CLAIMED });
  response.write(' ');
}

t.test('metadata and targets that drip, stop or never begin', async (t) => {
  const above = ['timestamp', 'snapshot', 'A'];
  const cases = Object.entries({ drip, stop, silence: () => {} }).flatMap(([how, lie]) => [
    { what: `timestamp: ${how}`, file: 'metadata/timestamp.json', learned: [], lie },
    { what: `target: ${how}`, file: 'targets/', learned: above, lie },
  ]);
  await Promise.all(
    cases.map(async ({ what, file, learned, lie }) => {
      const subject = await served(t);
      const { sim } = subject;
      sim.addTarget('A', 'file', utf8(CONTENT));
      sim.publish('A');
      const honest = subject.served.misbehave;
      let lies = 0;
      subject.served.misbehave = (_request, response, path) => {
        if (!path.startsWith(file)) return false;
        lies++;
        lie(response);
        return true;
      };
      await withstands(t, subject, { code: 'E_SLOW', learned, what });
      t.equal(lies, 1, `${what}: who is slow is not asked again`);
      subject.served.misbehave = honest;
      await recovers(t, subject, CONTENT);
    }),
  );
});
