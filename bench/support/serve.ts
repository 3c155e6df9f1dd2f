/** A folder behind a plain web server in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Server {
  /** With `/` at its end. */
  readonly url: string;
  stop(): Promise<void>;
}

const SERVER = fileURLToPath(new URL('./static-server.mjs', import.meta.url));

export async function serveFolder(folder: string): Promise<Server> {
  const child: ChildProcess = spawn(process.execPath, [SERVER, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (child.stdout === null) throw new Error('the server has no output');
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return {
    url: `http://127.0.0.1:${String(port).trim()}/`,
    stop: async () => {
      const ended = once(child, 'close');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
