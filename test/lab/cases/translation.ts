/** A device with ATS, which the kernel has turned on: bound where fleet policy trusts it with that, and nowhere else. */

import { deepEqual, equal, fail, ok, rejects } from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { Agent } from '../../../agent/agent.ts';
import { readAudit } from '../../../agent/audit.ts';
import { type Bound, bind } from '../../../agent/bind.ts';
import { enabledTranslation } from '../../../agent/host/config.ts';
import { Sysfs } from '../../../agent/host/sysfs.ts';
import { release } from '../../../agent/release.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { keepAccepted } from '../support/nvme-drivers.ts';
import { Rng } from '../support/rng.ts';
import { stateOf, translatingDevice } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

const POLICY = '/tmp/translation-policy.json';
const LENGTH = 64;
/** BAR 4 has all structures of a virtio device (QEMU, hw/virtio/virtio-pci.c). */
const BAR = { index: 4, access: 'read-write' };

const IDS = { vendor: '0x1af4', device: '0x1044' } as const;

const CEILING: JsonObject = {
  devices: [IDS],
  bars: [{ ...BAR, offset_bytes: '0x0', length_bytes: '0x4000' }],
  ports: [],
  interrupts: { kind: 'none', vectors: 0, per_second_budget: 0 },
  dma: { mask_bits: 48, total_bytes: '0x2000', windows_max: 1, direction: 'bidirectional' },
  abi: { min: 1, max: 1 },
  generation: 1,
};

/** Of a fleet that trusts such devices with this. */
function writePolicy(translation: readonly string[]): void {
  const policy = {
    schema: 'ironport.fleet-policy/v1',
    page_size_bytes: 4096,
    grant_seconds: 86_400,
    allow: [
      {
        namespace: 'acme',
        devices: [IDS],
        bars: [BAR],
        ports: false,
        interrupts: { kinds: [], vectors: 0, per_second_budget: 0 },
        dma: { total_bytes: '0x2000', windows_max: 1, direction: 'bidirectional' },
        translation,
      },
    ],
  };
  writeFileSync(POLICY, JSON.stringify(policy));
}

/** What the kernel has turned on, by what the device itself shows. */
function enabled(bdf: string): string[] {
  return enabledTranslation(readFileSync(`/sys/bus/pci/devices/${bdf}/config`));
}

/** It writes into its window, and is driven as any other. */
async function moves({ confined }: Bound): Promise<void> {
  const [memory] = confined?.memories ?? [];
  ok(confined !== undefined && memory !== undefined);
  const rng = new Rng(confined.vfio, memory);
  await rng.begin();
  rng.fill(Buffer.alloc(LENGTH));
  rng.ask(LENGTH);
  while (rng.filled(LENGTH).equals(Buffer.alloc(LENGTH))) await setTimeout(20);
}

export const translation: readonly LabCase[] = [
  {
    name: 'translation',
    title:
      'a device that translates addresses by itself is bound only where it is trusted with that',
    standsAlone: true,
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      const state = `/tmp/translation-agent-${backend}`;
      const agent = new Agent({ state, writeSeconds: 200, settleSeconds: 60 });
      await agent.alone(async () => {});
      const sysfs = await Sysfs.open('/sys');
      const name = keepAccepted(agent, 'rng', CEILING, IDS);
      const bdf = translatingDevice();
      const before = stateOf(bdf);
      const attempt = (trusted: readonly string[]): Promise<Bound> => {
        writePolicy(trusted);
        return bind(agent, sysfs, { name, bdf, policy: POLICY, confine: { backend } });
      };
      for (const trusted of [[], ['PRI', 'PASID']]) {
        say(`trusted with ${trusted.join(' and ') || 'nothing'}`);
        await rejects(attempt(trusted), { code: 'E_DEVICE_TRANSLATES' });
        deepEqual(stateOf(bdf), before, 'the state before, exactly');
      }
      say('trusted with ATS');
      const bound = await attempt(['ATS']).catch((error) => fail(`it was not bound: ${error}`));
      deepEqual(enabled(bdf), ['ATS'], 'the kernel has turned it on');
      await moves(bound);
      await release(agent, sysfs, { bdf, confined: bound.confined });
      deepEqual(stateOf(bdf), before);

      const lines: JsonObject[] = [];
      for await (const { event, fields } of readAudit(agent.audit.path))
        if (event === 'translation-trusted') lines.push(fields);
      equal(lines.length, 1, 'one line, of the attempt that was trusted');
      deepEqual(lines[0]?.enabled, ['ATS']);
    },
  },
];
