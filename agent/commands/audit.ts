/** `ironport-agent audit verify` and `audit tail`. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import type { JsonObject } from '../../shared/json/value.ts';
import { agentState } from '../../shared/layout.ts';
import { type AuditLine, type AuditVerdict, readAudit } from '../audit.ts';
import { openAgent, STATE } from './options.ts';

export const auditVerifyCommand: CommandSpec = {
  name: 'audit verify',
  summary: 'check that every line of the audit log follows from the one before it',
  description:
    'A chain cannot show that its newest lines were cut off: compare the head that is printed with ' +
    'one that was noted elsewhere.',
  options: [STATE],
  examples: ['ironport-agent audit verify'],
  schema: 'ironport-agent/audit-verify/v1',
  async run(context) {
    const { verdict } = await readAll(openAgent(context).place(agentState.audit), 0);
    return {
      data: { ...verdict, not_checked: ['whether lines were cut off at the end'] },
      text: `${verdict.lines} lines follow from one another\nhead ${verdict.head}`,
    };
  },
};

export const auditTailCommand: CommandSpec = {
  name: 'audit tail',
  summary: 'show the newest lines of the audit log, verified from its first one on',
  options: [STATE, { flags: '-n, --lines <count>', description: 'how many (20)' }],
  examples: ['ironport-agent audit tail -n 5', 'ironport-agent audit tail --json'],
  schema: 'ironport-agent/audit-tail/v1',
  async run(context) {
    const count = context.number('lines', 1) ?? 20;
    const { newest } = await readAll(openAgent(context).place(agentState.audit), count);
    return {
      data: { lines: newest.map(({ fields }) => fields) },
      text: newest.map(lineText).join('\n'),
    };
  },
};

async function readAll(
  path: string,
  keep: number,
): Promise<{ newest: AuditLine[]; verdict: AuditVerdict }> {
  const newest: AuditLine[] = [];
  const lines = readAudit(path);
  for (let next = await lines.next(); ; next = await lines.next()) {
    if (next.done === true) return { newest, verdict: next.value };
    newest.push(next.value);
    if (newest.length > keep) newest.shift();
  }
}

function lineText({ seq, at, event, fields }: AuditLine): string {
  const rest = Object.entries(fields)
    .filter(([key]) => !['seq', 'at', 'prev', 'event'].includes(key))
    .map(([key, value]) => `${key}=${short(value)}`);
  return [`${seq}`, at, event, ...rest].join(' ');
}

function short(value: JsonObject[string] | undefined): string {
  return typeof value === 'string' && /^[\w./:-]+$/.test(value) ? value : JSON.stringify(value);
}
