/** Doing what was asked: the same commands as at a prompt, with what the helper decides by itself. */

import type { CommandSpec } from '../../shared/cli/command.ts';
import { toIronError } from '../../shared/cli/errors.ts';
import { IronError } from '../../shared/errors.ts';
import { parseJson } from '../../shared/json/read.ts';
import type { JsonObject, JsonValue } from '../../shared/json/value.ts';
import { agentState } from '../../shared/layout.ts';
import { WIRE_LIMITS } from '../../shared/limits.ts';
import type { Agent } from '../agent.ts';
import { loadBinding } from '../binding.ts';
import { processesIn } from '../host/left-groups.ts';
import { residentBytes } from '../host/resident.ts';
import type { Answer } from '../wire/answer.ts';
import type { Request } from '../wire/request.ts';
import type { Peer } from '../wire/serve.ts';
import { contextFor, type OwnContext } from './context.ts';
import type { Holders } from './holders.ts';
import type { LogCounter } from './log-counts.ts';
import type { Spool } from './spool.ts';
import type { Verdicts } from './verdicts.ts';

export interface Performing {
  readonly agent: Agent;
  readonly own: OwnContext;
  /** Commands that may be asked, by their names. */
  readonly commands: ReadonlyMap<string, CommandSpec>;
  readonly spool: Spool;
  readonly holders: Holders;
  readonly counter: LogCounter;
  readonly verdicts: Verdicts;
}

/** Commands whose argument is an entry of the spool, and what that must be. */
const FROM_SPOOL: Readonly<Record<string, 'folder' | 'file'>> = {
  accept: 'folder',
  notice: 'folder',
  'policy accept': 'file',
  'quarantine release': 'file',
};

/** The answer to a request, refusals included; throws nothing. */
export async function perform(doing: Performing, request: Request, peer: Peer): Promise<Answer> {
  const { command } = request;
  const schema = doing.commands.get(command)?.schema ?? `ironport-agent/${command}/v1`;
  try {
    if (command === 'counts') return await counts(doing, schema);
    const spec = doing.commands.get(command);
    if (spec === undefined) throw new IronError('E_USAGE', `${command} cannot be asked`);
    if (request.options.hold === true || request.options.run === true)
      return await hold(doing, spec, request);
    if (command === 'quarantine enter') await requireOurs(doing, request);
    const answer = await run(doing, spec, request);
    return command === 'status' ? await withProcesses(doing, answer, peer) : answer;
  } catch (thrown) {
    const error = toIronError(thrown, doing.own.signal);
    return { exit: error.exit, schema, outcome: { error } };
  }
}

async function run(doing: Performing, spec: CommandSpec, request: Request): Promise<Answer> {
  const { spool, agent, own } = doing;
  const withWords = async (...words: string[]): Promise<Answer> => {
    const { data, text, exit } = await spec.run(contextFor(spec, request, words, own));
    const outcome = { data: plain(data), text: text ?? '' };
    return { exit: exit ?? 0, schema: spec.schema, outcome };
  };
  const [first = ''] = request.arguments;
  switch (FROM_SPOOL[spec.name]) {
    case 'folder':
      return await spool.withFolder(first, withWords);
    case 'file':
      return await spool.withFile(first, agent.place(agentState.fromSpool), withWords);
    default:
      return await withWords(...request.arguments);
  }
}

/** Held by a process of its own, under the same options as everything that is run here. */
async function hold(doing: Performing, spec: CommandSpec, request: Request): Promise<Answer> {
  const { agent, own, holders } = doing;
  const { device, run } = request.options;
  const { cgroup } = own.options;
  if (run === true && cgroup === undefined) {
    throw new IronError('E_CONFIG', 'the helper has no control group for drivers', {
      hint: 'nothing was changed; start the helper with --cgroup DIR',
    });
  }
  const names = ['sysfs-root', 'fleet-keys', 'backend', 'write-timeout', 'settle-timeout'];
  const given = names.flatMap((name) => {
    const value = own.options[name];
    return value === undefined ? [] : [`--${name}`, value];
  });
  return await holders.hold(spec.schema, String(device), [
    ...request.arguments,
    ...['--device', String(device), '--state', agent.state, ...given],
    ...(run === true ? ['--run', '--cgroup', String(cgroup)] : []),
  ]);
}

/** The front takes what it had bound out of service, and nothing that is the host's. */
async function requireOurs({ agent }: Performing, { options }: Request): Promise<void> {
  const device = String(options.device);
  if ((await loadBinding(agent, device)) !== undefined) return;
  throw new IronError('E_NOT_AUTHORISED', `${device} is not bound by this agent`, {
    why: 'only what is bound for a driver is put into quarantine by way of the helper',
    hint: 'nothing was changed; on the host itself, `ironport-agent quarantine enter` takes any device',
    context: { device },
  });
}

/** With the memory of every process of the agent. */
async function withProcesses(doing: Performing, answer: Answer, peer: Peer): Promise<Answer> {
  if (!('data' in answer.outcome)) return answer;
  const { proc } = doing.agent;
  const { cgroup } = doing.own.options;
  const driven = cgroup === undefined ? [] : processesIn(cgroup);
  const known = [
    { role: 'helper', pid: process.pid, device: null },
    { role: 'front', pid: peer.pid, device: null },
    ...doing.holders.list().map(({ device, pid }) => ({ role: 'holder', pid, device })),
    ...driven.map(({ device, of, pid }) => ({ role: of, pid, device })),
  ];
  const processes = await Promise.all(
    known.map(async (one) => ({ ...one, resident_bytes: await residentBytes(proc, one.pid) })),
  );
  const lines = processes.map(
    ({ role, pid, device, resident_bytes: bytes }) =>
      `${role.padEnd(8)} process ${pid}${device === null ? '' : ` for ${device}`}, ${bytes === null ? 'memory not told' : `${Math.round(bytes / 2 ** 20)} MiB of memory`}`,
  );
  const { data, text } = answer.outcome;
  return {
    ...answer,
    outcome: { data: { ...(data as JsonObject), processes }, text: [text, ...lines].join('\n') },
  };
}

async function counts({ counter, verdicts }: Performing, schema: string): Promise<Answer> {
  const { lines, events, refusals, watched } = await counter.read();
  const data = {
    audit_lines: lines,
    events: Array.from(events, ([event, count]) => ({ event, count })),
    gate_refusals: Array.from(refusals, ([gate, count]) => ({ gate, count })),
    watched: watched.map((one) => ({ ...one })),
    requests: verdicts
      .totals()
      .map(({ what, verdict, count }) => ({ command: what, verdict, count })),
  };
  return { exit: 0, schema, outcome: { data, text: '' } };
}

/** As it will be read: what `--json` prints of it. */
function plain(data: unknown): JsonValue {
  return parseJson(Buffer.from(JSON.stringify(data ?? null)), { length: WIRE_LIMITS.answer });
}
