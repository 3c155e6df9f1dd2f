/** What goes into the audit log and into an incident can be read again, whatever a driver wrote. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import type { AuditEvent } from '../../agent/audit.ts';
import { endedEvent } from '../../agent/drive.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { enterQuarantine } from '../../agent/quarantine/enter.ts';
import { formatIncident, type Incident, parseIncident } from '../../agent/quarantine/incident.ts';
import { loadIncidents } from '../../agent/quarantine/store.ts';
import { cutText } from '../../agent/sound-text.ts';
import { AGENT_LIMITS, QUARANTINE_LIMITS } from '../../shared/limits.ts';
import { agent as run, scene } from './support.ts';

const PAIR = '\u{1f525}';
const HALF = PAIR.charAt(0);
const DEVICE = {
  ...{ path: '0000:00:05.0', vendor: 0x1234, device: 0x11e8, subsystemVendor: 0x1af4 },
  ...{ subsystemDevice: 0x1100, class: 0x00ff00, revision: 0x10, serial: null },
};

function agentOf(t: Test): Agent {
  const state = mkdtempSync(join(tmpdir(), 'ironport-sound-test-'));
  t.teardown(() => rmSync(state, { recursive: true }));
  return new Agent({ state });
}

async function verified(agent: Agent): Promise<number> {
  const { error, data } = await run('audit', 'verify', '--state', agent.state);
  if (error !== undefined) throw new Error(error.message);
  return data.lines;
}

t.test('a cut that would halve a code point', async (t) => {
  t.equal(cutText(`ab${PAIR}c`, 3), 'ab');
  t.equal(cutText(`ab${PAIR}c`, 4), `ab${PAIR}`);
  t.equal(cutText(`ab${PAIR}`, 4), `ab${PAIR}`);
  t.equal(cutText('ab', 4), 'ab');
  t.equal(cutText(`a${HALF}b`, 4), 'a\ufffdb');
  t.equal(cutText(`a${HALF}`, 4), 'a\ufffd');
});

t.test('the end of a driver whose output is cut inside a pair', async (t) => {
  const agent = agentOf(t);
  const output = 'x'.repeat(AGENT_LIMITS.driverOutputAudited - 1) + PAIR.repeat(3);
  const running = { accesses: new Map(), interrupts: () => [], output: () => output };
  const event = endedEvent(DEVICE.path, running, { why: 'stopped' }, { status: 0, signal: null });
  t.equal(event.output, 'x'.repeat(AGENT_LIMITS.driverOutputAudited - 1), 'nothing but the whole');
  await agent.alone(() => agent.audit.append(event));
  await agent.alone(() => agent.audit.append({ event: 'after' }));
  await agent.heads.requireSound();
  t.equal(await verified(agent), 2, 'the log goes on, and is verified');
});

t.test('unsound text in any field of an event', async (t) => {
  const agent = agentOf(t);
  const events: AuditEvent[] = [
    { event: 'text', what: HALF },
    { event: 'nested', list: [{ what: [HALF] }], [`key ${HALF}`]: 1 },
    { event: `${HALF}` },
  ];
  await agent.alone(() => agent.audit.append(...events));
  t.equal(await verified(agent), 3);
});

t.test('what could not be read again is not written', async (t) => {
  const agent = agentOf(t);
  await agent.alone(() => agent.audit.append({ event: 'before' }));
  const before = readFileSync(agent.audit.path);
  const deep = JSON.parse(`${'['.repeat(2000)}${']'.repeat(2000)}`);
  for (const [code, event] of [
    ['E_INTERNAL', { event: 'a number that is no integer', load: 0.5 }],
    ['E_INTERNAL', { event: 'nested deeply', deep }],
    ['E_INTERNAL', { event: 'one that numbers itself', seq: 7 }],
    ['E_INTERNAL', { event: 'one that chains itself', prev: '00'.repeat(32) }],
    ['E_TOO_LARGE', { event: 'long', what: 'x'.repeat(AGENT_LIMITS.auditLine) }],
  ] as const) {
    await t.rejects(
      agent.alone(() => agent.audit.append({ event: 'beside it' }, event)),
      { code },
      event.event,
    );
    t.strictSame(readFileSync(agent.audit.path), before, event.event);
  }
  t.equal(await verified(agent), 1);
});

t.test('an incident whose reason is cut inside a pair', async (t) => {
  const place = await scene(t);
  const agent = new Agent({ state: place.state });
  const reason = 'x'.repeat(QUARANTINE_LIMITS.reason - 1) + PAIR;
  const sysfs = await Sysfs.open(place.sysfs);
  const enter = () => enterQuarantine(agent, sysfs, { device: DEVICE, level: 'hard', reason });
  await agent.alone(enter);
  await agent.alone(enter);
  const [incident] = await loadIncidents(agent);
  t.equal(incident?.reason, 'x'.repeat(QUARANTINE_LIMITS.reason - 1));
  t.ok((await verified(agent)) > 0);

  const one = incident as Incident;
  const unsound = formatIncident({ ...one, reason: HALF, found: { driver: HALF, override: null } });
  t.match(parseIncident(unsound), { reason: '\ufffd', found: { driver: '\ufffd' } });
  t.throws(() => formatIncident({ ...one, reason: 'x'.repeat(QUARANTINE_LIMITS.incident) }), {
    code: 'E_TOO_LARGE',
  });
  t.throws(() => formatIncident({ ...one, id: 'of no form' }), { code: 'E_SCHEMA' });
});
