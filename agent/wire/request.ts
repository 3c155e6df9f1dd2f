/**
 * What may be asked of the helper: one table. A request names a command, its arguments and options, each by
 * a grammar of its own. What is not in the table cannot be said: no path, no policy, no key, no root.
 * Pure.
 */

import { utf8 } from '../../shared/bytes.ts';
import { IronError } from '../../shared/errors.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import { QUARANTINE_LIMITS, WIRE_LIMITS } from '../../shared/limits.ts';
import { parseBdf } from '../../shared/manifest/bdf.ts';
import { INCIDENT_ID } from '../../shared/manifest/quarantine.ts';
import { parseArtifactPath } from '../../shared/tuf/names.ts';

export interface Request {
  readonly command: string;
  readonly arguments: readonly string[];
  /** By their long names; a switch that is set is `true`. */
  readonly options: Readonly<Record<string, string | true>>;
}

/** Reads one word; throws what its own reader throws. */
type Kind = (node: Node) => void;

interface Form {
  /** Whether it changes anything: those go one after another, and each has its line in the audit log. */
  readonly changes: boolean;
  readonly arguments?: readonly Kind[];
  readonly options?: Readonly<Record<string, Kind | 'switch'>>;
  /** Options that must be there. */
  readonly needs?: readonly string[];
}

const device: Kind = (node) => void parseBdf(node.string());
const driver: Kind = (node) => void parseArtifactPath(node.string());
const incident: Kind = (node) => void node.matching(INCIDENT_ID, 'the id of an incident');
/** Begins with a letter or digit, so that neither `.`, `..` nor an option is one; no `/`, no NUL. */
const ENTRY = /^[A-Za-z0-9][A-Za-z0-9._%~+-]*$/;
const entry: Kind = (node) => {
  if (node.matching(ENTRY, 'the name of an entry of the spool').length > WIRE_LIMITS.entry)
    throw node.error(`a name of at most ${WIRE_LIMITS.entry} letters is expected`);
};
/** What a device in the tomb was stays for whoever is at the machine to decide. */
const level: Kind = (node) => void node.oneOf('soft', 'hard');
const reason: Kind = (node) => {
  if (node.string().length > QUARANTINE_LIMITS.reason)
    throw node.error(`at most ${QUARANTINE_LIMITS.reason} letters are expected`);
};

const onDevice = { options: { device }, needs: ['device'] };

export const REQUESTS: Readonly<Record<string, Form>> = {
  accept: { changes: true, arguments: [entry] },
  notice: { changes: true, arguments: [entry] },
  'policy accept': { changes: true, arguments: [entry] },
  list: { changes: false },
  plan: { changes: false, arguments: [driver], ...onDevice },
  why: { changes: false, arguments: [driver], ...onDevice },
  apply: {
    changes: true,
    arguments: [driver],
    options: { device, hold: 'switch', run: 'switch' },
    needs: ['device'],
  },
  release: { changes: true, ...onDevice },
  status: { changes: false },
  'receipt show': { changes: false, ...onDevice },
  'quarantine list': { changes: false },
  'quarantine show': { changes: false, arguments: [incident] },
  'quarantine enter': {
    changes: true,
    options: { device, level, reason },
    needs: ['device', 'reason'],
  },
  'quarantine release': { changes: true, arguments: [entry] },
  /** What was counted, for figures: of the front's own, and no command of the program. */
  counts: { changes: false },
};

const SCHEMA = 'ironport-agent.request/v1';

/** The form of a command, if it may be asked. */
export function formOf(command: string): Form | undefined {
  return Object.hasOwn(REQUESTS, command) ? REQUESTS[command] : undefined;
}

/** Reads a request. `E_TOO_LARGE`, `E_JSON`, `E_SCHEMA`, `E_NAME`, `E_USAGE`. */
export function parseRequest(bytes: Uint8Array): Request {
  const { request: length, depth } = WIRE_LIMITS;
  const node = new Node(parseJson(bytes, { length, depth }), 'request');
  node.only('schema', 'command', 'arguments', 'options').get('schema').oneOf(SCHEMA);
  const command = node.get('command').string();
  const form = formOf(command);
  if (form === undefined)
    throw node.get('command').error('a command that may be asked is expected');
  return {
    command,
    arguments: readArguments(node.get('arguments'), form),
    options: readOptions(node.get('options'), form),
  };
}

function readArguments(list: Node, { arguments: kinds = [] }: Form): string[] {
  const items = list.items(kinds.length);
  if (items.length < kinds.length) throw list.error(`${kinds.length} items are expected`);
  return items.map((item, i) => {
    kinds[i]?.(item);
    return item.string();
  });
}

function readOptions(node: Node, { options: kinds = {}, needs = [] }: Form): Request['options'] {
  node.only(...Object.keys(kinds));
  for (const name of needs) node.get(name);
  const read = (name: string, member: Node): string | true => {
    const kind = kinds[name];
    if (kind !== 'switch') {
      kind?.(member);
      return member.string();
    }
    if (member.boolean()) return true;
    throw member.error('true is expected, or nothing');
  };
  return Object.fromEntries(node.entries().map(([name, member]) => [name, read(name, member)]));
}

/** The request as bytes. `E_USAGE` for one that the other side would not take. */
export function formatRequest({ command, arguments: words, options }: Request): Uint8Array {
  const bytes = utf8(JSON.stringify({ schema: SCHEMA, command, arguments: words, options }));
  try {
    parseRequest(bytes);
    return bytes;
  } catch (cause) {
    throw new IronError('E_USAGE', `this cannot be asked of the helper: ${command}`, {
      why: cause instanceof Error ? cause.message : String(cause),
      hint: 'nothing was changed; hand-overs, policies and statements are named by their entry in the spool',
      cause,
    });
  }
}
