/**
 * Confinement as far as no device is needed: the order of its steps, what is given back when one
 * fails, what configuration space says, and the tree in which there is no VFIO.
 */

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Agent } from '../../agent/agent.ts';
import { confine, requireReach } from '../../agent/confine.ts';
import {
  type ConfinedGrant,
  describeConfineAction,
  describeConfineInverse,
  planConfinement,
} from '../../agent/confine-plan.ts';
import { loadAccepted } from '../../agent/entry.ts';
import { PREVIEW } from '../../agent/grant.ts';
import { deviceSerial, enabledTranslation } from '../../agent/host/config.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { requireNoTranslation } from '../../agent/host/translation.ts';
import { makeReady } from '../../agent/ready.ts';
import { IronError } from '../../shared/errors.ts';
import type { DmaWindow } from '../../shared/manifest/ceiling.ts';
import { type Window, windowAt } from '../../shared/manifest/windows.ts';
import { agent, apply, BDF, NAME, POLICY, picture, refused, scene } from './support.ts';

const windows: DmaWindow[] = [
  { window: windowAt(0x10_0000n, 4096n), access: 'read' },
  { window: windowAt(0x20_0000n, 8192n), access: 'read-write' },
];
const GRANT = {
  dma: { maskBits: 32, totalBytes: 12_288n, windows },
  interrupts: { kind: 'none', vectors: 0, perSecondBudget: 0 },
} as const;

t.test('the order: a map for each window, and the bus master last of all', async (t) => {
  const steps = planConfinement(GRANT, 5);
  t.strictSame(
    steps.map(({ action }) => action.kind),
    ['open', 'reset', 'attach', 'map', 'map', 'interrupts', 'bus-master'],
  );
  t.strictSame(
    steps.map(({ number }) => number),
    [5, 6, 7, 8, 9, 10, 11],
    'they go on counting',
  );
  t.equal(
    steps.map(({ action }) => describeConfineAction(action))[3],
    'map 0x100000..0x100fff, read',
  );
  const kinds = (grant: ConfinedGrant): string[] =>
    planConfinement(grant, 1).map(({ action }) => action.kind);
  const none = { ...GRANT, dma: { windows: [] } };
  t.strictSame(
    kinds(none),
    ['open', 'reset', 'attach', 'interrupts'],
    'nothing to master a bus for',
  );
  const msi = { kind: 'msi', vectors: 1 } as const;
  t.equal(kinds({ ...none, interrupts: msi }).at(-1), 'bus-master', 'a message is a write too');
  for (const { action } of steps) t.ok(describeConfineInverse(action).length > 0);
});

t.test('a device that does not open is rolled back, and the journal says so', async (t) => {
  const entries: string[] = [];
  const attempt = confine({
    device: '0000:00:05.0',
    grant: GRANT,
    steps: planConfinement(GRANT, 5),
    open: async () => {
      throw Object.assign(new Error('open'), {
        code: 'EBUSY',
        syscall: 'open',
        path: '/dev/vfio/1',
      });
    },
    journal: { append: async ({ event, step }) => void entries.push(`${event} ${step}`) },
    record: async () => {},
  });
  await t.rejects(attempt, {
    code: 'E_BIND_ROLLED_BACK',
    context: { errno: 'EBUSY', step: 5, device: '0000:00:05.0' },
  });
  t.strictSame(entries, ['intent 5', 'failed 5'], 'no step after it was begun');
});

t.test('what a host cannot keep to is a refusal, and no failure', async (t) => {
  for (const code of ['E_AGENT_REFUSED', 'E_DEVICE_TRANSLATES', 'E_IOVA_RANGE'] as const) {
    const refusing = new IronError(code, 'not here', { context: { reason: 'x' } });
    const attempt = confine({
      device: '0000:00:05.0',
      grant: GRANT,
      steps: planConfinement(GRANT, 1),
      open: () => Promise.reject(refusing),
      journal: { append: async () => {} },
      record: async () => {},
    });
    await t.rejects(attempt, { code, context: { reason: 'x', step: 1 } });
  }
});

t.test('a window that a host cannot keep a device to is refused by its own code', (t) => {
  const [GIB, PAGE] = [1n << 30n, 4096n];
  const dma = { windows: [{ window: windowAt(GIB, PAGE), access: 'read' as const }] };
  const attempt = (ranges: readonly Window[], pageSize: bigint) => () =>
    requireReach({ ...GRANT, dma }, { reach: () => ({ ranges, pageSize }) });
  t.doesNotThrow(attempt([windowAt(0n, GIB + PAGE)], PAGE), 'control: to the last byte');
  const outside = { code: 'E_IOVA_RANGE', context: { reason: 'iova-range' } };
  t.throws(attempt([windowAt(0n, GIB), windowAt(2n * GIB, GIB)], PAGE), outside);
  t.throws(attempt([windowAt(0n, GIB + PAGE - 1n)], PAGE), outside, 'by one byte');
  t.throws(attempt([], PAGE), outside, 'a host that addresses nothing');
  const wide = { code: 'E_PAGE_SIZE', context: { reason: 'page-size' } };
  t.throws(attempt([windowAt(0n, 4n * GIB)], 2n * PAGE), wide);
  t.end();
});

t.test('what is watched is looked at before the device is attached to anything', async (t) => {
  const calls: string[] = [];
  const attempt = confine({
    device: '0000:00:05.0',
    grant: GRANT,
    // Without a device behind it, attaching fails at once.
    steps: [{ number: 7, action: { kind: 'attach' } }],
    open: () => Promise.reject(new Error('not asked for')),
    beforeReach: async () => void calls.push('look'),
    checkTranslation: async () => void calls.push('attached'),
    journal: { append: async () => {} },
    record: async () => {},
  });
  await t.rejects(attempt, { code: 'E_BIND_ROLLED_BACK', context: { step: 7 } });
  t.strictSame(calls, ['look']);
});

/** Configuration space with these extended capabilities, one after the other. */
function config(...capabilities: readonly (readonly [id: number, at: number, word: number])[]) {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  capabilities.forEach(([id, at, word], i) => {
    const place = 0x100 + 0x20 * i;
    const next = i + 1 < capabilities.length ? place + 0x20 : 0;
    view.setUint32(place, id | (1 << 16) | (next << 20), true);
    view.setUint16(place + at, word, true);
  });
  return bytes;
}

t.test('translation by the device is seen where it is on', async (t) => {
  t.strictSame(enabledTranslation(config([0x0f, 6, 0x8000])), ['ATS']);
  t.strictSame(enabledTranslation(config([0x0f, 6, 0x7fff])), [], 'there, and off');
  t.strictSame(enabledTranslation(config([3, 4, 1], [0x13, 4, 1], [0x1b, 6, 1])), ['PRI', 'PASID']);
  t.strictSame(enabledTranslation(new Uint8Array(256)), [], 'nothing beyond the first part');
  const loop = config([3, 4, 1]);
  new DataView(loop.buffer).setUint32(0x100, 3 | (0x100 << 20), true);
  t.strictSame(enabledTranslation(loop), [], 'a loop ends');
  t.equal(deviceSerial(config([3, 4, 0x1234])), '00-00-00-00-00-00-12-34');
  const cut = config([0x0f, 6, 0x8000]).subarray(0, 0x106);
  t.strictSame(enabledTranslation(cut), [], 'one that is cut off is not read');
});

t.test('a device whose configuration cannot be read is not believed', async (t) => {
  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const file = join(place.sysfs, 'devices', 'pci0000:00', BDF, 'config');
  await requireNoTranslation(sysfs, BDF);
  writeFileSync(file, config([0x0f, 6, 0x8000]));
  await t.rejects(requireNoTranslation(sysfs, BDF), {
    code: 'E_DEVICE_TRANSLATES',
    context: { reason: 'device-translates', enabled: 'ATS' },
  });
  // Operators may trust such devices with it: with what they name, and no more.
  t.strictSame(await requireNoTranslation(sysfs, BDF, ['ATS']), ['ATS']);
  await t.rejects(requireNoTranslation(sysfs, BDF, ['PRI', 'PASID']), {
    code: 'E_DEVICE_TRANSLATES',
  });
  writeFileSync(file, config([0x0f, 6, 0x8000], [0x1b, 6, 1]));
  const some = { code: 'E_DEVICE_TRANSLATES', context: { enabled: 'ATS, PASID' } };
  await t.rejects(requireNoTranslation(sysfs, BDF, ['ATS']), some);
  writeFileSync(file, new Uint8Array(64));
  await t.rejects(requireNoTranslation(sysfs, BDF, ['ATS', 'PRI', 'PASID']), {
    code: 'E_DEVICE_TRANSLATES',
  });
  const unseen = { code: 'E_DEVICE_TRANSLATES', context: { reason: 'device-translates' } };
  await t.rejects(requireNoTranslation(sysfs, BDF), unseen);
  rmSync(file);
  await t.rejects(requireNoTranslation(sysfs, BDF), unseen);
});

t.test('in a tree that is not the kernel nothing is confined, and that is said', async (t) => {
  const place = await scene(t);
  const plan = await agent('plan', NAME, ...place.device, '--policy', POLICY);
  t.strictSame(plan.data.confinement, { confined: false, backend: null, steps: [], notes: [] });
  const held = await agent('apply', NAME, ...place.device, '--policy', POLICY, '--hold');
  refused(t, held, 'E_USAGE', '--hold');
  const other = await agent('apply', NAME, ...place.device, '--policy', POLICY, '--backend', 'uio');
  refused(t, other, 'E_USAGE', 'a backend of no name');
  t.strictSame(picture(place.sysfs), place.untouched);
  const applied = await apply(place);
  t.equal(applied.exit, 0);
  t.equal(applied.data.confinement.confined, false);
});

t.test('translation is trusted by the entry that is for this driver and this device', async (t) => {
  const place = await scene(t);
  const host = new Agent({ state: place.state });
  const sysfs = await Sysfs.open(place.sysfs);
  const driver = await loadAccepted(host, NAME);
  const document = JSON.parse(readFileSync(POLICY, 'utf8'));
  const [entry] = document.allow;
  const trusted = async (...allow: object[]): Promise<readonly string[]> => {
    const policy = join(place.folder, 'policy.json');
    writeFileSync(policy, JSON.stringify({ ...document, allow }));
    const request = { name: NAME, bdf: BDF, policy };
    const made = () => makeReady(host, sysfs, driver, request, async () => PREVIEW);
    return (await host.alone(made)).translation;
  };
  const trusting = { ...entry, translation: ['ATS', 'PASID'] };
  t.strictSame(await trusted(trusting), ['ATS', 'PASID']);
  t.strictSame(await trusted(entry), []);
  const another = { ...trusting, devices: [{ vendor: '0x1234', device: '0x11e9' }] };
  const others = { ...trusting, namespace: 'other' };
  t.strictSame(await trusted(another, others, entry, trusting), [], 'by no other');
});
