/** `ironport-agent audit verify`, `audit tail` and `audit export`. */

import type { CommandContext, CommandSpec } from '../../shared/cli/command.ts';
import type { PublicKey } from '../../shared/crypto/key.ts';
import { isIronError } from '../../shared/errors.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { agentState } from '../../shared/layout.ts';
import { loadPublicKey } from '../../shared/node/signers/file.ts';
import { formatInstant } from '../../shared/time.ts';
import { keyId } from '../../shared/tuf/key.ts';
import type { Agent } from '../agent.ts';
import type { AuditLine } from '../audit.ts';
import { exportAudit, verifyExport } from '../audit-export.ts';
import { type VerifiedLog, verifyAudit } from '../audit-verify.ts';
import { openAgent, STATE } from './options.ts';

export const auditVerifyCommand: CommandSpec = {
  name: 'audit verify',
  summary: 'check the audit log line by line, and against the heads that this host signed',
  description:
    'Each line must follow from the one before it, and every signed head must be about a line that ' +
    'the log has. What was written after the newest head could still be cut off. Heads that were ' +
    'kept elsewhere, and a key that was noted elsewhere, show more than those that lie beside the log.',
  options: [
    STATE,
    { flags: '--in <folder>', description: 'an export, in the place of the log of this host' },
    {
      flags: '--heads <file>',
      description: 'signed heads that were kept elsewhere',
      repeatable: true,
    },
    { flags: '-k, --key <file>', description: "the host's public audit key, as it was noted" },
  ],
  examples: [
    'ironport-agent audit verify',
    'ironport-agent audit verify --in export --key audit.pub.json',
  ],
  schema: 'ironport-agent/audit-verify/v1',
  async run(context) {
    const verified = await verify(context);
    const { lines, head, heads, covered } = verified;
    const unsigned = lines - (covered?.seq ?? 0);
    return {
      data: { ...verifiedJson(verified), not_checked: notChecked(context, unsigned) },
      text: [
        `${lines} lines follow from one another`,
        `head ${head}`,
        covered === undefined
          ? 'no head was signed yet'
          : `${heads} heads are signed, the newest over ${covered.seq} lines at ${formatInstant(covered.at)}`,
      ].join('\n'),
    };
  },
};

function notChecked(context: CommandContext, unsigned: number): string[] {
  return [
    ...(unsigned === 0 ? [] : [`whether ${unsigned} lines after the newest head were cut short`]),
    ...(context.text('key') === undefined ? ['whose key it is: it lies beside the log'] : []),
    ...(context.list('heads').length === 0
      ? ['whether log and heads go back to an older copy together']
      : []),
  ];
}

async function verify(context: CommandContext): Promise<VerifiedLog> {
  const agent = openAgent(context);
  const folder = context.text('in');
  const given = { heads: context.list('heads'), key: context.text('key') };
  if (folder !== undefined) return await verifyExport(agent, folder, given);
  return await verifyAudit(agent.crypto, {
    log: agent.place(agentState.audit),
    heads: agent.heads.path,
    kept: given.heads,
    key: given.key === undefined ? await ownKey(agent) : await loadPublicKey(given.key),
  });
}

/** Undefined before the first head: then there is nothing that it signed, nor its private half. */
async function ownKey(agent: Agent): Promise<PublicKey | undefined> {
  try {
    return await loadPublicKey(agent.place(agentState.auditPublicKey));
  } catch (error) {
    const isUnsigned =
      (await agent.heads.newest()) === undefined &&
      (await agent.read(agentState.auditKey)) === undefined;
    if (isIronError(error, 'E_NOT_FOUND') && isUnsigned) return undefined;
    throw error;
  }
}

function verifiedJson({ lines, head, heads, covered }: VerifiedLog): JsonObject {
  return {
    lines,
    head,
    heads,
    signed_lines: covered?.seq ?? 0,
    signed_at: covered === undefined ? null : formatInstant(covered.at),
  };
}

export const auditTailCommand: CommandSpec = {
  name: 'audit tail',
  summary: 'show the newest lines of the audit log, verified from its first one on',
  options: [STATE, { flags: '-n, --lines <count>', description: 'how many (20)' }],
  examples: ['ironport-agent audit tail -n 5', 'ironport-agent audit tail --json'],
  schema: 'ironport-agent/audit-tail/v1',
  async run(context) {
    const count = context.number('lines', 1) ?? 20;
    const agent = openAgent(context);
    const places = { log: agent.audit.path, heads: agent.heads.path, key: await ownKey(agent) };
    const { newest } = await verifyAudit(agent.crypto, places, count);
    return {
      data: { lines: newest.map(({ fields }) => fields) },
      text: newest.map(lineText).join('\n'),
    };
  },
};

export const auditExportCommand: CommandSpec = {
  name: 'audit export',
  summary: 'copy the audit log with its signed heads and key, to be verified anywhere',
  options: [
    STATE,
    { flags: '-o, --out <folder>', description: 'a folder that is made', required: true },
  ],
  examples: ['ironport-agent audit export --out export'],
  schema: 'ironport-agent/audit-export/v1',
  async run(context) {
    const agent = openAgent(context);
    const out = context.need('out');
    const verified = await exportAudit(agent, out);
    const key = await loadPublicKey(agent.place(agentState.auditPublicKey));
    const keyid = keyId(agent.crypto, key);
    return {
      data: { out, keyid, ...verifiedJson(verified) },
      text: `${out} has ${verified.lines} lines, signed up to the last by ${keyid}\nhead ${verified.head}`,
    };
  },
};

function lineText({ seq, at, event, fields }: AuditLine): string {
  const rest = Object.entries(fields)
    .filter(([key]) => !['seq', 'at', 'prev', 'event'].includes(key))
    .map(([key, value]) => `${key}=${short(value)}`);
  return [`${seq}`, at, event, ...rest].join(' ');
}

function short(value: JsonObject[string] | undefined): string {
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}
