/** The servers that are compared, each one process on loopback, over the same tree. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../scripts/demo/support/port.ts';
import { data } from '../../shared/layout.ts';

export interface Running {
  readonly name: string;
  /** Without `/` at its end. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const REPO = fileOf('../../bin/ironport-repo.js');

/** What every contender is given. */
export interface Ground {
  /** A folder for what a server writes. */
  readonly scratch: string;
  /** The service's folder. */
  readonly repository: string;
  /** Paths in the tree that will be asked for. */
  readonly paths: readonly string[];
}

export type Contender = (ground: Ground) => Promise<Running>;

/** The service as it starts without options, and with all that operators can watch it by. */
export const service: Contender = async ({ repository }) => {
  const port = await freePort();
  return await up('ironport-repo', port, process.execPath, [REPO, `127.0.0.1:${port}`, repository]);
};

export const watched: Contender = async ({ repository }) => {
  const [port, metrics] = [await freePort(), await freePort()];
  const watching = ['--log-json', '--metrics', `127.0.0.1:${metrics}`];
  const args = [REPO, `127.0.0.1:${port}`, 'serve', repository, ...watching];
  return await up('ironport-repo with log and metrics', port, process.execPath, args);
};

export const staticServer: Contender = async ({ repository }) => {
  const port = await freePort();
  const args = [REPO, `127.0.0.1:${port}`, 'serve-static', repository];
  return await up('ironport-repo serve-static', port, process.execPath, args);
};

export const bare: Contender = async ({ repository, paths }) => {
  const args = [fileOf('./bare.mjs'), join(repository, data.tree), ...paths];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  return running('bare node:http', Number(String(port)), child);
};

/** One process, without a log, from files: nothing but what it takes to serve them. */
export const nginx: Contender = async ({ scratch, repository }) => {
  const port = await freePort();
  const folder = join(scratch, 'nginx');
  await mkdir(folder, { recursive: true });
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const config = `daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  keepalive_requests 100000000;
  sendfile on;
  types { application/json json; }
  server { listen 127.0.0.1:${port}; root ${join(repository, data.tree)}; }
}
`;
  await writeFile(join(folder, 'nginx.conf'), config);
  return await up('nginx', port, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
};

/** Starts a program that listens on `port`, and waits until it does. */
async function up(
  name: string,
  port: number,
  program: string,
  args: readonly string[],
): Promise<Running> {
  const child = spawn(program, args, { stdio: 'ignore' });
  const server = running(name, port, child);
  while (child.exitCode === null && child.signalCode === null) {
    const answers = await fetch(server.url).then(
      (answer) => answer.arrayBuffer().then(() => true),
      () => false,
    );
    if (answers) return server;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${name} ended as soon as it was started: ${program} ${args.join(' ')}`);
}

function running(name: string, port: number, child: ChildProcess): Running {
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  return { name, url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}
