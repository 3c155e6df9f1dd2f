/** One shell for a whole page, so that what a line exports or leaves running is there for the next. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Done } from './guide.ts';

export interface ShellOptions {
  /** The shell's program, and what makes it read nothing of its user's. */
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

export class Shell {
  readonly #child: ChildProcess;
  #printed = '';

  constructor({ command: [program, ...argv], folder, env }: ShellOptions) {
    // A group of its own, so that what it leaves running ends with it.
    this.#child = spawn(program, argv, { cwd: folder, env, detached: true });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed += text;
      });
  }

  async type(line: string): Promise<Done> {
    this.#printed = '';
    const mark = `--- ${Math.random()} ---`;
    this.#child.stdin?.write(`{ ${line}\n} </dev/null 2>&1\necho "${mark} $?"\n`);
    for (;;) {
      const at = this.#printed.indexOf(mark);
      const end = this.#printed.indexOf('\n', at);
      if (at >= 0 && end >= 0) {
        const exit = Number(this.#printed.slice(at + mark.length, end));
        // What a line leaves running may print before the mark, and goes on after it.
        this.#printed = this.#printed.slice(0, at) + this.#printed.slice(end + 1);
        return { exit, printed: this.#printed };
      }
      if (this.#child.exitCode !== null) throw new Error(`the shell ended at: ${line}`);
      await sleep(20);
    }
  }

  /** What has come since the last line was typed. */
  get printed(): string {
    return this.#printed;
  }

  /** Waits until what the last line left running has printed what `isSo` asks for. */
  async until(isSo: (printed: string) => boolean): Promise<Done> {
    while (!isSo(this.#printed)) await sleep(20);
    return { exit: 0, printed: this.#printed };
  }

  async close(): Promise<void> {
    await this.type('[ -z "$SSH_AGENT_PID" ] || kill $SSH_AGENT_PID; kill $(jobs -p); wait');
    this.#child.stdin?.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
  }
}
