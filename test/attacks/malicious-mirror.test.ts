// TUF 1.5.2, malicious mirrors preventing updates: one that answers with anything but the files
// makes a client fail, aloud and unchanged, and the next mirror serves it as if nothing had been.
// How a client goes from one mirror to another by itself is in test/client/mirrors-hostile.test.ts.

import type { ServerResponse } from 'node:http';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  'not found': (response) => response.writeHead(404).end(),
  forbidden: (response) => response.writeHead(403).end('no'),
  'no content': (response) => response.writeHead(204).end(),
  'an error of the server': (response) => response.writeHead(503).end('later'),
  'a page of a portal': (response) => response.writeHead(200).end('<html>log in</html>'),
  'nothing in a file': (response) => response.writeHead(200, { 'content-length': 0 }).end(),
  'round and round': (response) => response.writeHead(302, { location: '#' }).end(),
  'hung up': (response) => response.destroy(),
  'broken off': (response) => {
    response.writeHead(200, { 'content-length': 1000 });
    response.write('{"signed":', () => response.destroy());
  },
};

for (const [file, learned] of [
  ['metadata/timestamp.json', []],
  ['metadata/3.snapshot.json', ['timestamp']],
  ['targets/', ['timestamp', 'snapshot', 'targets', 'A']],
] as const) {
  t.test(`${file} is kept from a client`, async (t) => {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    const honest = subject.served.misbehave;
    for (const [what, lie] of Object.entries(ANSWERS)) {
      subject.served.misbehave = (_request, response, path) => {
        if (!path.startsWith(file)) return false;
        lie(response);
        return true;
      };
      await withstands(t, subject, { code: 'E_[A-Z_]+', learned, what });
    }
    subject.served.misbehave = honest;
    await recovers(t, subject, 'update');
  });
}
