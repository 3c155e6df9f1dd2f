/**
 * The configuration file of a program: what its variables are when the environment does not set
 * them. Flags come before variables, and variables before the file:
 *
 *     { "repository": "https://drivers.example", "offline": false }
 *
 * The first of these that is there is read, and no other: the file that `IRONPORT_CONFIG` names,
 * `./PROGRAM.json`, `$XDG_CONFIG_HOME/ironport/PROGRAM.json`. A working folder may be anybody's
 * (a checkout, /tmp): a file there that others can write is passed over, and what decides about
 * trust cannot be set there at all.
 */

import { lstatSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { getuid } from 'node:process';
import { IronError } from '../errors.ts';
import { Node } from '../json/decode.ts';
import { CONFIG_LIMITS } from '../limits.ts';
import { readJsonFile } from '../node/files.ts';
import type { ProgramSpec } from './command.ts';
import type { Env } from './ui.ts';

export interface Configuration {
  /** The environment, with what the file says in the place of what it does not set. */
  readonly env: Env;
  /** Which file a variable came from. */
  readonly sources: ReadonlyMap<string, string>;
  /** The file that was read. */
  readonly file: string | undefined;
  /** What was passed over, and why. */
  readonly notices: readonly string[];
}

/** Reads the configuration of `program`. `E_CONFIG` when it is there and not valid. */
export async function loadConfiguration(
  program: ProgramSpec,
  env: Env,
  workingFolder: string,
): Promise<Configuration> {
  const notices: string[] = [];
  const { config } = program;
  const found = config === undefined ? undefined : locate(program, env, workingFolder, notices);
  if (found === undefined || config === undefined) {
    return { env, sources: new Map(), file: undefined, notices };
  }
  const node = new Node(await readConfiguration(found.path), 'configuration');
  const values: Record<string, string> = {};
  const sources = new Map<string, string>();
  for (const [key, member] of entriesOf(node, found.path)) {
    const setting = Object.hasOwn(config, key) ? config[key] : undefined;
    if (setting === undefined) {
      const hint = `nothing was done; there are: ${Object.keys(config).join(', ')}`;
      throw new IronError('E_CONFIG', `${found.path}: ${JSON.stringify(key)} is unknown`, { hint });
    }
    if (setting.decidesTrust === true && found.isWorkingFolder) {
      throw new IronError('E_CONFIG', `${found.path}: "${key}" cannot be set there`, {
        why: 'a file in the folder where a command happens to run must not say what is trusted',
        hint: 'nothing was done; set it in the configuration of the user, or by its variable or flag',
        context: { path: found.path },
      });
    }
    const given = env[setting.env];
    if (given !== undefined && given !== '') continue;
    values[setting.env] = textOf(member, found.path);
    sources.set(setting.env, found.path);
  }
  return { env: { ...env, ...values }, sources, file: found.path, notices };
}

interface Found {
  readonly path: string;
  readonly isWorkingFolder: boolean;
}

function locate(
  { name }: ProgramSpec,
  env: Env,
  workingFolder: string,
  notices: string[],
): Found | undefined {
  const named = env.IRONPORT_CONFIG;
  if (named !== undefined && named !== '') return { path: named, isWorkingFolder: false };
  const given = env.XDG_CONFIG_HOME;
  const base =
    given !== undefined && isAbsolute(given) ? given : join(env.HOME ?? homedir(), '.config');
  const places: Found[] = [
    { path: join(workingFolder, `${name}.json`), isWorkingFolder: true },
    { path: join(base, 'ironport', `${name}.json`), isWorkingFolder: false },
  ];
  for (const place of places) {
    const objection = objectionTo(place.path);
    if (objection === undefined) return place;
    if (objection !== '') notices.push(`${place.path} is passed over: ${objection}`);
  }
  return undefined;
}

/** Why a file that nobody named is not read; empty when there is none. */
function objectionTo(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return '';
  const uid = getuid?.();
  if (!found.isFile()) return 'it is not a regular file';
  if (uid !== undefined && found.uid !== uid && found.uid !== 0) return 'it is somebody else’s';
  return (found.mode & 0o022) === 0 ? undefined : 'others can write to it';
}

async function readConfiguration(path: string) {
  try {
    return await readJsonFile(path, CONFIG_LIMITS.file);
  } catch (cause) {
    if (!(cause instanceof IronError)) throw cause;
    throw new IronError('E_CONFIG', cause.message, { cause, context: { path } });
  }
}

function entriesOf(node: Node, path: string): [string, Node][] {
  try {
    return node.entries(CONFIG_LIMITS.settings);
  } catch (cause) {
    throw invalid(path, cause);
  }
}

function textOf(node: Node, path: string): string {
  if (typeof node.value === 'boolean') return node.value ? '1' : '';
  try {
    return node.string();
  } catch (cause) {
    throw invalid(path, cause);
  }
}

function invalid(path: string, cause: unknown): IronError {
  const what = cause instanceof Error ? cause.message : String(cause);
  return new IronError('E_CONFIG', `${path}: ${what}`, { cause, context: { path } });
}
