/**
 * One boot of the machine, from the side of the host: starts it, says which cases to run, gives the
 * monitor's answers, takes down what comes back. What does not come back failed.
 */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CaseRun, FromGuest } from '../../test/lab/cases/protocol.ts';
import { type MachineParts, sockets, startMachine } from './qemu.ts';

export interface CaseResult {
  readonly name: string;
  /** Exit status of the case's process; null when it never came back. */
  readonly status: number | null;
  readonly seconds: number;
  /** Of them, what the machine had of the processors: the same on one that has much else to do. */
  readonly busySeconds: number;
  readonly output: string;
}

export interface Session {
  readonly results: readonly CaseResult[];
  /** The last lines of the console, for when something went wrong. */
  readonly console: string;
}

export interface SessionOptions {
  readonly parts: Omit<MachineParts, 'run' | 'interactive'>;
  readonly cases: readonly CaseRun[];
  /** Ends the machine when nothing was heard of it for so long. */
  readonly silenceSeconds: number;
  readonly onResult: (result: CaseResult) => void;
  /** Where the machine's console is shown, as it is; nowhere when left out. */
  readonly show?: ((line: string) => void) | undefined;
}

const CONSOLE_LINES = 200;
/** A second of processor time, as Linux tells it to every program. */
const TICKS = 100;

export async function runSession(options: SessionOptions): Promise<Session> {
  const run = mkdtempSync(join(tmpdir(), 'ironport-lab-'));
  const machine = startMachine({ ...options.parts, run, interactive: false });
  const results: CaseResult[] = [];
  let busyBefore = 0;
  const sinceLast = (): number => {
    const now = busyOf(machine.pid) ?? busyBefore;
    const since = now - busyBefore;
    busyBefore = now;
    return since;
  };
  const lines: string[] = [];
  const keep = (line: string): void => {
    lines.push(line);
    if (lines.length > CONSOLE_LINES) lines.shift();
    options.show?.(line);
  };
  for (const stream of [machine.stdout, machine.stderr])
    if (stream !== null) createInterface({ input: stream }).on('line', keep);
  let silence: NodeJS.Timeout | undefined;
  const heard = (): void => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      keep(`lab: nothing was heard for ${options.silenceSeconds} s; the machine is ended`);
      machine.kill('SIGKILL');
    }, options.silenceSeconds * 1000);
  };
  const ended = new Promise<void>((resolve) => machine.once('close', () => resolve()));
  // Whatever ends us ends the machine too.
  const end = (): void => void machine.kill('SIGKILL');
  process.once('exit', end);
  heard();
  try {
    const qmp = await connect(join(run, sockets.qmp), machine);
    const monitor = new Monitor(qmp);
    const lab = await connect(join(run, sockets.lab), machine);
    linesOf(lab, (line) => {
      heard();
      const message = JSON.parse(line) as FromGuest;
      switch (message.kind) {
        case 'ready':
          sinceLast();
          lab.write(`${JSON.stringify({ kind: 'run', cases: options.cases })}\n`);
          break;
        case 'monitor':
          void monitor.ask(message.command).then((answer) => {
            lab.write(`${JSON.stringify({ kind: 'answer', answer })}\n`);
          });
          break;
        case 'result': {
          const { name, status, seconds, output } = message;
          const result = { name, status, seconds, busySeconds: sinceLast(), output };
          results.push(result);
          options.onResult(result);
          break;
        }
        case 'cut': {
          // As if somebody pulled the plug: nothing that is in memory is written any more.
          machine.kill('SIGKILL');
          const busySeconds = sinceLast();
          const result = { name: message.name, status: 0, seconds: 0, busySeconds, output: '' };
          results.push(result);
          options.onResult(result);
          break;
        }
      }
    });
    await ended;
  } finally {
    clearTimeout(silence);
    process.removeListener('exit', end);
    machine.kill('SIGKILL');
    await ended;
    rmSync(run, { recursive: true, force: true });
  }
  // The console is the only witness of what became of the first one; the others never began.
  let witness = lines.slice(-40).join('\n');
  for (const { name } of options.cases) {
    if (results.some((one) => one.name === name)) continue;
    const result = { name, status: null, seconds: 0, busySeconds: 0, output: witness };
    witness = '';
    results.push(result);
    options.onResult(result);
  }
  return { results, console: lines.join('\n') };
}

/** Seconds of processor that a process has had; undefined when it is gone. */
function busyOf(pid: number | undefined): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc_pid_stat(5): utime and stime, the 14th and 15th, in ticks; what is in brackets may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS;
  } catch {
    return undefined;
  }
}

/** QEMU makes its sockets a moment after it starts. */
async function connect(path: string, machine: { exitCode: number | null }): Promise<Socket> {
  for (;;) {
    const socket = await new Promise<Socket | undefined>((resolve) => {
      const attempt = createConnection(path);
      attempt.once('connect', () => resolve(attempt));
      attempt.once('error', () => resolve(undefined));
    });
    if (socket !== undefined) {
      socket.on('error', () => {});
      return socket;
    }
    if (machine.exitCode !== null) throw new Error(`the machine ended with ${machine.exitCode}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A machine that is ended breaks its connections off, and that is no error. */
function linesOf(socket: Socket, onLine: (line: string) => void): void {
  createInterface({ input: socket })
    .on('line', onLine)
    .on('error', () => {});
}

/** QEMU's human monitor, through QMP (docs/interop/qmp-spec.rst): one command at a time. */
class Monitor {
  readonly #socket: Socket;
  readonly #waiting: ((answer: string) => void)[] = [];

  constructor(socket: Socket) {
    this.#socket = socket;
    linesOf(socket, (line) => {
      const message = JSON.parse(line);
      if ('return' in message || 'error' in message)
        this.#waiting.shift()?.(
          typeof message.return === 'string' ? message.return : JSON.stringify(message.error ?? ''),
        );
    });
    void this.#send({ execute: 'qmp_capabilities' });
  }

  ask(command: string): Promise<string> {
    return this.#send({
      execute: 'human-monitor-command',
      arguments: { 'command-line': command },
    });
  }

  #send(message: unknown): Promise<string> {
    this.#socket.write(`${JSON.stringify(message)}\n`);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
