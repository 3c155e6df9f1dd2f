/** An incident: which device is in quarantine, why, how far, and what its release must name. */

import { utf8 } from '../../shared/bytes.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { QUARANTINE_LIMITS } from '../../shared/limits.ts';
import {
  type DeviceName,
  deviceNameJson,
  INCIDENT_ID,
  LEVELS,
  type Level,
  readDeviceName,
} from '../../shared/manifest/quarantine.ts';
import { formatInstant, type Instant } from '../../shared/time.ts';
import type { LineName } from '../audit.ts';
import { type BindingState, parseState, stateJson } from '../binding-state.ts';
import { soundObject } from '../sound-text.ts';

export interface Incident {
  readonly id: string;
  readonly host: string;
  readonly device: DeviceName;
  readonly level: Level;
  /** Why, in words of whoever decided. */
  readonly reason: string;
  /** The driver that it was bound for; null when it was bound for none of ours. */
  readonly driver: { readonly path: string; readonly sha256: string } | null;
  readonly enteredAt: Instant;
  /** Driver and override when it began; null when the device was gone by then. */
  readonly found: BindingState | null;
  /** The newest time that it was put there while it was there already; null when it never was. */
  readonly again: Again | null;
  /**
   * Its newest line of the audit log, which is what a release must name: whoever signed one about an
   * older line did not know of what came later. Null while the newest is in no line, for want of room
   * or because of a crash in between: nobody can release it then. The line is written by whatever comes
   * next to it, `quarantine enforce` at the latest.
   */
  readonly audit: LineName | null;
  /** Set once it is over. */
  readonly released: { readonly at: Instant; readonly statementSha256: string } | null;
}

/** What was added to an incident. */
export interface Again {
  /** How many times until now. */
  readonly times: number;
  readonly at: Instant;
  readonly reason: string;
}

const SCHEMA = 'ironport-agent.incident/v1';
const DIGEST = /^[0-9a-f]{64}$/;

/**
 * The file of an incident. It is read once before anybody writes it, for one that cannot be read binds
 * nothing: `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`.
 */
export function formatIncident(incident: Incident): Uint8Array {
  const document = soundObject({ schema: SCHEMA, ...incidentJson(incident) });
  const bytes = utf8(`${JSON.stringify(document)}\n`);
  parseIncident(bytes);
  return bytes;
}

/** As `--json` shows it too. */
export function incidentJson(incident: Incident): JsonObject {
  const { id, host, device, level, reason, driver, enteredAt, found } = incident;
  const { again, audit, released } = incident;
  return {
    incident: id,
    host,
    device: deviceNameJson(device),
    level,
    reason,
    driver: driver === null ? null : { ...driver },
    entered_at: formatInstant(enteredAt),
    found: found === null ? null : stateJson(found),
    again:
      again === null
        ? null
        : { times: again.times, at: formatInstant(again.at), reason: again.reason },
    audit: audit === null ? null : { seq: audit.seq, sha256: audit.sha256 },
    released:
      released === null
        ? null
        : { at: formatInstant(released.at), statement_sha256: released.statementSha256 },
  };
}

/** `E_JSON`, `E_SCHEMA`, `E_TOO_LARGE`. */
export function parseIncident(bytes: Uint8Array): Incident {
  const node = new Node(parseJson(bytes, { length: QUARANTINE_LIMITS.incident }), 'incident');
  node.only(
    ...['schema', 'incident', 'host', 'device', 'level', 'reason', 'driver', 'entered_at'],
    ...['found', 'again', 'audit', 'released'],
  );
  node.get('schema').oneOf(SCHEMA);
  const orNull = <T>(key: string, read: (member: Node) => T): T | null => {
    const member = node.get(key);
    return member.value === null ? null : read(member);
  };
  return {
    id: node.get('incident').matching(INCIDENT_ID, 'the id of an incident'),
    host: node.get('host').string(),
    device: readDeviceName(node.get('device')),
    level: node.get('level').oneOf(...LEVELS),
    reason: node.get('reason').string(),
    driver: orNull('driver', (member) => {
      member.only('path', 'sha256');
      return {
        path: member.get('path').string(),
        sha256: member.get('sha256').matching(DIGEST, 'a SHA-256'),
      };
    }),
    enteredAt: node.get('entered_at').instant(),
    found: orNull('found', parseState),
    // Records from before there was such a thing have no such field.
    again: node.maybe('again') === undefined ? null : orNull('again', readAgain),
    audit: orNull('audit', (member) => {
      member.only('seq', 'sha256');
      return {
        seq: member.get('seq').integer(1),
        sha256: member.get('sha256').matching(DIGEST, 'a SHA-256'),
      };
    }),
    released: orNull('released', (member) => {
      member.only('at', 'statement_sha256');
      return {
        at: member.get('at').instant(),
        statementSha256: member.get('statement_sha256').matching(DIGEST, 'a SHA-256'),
      };
    }),
  };
}

function readAgain(node: Node): Again {
  node.only('times', 'at', 'reason');
  return {
    times: node.get('times').integer(1),
    at: node.get('at').instant(),
    reason: node.get('reason').string(),
  };
}
