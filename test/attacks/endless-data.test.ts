// TUF 1.5.2, endless data: a file that does not end, to fill a host's memory or its disk.

import type { ServerResponse } from 'node:http';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { recovers, served, withstands } from './client-support.ts';

/** Far above every cap. Bounded all the same: a client that reads it all has lost, and is told. */
const BOUND = 1 << 28;

/** Sends until somebody hangs up; says how the sending ended. */
function flood(response: ServerResponse, ended: (hungUp: boolean) => void): void {
  const piece = new Uint8Array(65_536).fill(0x20);
  let sent = 0;
  const more = (): void => {
    while (sent < BOUND && !response.destroyed) {
      sent += piece.length;
      if (!response.write(piece)) return;
    }
    response.end();
  };
  response.on('drain', more);
  response.on('close', () => ended(sent < BOUND));
  more();
}

t.test('a file of each role, and a target, that does not end', async (t) => {
  for (const [file, code, learned] of [
    ['metadata/2.root.json', 'E_TOO_LARGE', []],
    ['metadata/timestamp.json', 'E_TOO_LARGE', []],
    ['metadata/3.snapshot.json', 'E_TOO_LARGE', ['timestamp']],
    ['metadata/3.targets.json', 'E_TOO_LARGE', ['timestamp', 'snapshot']],
    ['metadata/2.A.json', 'E_TOO_LARGE', ['timestamp', 'snapshot', 'targets']],
    ['targets/', 'E_LENGTH', ['timestamp', 'snapshot', 'targets', 'A']],
  ] as const) {
    const subject = await served(t);
    const { sim } = subject;
    sim.addTarget('A', 'file', utf8('update'));
    sim.publish('targets', 'A');
    const honest = subject.served.misbehave;
    let closed: Promise<boolean> | undefined;
    subject.served.misbehave = (_request, response, path) => {
      if (!path.startsWith(file)) return false;
      closed = new Promise((resolve) => flood(response, resolve));
      return true;
    };
    await withstands(t, subject, { code, learned, what: file });
    t.equal(await closed, true, `${file}: the client hung up`);
    subject.served.misbehave = honest;
    await recovers(t, subject, 'update');
  }
});
