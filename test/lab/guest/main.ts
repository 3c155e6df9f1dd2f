/** The guest's side: takes the list of cases, runs each in a process of its own, reports each. */

import { spawn } from 'node:child_process';
import { createReadStream, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { CaseRun, FromCase, FromGuest, FromHost } from '../cases/protocol.ts';

const OUTPUT_CAP = 64 * 1024;
const PUT_BACK_SECONDS = 300;
const SCRIPT = new URL('./case.js', import.meta.url).pathname;
const ENVIRONMENT = { ...process.env, NODE_COMPILE_CACHE: '/tmp/compile-cache' };

/** The port by its name: the order of devices is not promised. */
function openPort(): number {
  for (const name of readdirSync('/sys/class/virtio-ports')) {
    const label = readFileSync(`/sys/class/virtio-ports/${name}/name`, 'utf8').trim();
    if (label === 'lab') return openSync(`/dev/${name}`, 'r+');
  }
  throw new Error('there is no port to the host');
}

class Host {
  readonly #port = openPort();
  readonly #answers: ((answer: string) => void)[] = [];
  readonly #onRun: (cases: readonly CaseRun[]) => void;

  constructor(onRun: (cases: readonly CaseRun[]) => void) {
    this.#onRun = onRun;
    const input = createReadStream('', { fd: this.#port, autoClose: false });
    createInterface({ input }).on('line', (line) => this.#take(JSON.parse(line) as FromHost));
  }

  #take(message: FromHost): void {
    if (message.kind === 'run') this.#onRun(message.cases);
    else this.#answers.shift()?.(message.answer);
  }

  tell(message: FromGuest): void {
    const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#port, bytes, at);
  }

  ask(command: string): Promise<string> {
    this.tell({ kind: 'monitor', command });
    return new Promise((resolve) => this.#answers.push(resolve));
  }
}

/** One case in a process of its own, so that it can crash, leak or hang alone. */
function runCase(host: Host, { name, limitSeconds }: CaseRun): Promise<void> {
  const began = performance.now();
  const child = spawn(process.execPath, [SCRIPT, name], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: ENVIRONMENT,
  });
  let output = '';
  const take = (data: Buffer): void => {
    if (output.length < OUTPUT_CAP) output += data.toString('utf8');
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  child.on('message', async (message: FromCase) => {
    if (message.kind === 'cut') host.tell({ kind: 'cut', name });
    else child.send({ answer: await host.ask(message.command) });
  });
  const timer = setTimeout(() => {
    output += `\nended after ${limitSeconds} s\n`;
    child.kill('SIGKILL');
  }, limitSeconds * 1000);
  return new Promise((resolve) => {
    // Not `close`: a process that the case left behind must not keep the others waiting.
    child.on('exit', (code) => {
      clearTimeout(timer);
      const seconds = (performance.now() - began) / 1000;
      setImmediate(() => {
        host.tell({ kind: 'result', name, status: code ?? 255, seconds, output });
        if (code === 0) resolve();
        else putBack(resolve);
      });
    });
  });
}

/** When the process is gone, and with it what it held by itself. */
function putBack(then: () => void): void {
  const stdio = ['ignore', 'inherit', 'inherit'] as const;
  const child = spawn(process.execPath, [SCRIPT, '--put-back'], {
    ...{ stdio: [...stdio], env: ENVIRONMENT },
    timeout: PUT_BACK_SECONDS * 1000,
  });
  child.on('exit', then);
}

const host = new Host(async (cases) => {
  for (const one of cases) await runCase(host, one);
  // A read that waits for the host keeps a process from ending in any gentler way.
  process.kill(process.pid, 'SIGKILL');
});
host.tell({ kind: 'ready' });
