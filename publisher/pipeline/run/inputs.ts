/** What the commands of the pipeline read, and the checks that belong to reading. */

import { basename, resolve } from 'node:path';
import { toHex } from '../../../shared/bytes.ts';
import type { CommandContext, OptionSpec } from '../../../shared/cli/command.ts';
import { IronError } from '../../../shared/errors.ts';
import { SIDECARS } from '../../../shared/layout.ts';
import { PIPELINE_LIMITS } from '../../../shared/limits.ts';
import { platformCrypto as crypto } from '../../../shared/node/crypto.ts';
import { readFileCapped } from '../../../shared/node/files.ts';
import type { Instant } from '../../../shared/time.ts';
import { kindOf } from '../apply/kind.ts';
import { givenLabel } from '../pattern/label.ts';
import { readMacros } from '../resources/constants.ts';
import { bytesToText } from '../source.ts';
import { auditFile } from './places.ts';

export const HEADER_OPTION: OptionSpec = {
  flags: '--header <file>',
  description: 'a header whose #define lines tell ids and sizes (include/linux/pci_ids.h)',
  repeatable: true,
};
export const CEILING_OPTION: OptionSpec = {
  flags: '--ceiling-out <file>',
  description: 'write a first draft of a resource ceiling from what the source shows',
};
export const AUDIT_OPTION: OptionSpec = {
  flags: '--audit <file>',
  description: 'the audit file; below the state folder when absent',
  env: 'IRONPORT_AUDIT',
};

/** A file that was read whole. */
export interface ReadFile {
  readonly path: string;
  /** Its last part. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly sha256: string;
}

export async function readWhole(path: string, cap: number): Promise<ReadFile> {
  const bytes = await readFileCapped(path, cap);
  return { path, name: basename(path), bytes, sha256: toHex(crypto.sha256(bytes)) };
}

export function readPatternFile(path: string): Promise<ReadFile> {
  return readWhole(path, PIPELINE_LIMITS.pattern);
}

/** A C source, as text with a character for each byte. `E_USAGE` for files that are none. */
export async function readCSource(path: string): Promise<ReadFile & { readonly text: string }> {
  if (kindOf(path) !== 'c') {
    throw new IronError('E_USAGE', `${path} is not a C source by its name`, {
      hint: 'nothing was written; this command reads .c and .h',
    });
  }
  const file = await readWhole(path, PIPELINE_LIMITS.source);
  return { ...file, text: bytesToText(file.bytes) };
}

/** The kernel and the family that a command was given; undefined where it was not. `E_USAGE`. */
export function givenLabels(context: CommandContext): {
  readonly linuxVersion: string | undefined;
  readonly driverFamily: string | undefined;
} {
  const label = (option: string): string | undefined => {
    const text = context.text(option);
    return text === undefined ? undefined : givenLabel(`--${option}`, text);
  };
  return { linuxVersion: label('linux-version'), driverFamily: label('driver-family') };
}

/** The macros of the headers given with `--header`; a later one wins. */
export async function readHeaders(context: CommandContext): Promise<Map<string, string>> {
  const macros = new Map<string, string>();
  for (const path of context.list('header')) {
    const { bytes } = await readWhole(path, PIPELINE_LIMITS.source);
    for (const [name, body] of readMacros(bytesToText(bytes))) macros.set(name, body);
  }
  return macros;
}

export function auditPath(context: CommandContext): string {
  return context.text('audit') ?? auditFile(context.env);
}

/** An output must not be one of the inputs. `E_USAGE`. */
export function refuseSameFile(out: string, inputs: readonly string[]): void {
  const same = inputs.find((input) => resolve(input) === resolve(out));
  if (same === undefined) return;
  throw new IronError('E_USAGE', `${out} is also an input`, {
    hint: 'nothing was written; choose another output',
  });
}

/**
 * The output goes over no header, and what is written beside it over nothing that is read, nor over something
 * else that is written. `E_USAGE`, before anything is.
 */
export function refuseClashes(
  context: CommandContext,
  out: string,
  inputs: readonly string[],
): void {
  // Not each of the commands has each of the options.
  const named = ['provenance-out', 'ceiling-out'].flatMap((name) =>
    context.has(name) ? (context.text(name) ?? []) : [],
  );
  const headers = context.has('header') ? context.list('header') : [];
  refuseSameFile(out, headers);
  const others = [out, out + SIDECARS.statements];
  for (const path of [...named, auditPath(context)]) {
    refuseSameFile(path, [...inputs, ...headers]);
    if (others.some((other) => resolve(other) === resolve(path)))
      throw new IronError('E_USAGE', `two outputs would be ${path}`, {
        hint: 'nothing was written; give each a name of its own',
      });
    others.push(path);
  }
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org, 1.1): whole seconds; undefined when it is not set. */
export function sourceDate(env: CommandContext['env']): Instant | undefined {
  const text = env.SOURCE_DATE_EPOCH;
  if (text === undefined || text === '') return undefined;
  // Up to the year 9999, the last that a time in a document can have.
  if (!/^\d{1,12}$/.test(text) || Number(text) > 253_402_300_799) {
    throw new IronError('E_USAGE', `SOURCE_DATE_EPOCH is no time: ${JSON.stringify(text)}`, {
      hint: 'nothing was written; it is a number of seconds since 1970',
    });
  }
  return Number(text);
}
