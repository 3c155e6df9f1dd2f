/** The whole way, inside: our repository, client and agent, and the example driver at its end. */

import { deepEqual, equal, ok } from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bind } from '../../../agent/bind.ts';
import { REGION } from '../../../agent/host/uapi.ts';
import { release } from '../../../agent/release.ts';
import {
  admit,
  agentArgs,
  ceremony,
  clientArgs,
  publish,
  startService,
  submitCeremony,
} from '../../../scripts/demo/honest.ts';
import { makeScene } from '../../../scripts/demo/scene.ts';
import { must, show } from '../../../scripts/demo/support/programs.ts';
import { acceptedFile, agentState } from '../../../shared/layout.ts';
import { keepScene, openAgent, POLICY, STATE, scene } from '../support/scene.ts';
import { driverOf, EDU, stateOf } from '../support/vfio.ts';
import type { LabCase } from './case.ts';

const DRIVER = '/examples/edu/edu-driver.mjs';
/** The same in C; there when the host had a compiler (`scripts/lab/initramfs.ts`). */
const STATIC_DRIVER = '/examples/edu/edu-driver';

export const wholeWay: readonly LabCase[] = [
  {
    name: 'whole-way',
    title: 'published, fetched and verified, handed over and accepted, inside the machine',
    isGround: true,
    limitSeconds: 3600,
    async run({ say }) {
      process.env.TMPDIR = STATE;
      const made = await makeScene();
      try {
        await ceremony(made);
        say('the ceremony was held');
        await submitCeremony(made);
        await startService(made);
        await admit(made, 'acme');
        const artifact = await publish(made, DRIVER, '1.0.0');
        say(`published ${artifact}`);
        const out = join(made.host, 'driver');
        const url = made.service?.url ?? '';
        say(
          await show('ironport-client', [url, 'get-verified', artifact, out, ...clientArgs(made)]),
        );
        ok(readFileSync(out).equals(readFileSync(DRIVER)), 'what arrived is what was published');
        const folder = join(made.folder, 'handed-over');
        await must('ironport-client', [url, 'handoff', artifact, folder, ...clientArgs(made)]);
        await must('ironport-agent', ['accept', folder, ...agentArgs(made)]);
        const isStatic = existsSync(STATIC_DRIVER);
        const next = await publish(made, isStatic ? STATIC_DRIVER : DRIVER, '1.0.1');
        const second = join(made.folder, 'handed-over-next');
        await must('ironport-client', [url, 'handoff', next, second, ...clientArgs(made)]);
        await must('ironport-agent', ['accept', second, ...agentArgs(made)]);
        const staticName = isStatic ? next : undefined;
        const root = join(made.operator, 'signed', '1.root.json');
        keepScene({
          state: made.agent,
          name: artifact,
          staticName,
          next,
          handedOver: folder,
          root,
        });
      } finally {
        await made.service?.stop();
      }
    },
  },
  {
    name: 'drive',
    title: 'the driver that was accepted drives edu with what it is handed, and nothing is left',
    eachBackend: true,
    async run({ backend, say }) {
      const { agent, sysfs } = await openAgent();
      const { name } = scene();
      const before = stateOf(EDU[0]);
      const { confined, grant } = await bind(agent, sysfs, {
        name,
        bdf: EDU[0],
        policy: POLICY,
        confine: { backend },
        onStep: say,
      });
      ok(confined !== undefined);
      equal(confined.backend, backend);
      equal(driverOf(EDU[0]), 'vfio-pci');
      equal(confined.vfio.isBusMaster, true);
      deepEqual(
        confined.memories.map(({ window, access }) => ({ window, access })),
        grant.dma.windows,
        'the windows of the grant, and nothing else',
      );
      for (const note of confined.notes) say(note);

      const program = '/tmp/driver.mjs';
      const accepted = agent.place(`${agentState.accepted(name)}/${acceptedFile.artifact}`);
      copyFileSync(accepted, program);
      const [memory] = confined.memories;
      ok(memory !== undefined);
      const hex = (value: bigint): string => `0x${value.toString(16)}`;
      const handed = {
        schema: 'ironport.driver/v1',
        registers: [
          {
            bar: 0,
            offset: '0x0',
            length: '0x1000',
            fd: 3,
            at: hex(confined.vfio.region(REGION.bar0).offset),
          },
        ],
        dma: [
          { iova: hex(memory.window.start), length: hex(BigInt(memory.length)), fd: 4, at: '0x0' },
        ],
      };
      const drove = spawnSync(process.execPath, [program], {
        stdio: ['ignore', 'pipe', 'pipe', confined.vfio.fd, memory.fd],
        env: { IRONPORT_DRIVER: JSON.stringify(handed) },
        encoding: 'utf8',
      });
      say(`${drove.stdout}${drove.stderr}`);
      equal(drove.status, 0, 'it drives the device, transfers included');
      ok(drove.stdout.includes('transfers: up to'), 'bytes moved');

      await release(agent, sysfs, { bdf: EDU[0], confined, onStep: say });
      deepEqual(stateOf(EDU[0]), before, 'the state before, exactly');
    },
  },
  {
    name: 'hold',
    title: '`apply --hold` holds, and lets go when another process releases',
    eachBackend: true,
    limitSeconds: 600,
    async run({ backend, say }) {
      const { state, name } = scene();
      const before = stateOf(EDU[0]);
      const common = ['--state', state, '--device', EDU[0], '--write-timeout', '200'];
      const holder = spawn(
        process.execPath,
        [
          ...['/bin/ironport-agent.js', 'apply', name, ...common, '--policy', POLICY],
          ...['--settle-timeout', '60', '--hold', '--backend', backend, '--json'],
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let stdout = '';
      holder.stdout.on('data', (data) => (stdout += data));
      const holding = new Promise<void>((resolve, reject) => {
        let stderr = '';
        holder.stderr.on('data', (data) => {
          stderr += data;
          say(String(data).trimEnd());
          if (stderr.includes(`holding ${EDU[0]}`)) resolve();
        });
        holder.once('exit', () => reject(new Error(`it ended: ${stdout}`)));
      });
      const ended = new Promise<number | null>((resolve) => holder.once('exit', resolve));
      await holding;
      const command = readFileSync(`/sys/bus/pci/devices/${EDU[0]}/config`).readUInt16LE(4);
      equal(command & 4, 4, 'the bus master is on while it is held');
      await must('ironport-agent', ['release', ...common, '--settle-timeout', '60']);
      equal(await ended, 0);
      const { data } = JSON.parse(stdout);
      equal(data.confinement.confined, true);
      equal(data.confinement.backend, backend);
      deepEqual(stateOf(EDU[0]), before);
    },
  },
];
