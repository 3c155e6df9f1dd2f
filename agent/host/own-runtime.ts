/** The Node that runs this agent, as a runtime for the agent's own confined programs. */

import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { JITLESS } from './jitless.ts';
import type { Runtime } from './launch.ts';

/** Node ends at its start when it finds one of these and may not open it. */
const INSISTED_ON = ['/package.json', '/etc/ssl/openssl.cnf', '/usr/lib/ssl/openssl.cnf'];

export interface OwnRuntime extends Runtime {
  close(): void;
}

/** Opens it, its loader and its libraries. They are what runs already: nothing names digests. */
export function openOwnRuntime(): OwnRuntime {
  // What is mapped into this process is what it needs (proc_pid_maps(5)); add-ons end otherwise.
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\/\S+\.so(\.\S+)?$/gm) ?? [];
  const paths = [...new Set([...mapped, ...INSISTED_ON])].filter((path) => existsSync(path));
  const opened: number[] = [];
  const close = (): void => {
    for (const fd of opened.splice(0)) closeSync(fd);
  };
  const open = (path: string): number => {
    const fd = openSync(path, 'r');
    opened.push(fd);
    return fd;
  };
  try {
    return {
      fd: open(process.execPath),
      // Without a compiler: it makes no code, and needs less memory.
      arguments: [...JITLESS, '--preserve-symlinks-main'],
      files: paths.map(open),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
