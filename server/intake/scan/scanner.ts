/**
 * The bytes of a submission before the operators' scanner. It looks at what passed every other check, and
 * at every file of it that is new: artifacts and what stands beside them. Bytes in quarantine change no
 * more, so what it looked at is what is published. When it cannot look, nothing is taken in.
 */

import { basename } from 'node:path';
import { IronError, isIronError } from '../../../shared/errors.ts';
import { SCANNER_LIMITS } from '../../../shared/limits.ts';
import type { Published } from '../../storage/published.ts';
import { loadScanner, type ScannerSetting } from '../../storage/scanner.ts';
import { type Judged, refusal, some } from '../check.ts';
import { type ExaminedRole, findBlob, type Shelves } from '../examine.ts';
import { runScanner, type Scanned } from './run.ts';
import { Turns } from './turns.ts';
import { type Files, inWords } from './words.ts';

export interface ScannerParts {
  readonly home: string;
  readonly shelves: Shelves;
  /** Told when the scanner could not do its work: that is for the operators to mend. */
  readonly onTrouble: (error: IronError) => void;
}

export class Scanner {
  readonly #parts: ScannerParts;
  readonly #stopped = new AbortController();
  readonly #turns = new Turns(SCANNER_LIMITS);

  constructor(parts: ScannerParts) {
    this.#parts = parts;
  }

  /**
   * The verdict; undefined when there is no scanner, or nothing for it to look at. `E_TRY_AGAIN` when it
   * could not look.
   */
  async scan(
    vendor: string,
    published: Published,
    roles: readonly ExaminedRole[],
  ): Promise<Judged | undefined> {
    const { home, onTrouble } = this.#parts;
    const setting = await loadScanner(home);
    if (setting === undefined || roles.every(({ fresh }) => fresh.length === 0)) return undefined;
    const files = await this.#filesOf(vendor, published, roles);
    const { signal } = this.#stopped;
    try {
      const scanned = await this.#turns.take(vendor, signal, () =>
        runScanner(setting, [...files.keys()], signal),
      );
      return verdictOf(setting, scanned, files, home);
    } catch (error) {
      if (!isIronError(error, 'E_IO', 'E_CANCELLED')) throw error;
      if (error.code === 'E_IO') onTrouble(error);
      throw new IronError('E_TRY_AGAIN', "the repository's scanner could not look at it", {
        why:
          error.code === 'E_IO'
            ? 'the program that the operators run over new bytes failed, or took too long'
            : 'the service is stopping',
        hint: 'nothing was changed; hand it in again later, and ask the operators if it goes on',
        cause: error,
      });
    }
  }

  /** Ends what runs. */
  stop(): void {
    this.#stopped.abort();
  }

  async #filesOf(
    vendor: string,
    published: Published,
    roles: readonly ExaminedRole[],
  ): Promise<Files> {
    const files = new Map<string, string[]>();
    for (const { fresh } of roles)
      for (const { path, sha256 } of fresh) {
        const place = await findBlob(this.#parts.shelves, published, vendor, sha256);
        if (place === undefined)
          throw new IronError('E_NOT_FOUND', `the bytes of ${path} are gone`, {
            hint: 'nothing was changed; upload them again',
          });
        const paths = files.get(place) ?? [];
        files.set(place, paths);
        paths.push(path);
      }
    return files;
  }
}

function verdictOf(
  { program }: ScannerSetting,
  { found, output }: Scanned,
  files: Files,
  home: string,
): Judged {
  const name = basename(program);
  if (!found) {
    const detail = `${name} found nothing in ${some(files.size, 'file')}`;
    return { verdict: { check: 'scan', ok: true, detail }, error: undefined };
  }
  const named = [...files].filter(([place]) => output.includes(place)).flatMap(([, all]) => all);
  const [first, ...others] = named;
  const what =
    first === undefined
      ? `one of ${some(files.size, 'file')}`
      : `${first}${others.length > 0 ? ` and ${some(others.length, 'other')}` : ''}`;
  const error = new IronError('E_POLICY', `the repository's scanner refuses ${what}`, {
    why: `${name} said: ${inWords(output, files, home) || 'nothing'}`,
    hint: 'nothing was changed; if it is wrong, ask the operators of the repository',
    context: { reason: 'scanner', path: first ?? null },
  });
  return { verdict: refusal('scan', error), error };
}
