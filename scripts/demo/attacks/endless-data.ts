import type { ServerResponse } from 'node:http';
import { tree } from '../../../shared/layout.ts';
import { METADATA_LIMITS } from '../../../shared/limits.ts';
import type { Attack } from './attack.ts';
import { attackClient } from './victim.ts';

const BOUND = 1 << 28;

/** TUF 1.5.2, endless data: a file that does not end. */
export const endlessData: Attack = {
  name: 'endless-data',
  summary: 'a mirror answers with a file that does not end, to fill memory or disk',
  async run(scene, say) {
    let sent = 0;
    const endless = (response: ServerResponse): void => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const chunk = new Uint8Array(16_384).fill(0x20);
      const more = (): void => {
        // Bounded all the same: if nobody stops reading, the attack has succeeded and is over.
        while (sent < BOUND && !response.destroyed) {
          sent += chunk.length;
          if (!response.write(chunk)) return;
        }
        response.end();
      };
      response.on('drain', more);
      more();
    };
    const refusal = await attackClient(scene, new Map([[tree.timestamp, endless]]), {
      expected: 'E_TOO_LARGE',
    });
    say(
      `the client read at most ${METADATA_LIMITS.timestamp} bytes; ${sent} had been pushed into the socket when it hung up`,
    );
    if (sent >= BOUND) throw new Error('the client never hung up');
    return [refusal];
  },
};
