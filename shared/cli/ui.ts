/**
 * The rules of the terminal, all of them kept in this folder and nowhere else:
 *
 * - stdout carries the result and nothing else; everything said on the way goes to stderr.
 * - Messages begin in lower case and end without a full stop.
 * - `--quiet` silences stages, notes and progress; warnings and errors stay.
 * - A bar is drawn only on a terminal that can redraw a line, and never under `--quiet`, `--json`
 *   or `CI`; elsewhere a finished stage is one line.
 * - Colour is decoration: it never carries meaning alone. `--no-color`, then `NO_COLOR`, then
 *   `FORCE_COLOR`, then `TERM=dumb`, then "is this a terminal" decide.
 * - What came from outside cannot steer the terminal: control characters and the marks that turn
 *   the direction of writing are shown as escapes.
 */

import type { Progress, Ui } from './command.ts';
import { formatBytes } from './table.ts';

/** As much of a stream as is used; `process.stdout` is one. */
export interface Output {
  write(text: string, done?: (error?: Error | null) => void): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface UiOptions {
  readonly stderr: Output;
  readonly quiet: boolean;
  readonly color: boolean;
  /** Whether a line may be redrawn. */
  readonly bars: boolean;
}

export type Env = Readonly<Record<string, string | undefined>>;

const CODE = { red: '31', yellow: '33', dim: '2', bold: '1' } as const;
export type Style = keyof typeof CODE;

/** `text` in a style, or as it is when colour is off. */
export function styled(text: string, style: Style, color: boolean): string {
  return color ? `\u001b[${CODE[style]}m${text}\u001b[0m` : text;
}

export function wantsColor(stream: Output, env: Env, noColor: boolean): boolean {
  if (noColor || (env.NO_COLOR ?? '') !== '') return false;
  const force = env.FORCE_COLOR;
  if (force !== undefined) return force !== '0' && force !== 'false';
  return stream.isTTY === true && env.TERM !== 'dumb';
}

export function wantsBars(stream: Output, env: Env, silent: boolean): boolean {
  const ci = env.CI ?? '';
  return stream.isTTY === true && !silent && env.TERM !== 'dumb' && (ci === '' || ci === 'false');
}

/** C0 but tab and line feed, DEL, C1, and the Unicode marks that reorder or hide text. */
const UNPRINTABLE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is shown as escapes
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** `text` with everything that could steer a terminal written as `\u001b`. */
export function printable(text: string): string {
  return text.replace(
    UNPRINTABLE,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** One line of it. */
export function printableLine(text: string): string {
  return printable(text).replace(/\n/g, '\\n');
}

/** Ends a bar that an error cut short, so that the error begins on a line of its own. */
export interface TerminalUi extends Ui {
  close(): void;
}

export function createUi(options: UiOptions): TerminalUi {
  const { stderr, quiet, color, bars } = options;
  /** The bar on the screen now, if any; owned by the newest `progress` call. */
  let bar: string | undefined;

  const clear = (): void => {
    if (bar !== undefined) stderr.write('\r\u001b[2K');
  };
  const draw = (line: string | undefined): void => {
    clear();
    bar = line;
    if (bar !== undefined) stderr.write(bar);
  };
  const say = (line: string): void => {
    clear();
    stderr.write(`${line}\n`);
    if (bar !== undefined) stderr.write(bar);
  };

  return {
    stage(text) {
      if (!quiet) say(printable(text));
    },
    note(text) {
      if (!quiet) say(`${styled('note:', 'dim', color)} ${printable(text)}`);
    },
    line(text) {
      say(text);
    },
    warn(text) {
      say(`${styled('warning:', 'yellow', color)} ${printable(text)}`);
    },
    progress(label, total) {
      if (quiet) return { advance() {}, done() {} };
      return watch(printableLine(label), total, {
        say,
        draw: bars ? draw : undefined,
        width: stderr.columns ?? 80,
      });
    },
    close() {
      draw(undefined);
    },
  };
}

interface Canvas {
  say(line: string): void;
  readonly draw: ((line: string | undefined) => void) | undefined;
  readonly width: number;
}

const REDRAW_MS = 100;

function watch(label: string, total: number | undefined, canvas: Canvas): Progress {
  const began = performance.now();
  let drawn = Number.NEGATIVE_INFINITY;
  let bytes = 0;
  let over = false;
  return {
    advance(more) {
      bytes += more;
      const now = performance.now();
      if (canvas.draw === undefined || over || now - drawn < REDRAW_MS) return;
      drawn = now;
      canvas.draw(barLine(label, bytes, total, canvas.width));
    },
    done() {
      if (over) return;
      over = true;
      canvas.draw?.(undefined);
      const seconds = (performance.now() - began) / 1000;
      canvas.say(`${label}: ${formatBytes(bytes)} in ${seconds.toFixed(1)} s`);
    },
  };
}

function barLine(label: string, bytes: number, total: number | undefined, width: number): string {
  if (total === undefined || total <= 0)
    return `${label}: ${formatBytes(bytes)}`.slice(0, width - 1);
  const share = Math.min(1, bytes / total);
  const cells = 20;
  const full = Math.floor(share * cells);
  const percent = String(Math.floor(share * 100)).padStart(3);
  const picture = `[${'#'.repeat(full)}${'.'.repeat(cells - full)}]`;
  return `${label} ${picture} ${percent} % of ${formatBytes(total)}`.slice(0, width - 1);
}
