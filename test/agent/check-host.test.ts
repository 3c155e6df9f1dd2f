/** `check-host` on trees as such hosts show them, and on the host that runs this. */

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import t, { type Test } from 'tap';
import { program } from '../../agent/main.ts';
import { run } from '../cli/support.ts';
import { HOSTS, hostOptions, unpackHost } from './hosts/hosts.ts';
import { whyNot } from './launch-support.ts';

interface Finding {
  readonly check: string;
  readonly state: string;
  readonly what: string;
  readonly remedy: string | null;
}

async function check(...argv: string[]) {
  const { exit, stdout } = await run(program, ['check-host', '--json', ...argv]);
  const { ready, findings } = JSON.parse(stdout).data as { ready: boolean; findings: Finding[] };
  const states = Object.fromEntries(findings.map(({ check, state }) => [check, state]));
  const of = (name: string): Finding => findings.find((one) => one.check === name) as Finding;
  return { exit, ready, findings, states, of };
}

function host(t: Test, name: string): string {
  const folder = unpackHost(name);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

const FINE = {
  iommu: 'ok',
  'default-domains': 'ok',
  'acs-override': 'ok',
  'interrupt-remapping': 'ok',
  'unsafe-interrupts': 'ok',
  'noiommu-mode': 'ok',
  'address-translation': 'ok',
  'vfio-driver': 'ok',
  backend: 'ok',
  memlock: 'ok',
  lockdown: 'ok',
  'control-group': 'ok',
  // It is tried on the host itself.
  sandbox: 'unknown',
};

/** What differs from a host that has everything, and the words that name the facts. */
const EXPECTED: Readonly<Record<string, Record<string, [state: string, what: RegExp]>>> = {
  'debian-server': { iommu: ['ok', /^3 groups of devices, by dmar0, dmar1$/] },
  'virtual-machine': {
    iommu: ['fails', /no IOMMU at work/],
    'default-domains': ['ok', /no groups/],
    'interrupt-remapping': ['fails', /not remapped/],
    'vfio-driver': ['fails', /no driver vfio-pci/],
    backend: ['fails', /neither/],
    lockdown: ['unknown', /cannot be told/],
    'control-group': ['fails', /no memory and no pids/],
  },
  'locked-laptop': {
    'default-domains': ['note', /^2 of 3 groups/],
    'address-translation': ['unknown', /of 2 devices/],
    backend: ['ok', /iommufd and by container/],
    memlock: ['note', /8388608 bytes/],
    lockdown: ['note', /\(integrity\)/],
  },
  'unsafe-workstation': {
    'default-domains': ['fails', /^2 of 2 groups/],
    'acs-override': ['fails', /pcie_acs_override=downstream/],
    'interrupt-remapping': ['fails', /intremap=nosid/],
    'unsafe-interrupts': ['fails', /vfio_iommu_type1\/allow_unsafe_interrupts/],
    'noiommu-mode': ['fails', /enable_unsafe_noiommu_mode/],
    'address-translation': ['note', /0000:17:00\.0 \(ATS\)$/],
    'vfio-driver': ['fails', /no driver/],
    memlock: ['fails', /0 bytes/],
    'control-group': ['fails', /no memory:/],
  },
  'arm-server': {
    'interrupt-remapping': ['unknown', /sysfs does not show/],
    'address-translation': ['ok', /no device/],
    backend: ['ok', /by iommufd$/],
  },
};

t.test('hosts of many kinds', async (t) => {
  t.strictSame(Object.keys(EXPECTED).sort(), [...HOSTS].sort());
  for (const [name, expected] of Object.entries(EXPECTED)) {
    const { exit, ready, findings, states, of } = await check(...hostOptions(host(t, name)));
    const differing = Object.entries(expected).map(([check, [state]]) => [check, state]);
    t.strictSame(states, { ...FINE, ...Object.fromEntries(differing) }, name);
    for (const [check, [, what]] of Object.entries(expected)) t.match(of(check).what, what, name);
    for (const { check, state, remedy } of findings)
      t.equal(remedy === null, state === 'ok', `${name}: ${check} has a remedy when it needs one`);
    const fails = findings.some(({ state }) => state === 'fails');
    t.equal(ready, !fails);
    t.equal(exit, fails ? 20 : 0, name);
  }
});

t.test('strict: what cannot be told counts', async (t) => {
  const options = hostOptions(host(t, 'debian-server'));
  t.match(await check(...options), { exit: 0, ready: true });
  t.match(await check(...options, '--strict'), { exit: 20, ready: false });
});

t.test('each fact makes the difference', async (t) => {
  const folder = host(t, 'debian-server');
  const options = hostOptions(folder);
  const with_ = async (path: string, content: string | undefined, name: string) => {
    const place = join(folder, path);
    rmSync(place);
    if (content !== undefined) writeFileSync(place, content);
    return (await check(...options)).of(name);
  };
  t.match(await with_('sys/kernel/security/lockdown', 'none integrity\n', 'lockdown'), {
    state: 'unknown',
  });
  t.match(await with_('sys/kernel/security/lockdown', '[none] [integrity]\n', 'lockdown'), {
    state: 'unknown',
  });
  t.match(await with_('sys/kernel/security/lockdown', undefined, 'lockdown'), {
    state: 'unknown',
  });
  t.match(await with_('sys/kernel/security/lsm', 'capability\n', 'lockdown'), {
    state: 'ok',
    what: /has no lockdown/,
  });
  t.match(await with_('dev/vfio/vfio', undefined, 'backend'), { state: 'fails' });
  t.match(await with_('sys/kernel/iommu_groups/1/type', '\n', 'default-domains'), {
    state: 'note',
  });
  const config = 'sys/devices/pci0000:00/0000:3b:00.0/config';
  const able = Buffer.alloc(0x200);
  able.writeUInt32LE(0x0001_000f, 0x100);
  writeFileSync(join(folder, config), able);
  t.match((await check(...options)).of('address-translation'), {
    state: 'note',
    what: /can translate.*0000:3b:00\.0 \(ATS\)/,
  });
  rmSync(join(folder, 'sys/kernel/iommu_groups'), { recursive: true });
  t.match((await check(...options)).of('iommu'), {
    state: 'fails',
    what: 'dmar0, dmar1 found, and no device held by any',
  });
});

t.test('people read a table and what to do', async (t) => {
  const { exit, stdout } = await run(program, [
    'check-host',
    ...hostOptions(host(t, 'virtual-machine')),
  ]);
  t.equal(exit, 20);
  t.match(stdout, /^fails +iommu +this host has no IOMMU at work/m);
  t.match(stdout, /^vfio-driver: modprobe vfio-pci$/m);
  t.match(stdout, /^not ready: 5 checks fail, 2 cannot be told$/m);
  const fine = await run(program, ['check-host', ...hostOptions(host(t, 'debian-server'))]);
  t.match(fine.stdout, /^ready: nothing fails, 1 cannot be told$/m);
});

t.test('a host that cannot be read is no ready one', async (t) => {
  const folder = host(t, 'debian-server');
  rmSync(join(folder, 'proc/cmdline'));
  const { exit, stdout } = await run(program, ['check-host', '--json', ...hostOptions(folder)]);
  t.not(exit, 0);
  t.equal(JSON.parse(stdout).error.code, 'E_IO');
});

t.test('this host tries the confinement out', { skip: whyNot() }, async (t) => {
  const { of } = await check();
  t.match(of('sandbox'), { state: 'ok', what: /as user 64999/ });
  const failing = await check('--cgroup', '/nowhere');
  t.match(failing.of('sandbox'), { state: 'fails', what: /no control group/ });
  t.equal(failing.exit, 20);
  t.equal(process.getuid?.(), 0);
});
