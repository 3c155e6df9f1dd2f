/** Each refusal on a tree that deserves it, for its own reason; every case has its honest twin. */

import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent } from '../../agent/agent.ts';
import { assess, gateEvents } from '../../agent/assess.ts';
import { bind } from '../../agent/bind.ts';
import { loadAccepted } from '../../agent/entry.ts';
import type { GateInput } from '../../agent/gates/gate.ts';
import { askGates, GATES } from '../../agent/gates/gates.ts';
import { readHostFacts } from '../../agent/host/host-facts.ts';
import { Sysfs } from '../../agent/host/sysfs.ts';
import { BRIDGE, EDU_DEVICE, type PlayedDevice } from '../../scripts/demo/kernel/devices.ts';
import {
  agent,
  apply,
  BDF,
  CEILING,
  NAME,
  POLICY,
  picture,
  procOf,
  refused,
  type Scene,
  scene,
  withMembers,
} from './support.ts';

t.setTimeout(600_000);
t.jobs = 4;

const OTHER: PlayedDevice = { ...EDU_DEVICE, bdf: '0000:00:06.0', device: 0x1111, driver: null };
const SERVING: PlayedDevice = { ...OTHER, group: 9, driver: 'pci-stub' };

interface Case {
  readonly reason: string;
  readonly name: string;
  readonly edu?: Partial<PlayedDevice>;
  readonly others?: readonly PlayedDevice[];
  /** Files below the root of the tree. */
  readonly files?: Readonly<Record<string, string>>;
  /** Links below the root, with where they lead from there. */
  readonly links?: Readonly<Record<string, string>>;
  readonly remove?: readonly string[];
  /** What is on the bus with the device, which is then behind the bridge. */
  readonly behind?: readonly string[];
  /** For a case whose tree has no other device than these. */
  readonly devices?: readonly PlayedDevice[];
}

/** What scripts are promised: a code for each reason. */
const CODE: Readonly<Record<string, string>> = {
  quarantined: 'E_QUARANTINED',
  'bridge-device': 'E_BRIDGE',
  'wrong-ids': 'E_WRONG_DEVICE',
  'wrong-vendor': 'E_NOT_AUTHORISED',
  'physical-function': 'E_PHYSICAL_FUNCTION',
  'virtual-function': 'E_VIRTUAL_FUNCTION',
  'physical-function-gone': 'E_PF_GONE',
  'physical-function-driver': 'E_PF_NO_DRIVER',
  'no-iommu': 'E_NO_IOMMU',
  'no-iommu-group': 'E_NO_IOMMU_GROUP',
  noiommu: 'E_NOIOMMU_MODE',
  'identity-group': 'E_IDENTITY_GROUP',
  'acs-override': 'E_ACS_OVERRIDE',
  'group-member-uncovered': 'E_GROUP_SHARED',
  'reset-shared': 'E_RESET_SHARED',
  'unsafe-interrupts': 'E_UNSAFE_INTERRUPTS',
  'no-interrupt-remapping': 'E_NO_INTERRUPT_REMAPPING',
  'boot-vga': 'E_BOOT_DISPLAY',
  'in-use': 'E_DEVICE_IN_USE',
  'no-vfio-driver': 'E_NO_VFIO_DRIVER',
};

const FOLDER = `devices/pci0000:00/${BDF}`;
const GROUP = 'kernel/iommu_groups/7';

const irq = (number: number, chip: string): Record<string, string> => ({
  [`kernel/irq/${number}/chip_name`]: `${chip}\n`,
});

const REFUSED: readonly Case[] = [
  { reason: 'bridge-device', name: 'a root port', edu: { class: 0x060400 } },
  { reason: 'bridge-device', name: 'a bridge by its header', edu: { headerType: 1 } },
  {
    reason: 'bridge-device',
    name: 'a header that cannot be read',
    files: { [`${FOLDER}/config`]: 'short' },
  },
  { reason: 'wrong-ids', name: 'another device', edu: { device: 0x11e9 } },
  { reason: 'wrong-ids', name: 'another class', edu: { class: 0x020000 } },
  { reason: 'no-iommu-group', name: 'no IOMMU', edu: { group: null } },
  {
    reason: 'no-iommu',
    name: 'no device is in a group',
    devices: [
      { ...BRIDGE, group: null },
      { ...EDU_DEVICE, group: null },
    ],
  },
  {
    reason: 'no-iommu',
    name: 'all groups are made by VFIO',
    devices: [EDU_DEVICE],
    files: { [`${GROUP}/name`]: 'vfio-noiommu\n' },
  },
  {
    reason: 'physical-function',
    name: 'virtual functions that are on',
    files: { [`${FOLDER}/sriov_totalvfs`]: '8\n', [`${FOLDER}/sriov_numvfs`]: '2\n' },
  },
  {
    reason: 'physical-function',
    name: 'a number that is none',
    files: { [`${FOLDER}/sriov_totalvfs`]: '8\n', [`${FOLDER}/sriov_numvfs`]: 'many\n' },
  },
  {
    reason: 'physical-function',
    name: 'a number that is not said',
    files: { [`${FOLDER}/sriov_totalvfs`]: '8\n' },
  },
  {
    reason: 'physical-function',
    name: 'virtual functions that are on, of a number that is not said',
    files: { [`${FOLDER}/sriov_numvfs`]: '2\n' },
  },
  {
    reason: 'physical-function-gone',
    name: 'a virtual function alone',
    links: { [`${FOLDER}/physfn`]: 'devices/pci0000:00/0000:00:06.0' },
  },
  {
    reason: 'physical-function-driver',
    name: 'a virtual function that nobody serves',
    others: [OTHER],
    links: { [`${FOLDER}/physfn`]: 'devices/pci0000:00/0000:00:06.0' },
  },
  {
    reason: 'physical-function-driver',
    name: 'a virtual function whose physical one is in user space',
    others: [{ ...OTHER, driver: 'vfio-pci' }],
    links: { [`${FOLDER}/physfn`]: 'devices/pci0000:00/0000:00:06.0' },
  },
  {
    reason: 'no-interrupt-remapping',
    name: 'an IO-APIC without it',
    files: { ...irq(1, 'IO-APIC'), ...irq(24, 'PCI-MSIX-0000:00:05.0') },
  },
  { reason: 'identity-group', name: 'passed through', files: { [`${GROUP}/type`]: 'identity\n' } },
  {
    reason: 'identity-group',
    name: 'a type that is unknown',
    files: { [`${GROUP}/type`]: 'new\n' },
  },
  { reason: 'identity-group', name: 'a kernel that does not say', remove: [`${GROUP}/type`] },
  {
    reason: 'noiommu',
    name: 'a group without an IOMMU',
    files: { [`${GROUP}/name`]: 'vfio-noiommu\n' },
  },
  {
    reason: 'noiommu',
    name: 'the mode',
    files: { 'module/vfio/parameters/enable_unsafe_noiommu_mode': 'Y\n' },
  },
  {
    reason: 'unsafe-interrupts',
    name: 'type1',
    files: { 'module/vfio_iommu_type1/parameters/allow_unsafe_interrupts': 'Y\n' },
  },
  {
    reason: 'unsafe-interrupts',
    name: 'iommufd',
    files: { 'module/iommufd/parameters/allow_unsafe_interrupts': 'Y\n' },
  },
  { reason: 'group-member-uncovered', name: 'another function', others: [OTHER] },
  {
    reason: 'group-member-uncovered',
    name: 'another function that VFIO has',
    others: [{ ...OTHER, driver: 'vfio-pci' }],
  },
  {
    reason: 'group-member-uncovered',
    name: 'a bridge that is driven by something else',
    others: [{ ...BRIDGE, bdf: '0000:00:06.0', group: 7, driver: 'vfio-pci' }],
  },
  {
    reason: 'group-member-uncovered',
    name: 'a member that is no PCI function',
    links: { [`${GROUP}/devices/platform-thing`]: FOLDER },
  },
  {
    reason: 'group-member-uncovered',
    name: 'a group that does not say who is in it',
    remove: [`${GROUP}/devices`],
  },
  {
    reason: 'group-member-uncovered',
    name: 'a group that holds others, and not the device',
    remove: [`${GROUP}/devices/${BDF}`],
  },
  {
    reason: 'reset-shared',
    name: 'a neighbour on the bus, and no reset of its own',
    behind: ['0000:01:00.1'],
  },
  {
    reason: 'reset-shared',
    name: 'what is below the bus, and every reset turned off',
    behind: ['0000:01:01.0/0000:02:00.0'],
    files: { [`${FOLDER}/reset_method`]: '\n', [`${FOLDER}/reset`]: '' },
  },
  { reason: 'boot-vga', name: 'the first display', files: { [`${FOLDER}/boot_vga`]: '1\n' } },
  { reason: 'boot-vga', name: 'a display, who knows', files: { [`${FOLDER}/boot_vga`]: '\n' } },
  {
    reason: 'in-use',
    name: 'a disk with something built on it',
    files: { [`${FOLDER}/nvme/nvme0/nvme0n1/dev`]: '259:0\n' },
    links: { [`${FOLDER}/nvme/nvme0/nvme0n1/holders/dm-0`]: 'devices' },
  },
  {
    reason: 'in-use',
    name: 'an interface that is up',
    files: { [`${FOLDER}/net/eth0/flags`]: '0x1003\n' },
  },
  {
    reason: 'in-use',
    name: 'an interface that does not say',
    files: { [`${FOLDER}/net/eth0/flags`]: '\n' },
  },
  {
    reason: 'in-use',
    name: 'a member of a mounted btrfs',
    files: { [`${FOLDER}/nvme/nvme0/nvme0n1/holders/.keep`]: '' },
    links: { 'fs/btrfs/0f-1e/devices/nvme0n1': 'devices' },
    remove: [`${FOLDER}/nvme/nvme0/nvme0n1/holders/.keep`],
  },
  {
    reason: 'in-use',
    name: 'an interface in a bond',
    files: { [`${FOLDER}/net/eth0/flags`]: '0x1002\n' },
    links: { [`${FOLDER}/net/eth0/master`]: 'devices' },
  },
  { reason: 'no-vfio-driver', name: 'no driver to bind to', remove: ['bus/pci/drivers/vfio-pci'] },
];

const PASSED: readonly Case[] = [
  { reason: '', name: 'as it is' },
  { reason: '', name: 'a queue of flushes', files: { [`${GROUP}/type`]: 'DMA-FQ\n' } },
  {
    reason: '',
    name: 'a plain bridge in the group',
    others: [{ ...BRIDGE, bdf: '0000:00:06.0', group: 7 }],
  },
  {
    reason: '',
    name: 'an IO-APIC with remapping, seen before what is not remapped',
    files: { ...irq(9, 'IR-IO-APIC'), ...irq(10, 'IO-APIC'), ...irq(2, 'PCI-MSI-0000:00:1f.2') },
  },
  { reason: '', name: 'interrupts of another architecture', files: irq(4, 'ITS-MSI') },
  {
    reason: '',
    name: 'a physical function without virtual ones',
    files: { [`${FOLDER}/sriov_totalvfs`]: '8\n', [`${FOLDER}/sriov_numvfs`]: '0\n' },
  },
  {
    reason: '',
    name: 'a virtual function, for a driver that manages none',
    others: [SERVING],
    links: { [`${FOLDER}/physfn`]: 'devices/pci0000:00/0000:00:06.0' },
  },
  { reason: '', name: 'no reset at all, but alone behind its bridge', behind: [] },
  {
    reason: '',
    name: 'a neighbour on the bus, and a reset of its own',
    behind: ['0000:01:00.1'],
    files: { [`${FOLDER}/reset_method`]: 'flr\n' },
  },
  {
    reason: '',
    name: 'a neighbour on the bus, on a kernel that does not name the reset',
    behind: ['0000:01:00.1'],
    files: { [`${FOLDER}/reset`]: '' },
  },
  {
    reason: '',
    name: 'neighbours on the root bus, which nothing resets',
    others: [{ ...OTHER, group: 9 }],
  },
  { reason: '', name: 'a second display', files: { [`${FOLDER}/boot_vga`]: '0\n' } },
  {
    reason: '',
    name: 'a disk that nobody uses',
    files: {
      [`${FOLDER}/nvme/nvme0/nvme0n1/dev`]: '259:0\n',
      [`${FOLDER}/nvme/nvme0/nvme0n1/holders/.keep`]: '',
    },
    remove: [`${FOLDER}/nvme/nvme0/nvme0n1/holders/.keep`],
  },
  {
    reason: '',
    name: 'an interface that is down',
    files: { [`${FOLDER}/net/eth0/flags`]: '0x1002\n' },
  },
  {
    reason: '',
    name: 'what belongs to a function behind it',
    files: { [`${FOLDER}/0000:01:00.0/net/eth0/flags`]: '0x1003\n' },
  },
];

function prepare(
  t: Test,
  { edu, others = [], devices, behind, files = {}, links = {}, remove = [] }: Case,
): Promise<Scene> {
  return scene(t, { devices: devices ?? [BRIDGE, { ...EDU_DEVICE, ...edu }, ...others] }).then(
    (place) => {
      const at = (path: string): string => {
        const full = join(place.sysfs, path);
        mkdirSync(dirname(full), { recursive: true });
        return full;
      };
      if (behind !== undefined) {
        const bridge = `devices/pci0000:00/${BRIDGE.bdf}`;
        renameSync(join(place.sysfs, FOLDER), at(`${bridge}/${BDF}`));
        symlinkSync(`${BRIDGE.bdf}/${BDF}`, join(place.sysfs, FOLDER));
        for (const path of behind) at(`${bridge}/${path}/vendor`);
      }
      for (const [path, content] of Object.entries(files)) writeFileSync(at(path), content);
      for (const [path, target] of Object.entries(links))
        symlinkSync(join(place.sysfs, target), at(path));
      for (const path of remove) rmSync(join(place.sysfs, path), { recursive: true });
      return { ...place, untouched: picture(place.sysfs) };
    },
  );
}

for (const one of REFUSED) {
  t.test(`${one.reason}: ${one.name}`, { buffered: true }, async (t) => {
    const place = await prepare(t, one);
    const answer = await apply(place);
    const reasons = String(answer.error?.context.reasons).split(', ');
    refused(t, answer, CODE[reasons[0] as string] as string, one.name, reasons[0]);
    t.ok(reasons.includes(one.reason), `${answer.error?.context.reasons}`);
    t.strictSame(picture(place.sysfs), place.untouched, 'nothing was touched');
    const why = await agent('why', NAME, ...place.device);
    const gate = why.data.gates.find((each: { gate: string }) => each.gate === one.reason);
    t.equal(gate.pass, false);
    t.equal(gate.code, CODE[one.reason]);
    t.ok(gate.remedy.length > 0, 'it is said what would make it viable');
    const { data } = await agent('audit', 'tail', '-n', '30', '--state', place.state);
    const line = data.lines.findLast(
      (each: { event: string; gate: string }) => each.event === 'gate' && each.gate === one.reason,
    );
    t.equal(line.decision, 'refuse');
    t.match(line.inputs, { device: /^[0-9a-f]{64}$/, ceiling: /^[0-9a-f]{64}$/ });
  });
}

for (const one of PASSED) {
  t.test(`passes: ${one.name}`, { buffered: true }, async (t) => {
    const place = await prepare(t, one);
    const sysfs = await Sysfs.open(place.sysfs);
    const { decisions } = await assess(new Agent({ state: place.state }), sysfs, BDF);
    const refusing = decisions.filter(({ objection }) => objection !== undefined);
    t.strictSame(refusing, []);
  });
}

t.test('wrong-vendor: hardware that the operators gave, and took back', async (t) => {
  const place = await scene(t);
  const { repository, state, folder } = place;
  repository.setHardware('PCI:0x1234:0x0001');
  // A ceiling may name more than one device; the one that is bound must be the vendor's.
  const path = await repository.add({
    path: 'acme/edu/1.1.0/edu-driver.mjs',
    ceiling: withMembers(CEILING, { devices: [{ vendor: '0x1234', device: '0x0001' }] }),
  });
  const handedOver = repository.handOver(join(folder, 'second'), path);
  t.equal((await agent('accept', handedOver, '--state', state)).exit, 0);
  const answer = await agent('apply', path, ...place.device);
  t.equal(answer.error.context.reasons, 'wrong-ids, wrong-vendor');
});

t.test('wrong-vendor: hardware of a class', async (t) => {
  // The device is of class 0x00ff00, whatever the ceiling says.
  for (const [id, device, reasons] of [
    ['PCI:0x1234,class=0x00', { class: '0x00ff00' }, undefined],
    ['PCI:0x1234,class=0x02', { class: '0x020000' }, 'wrong-ids, wrong-vendor'],
  ] as const) {
    const place = await scene(t);
    const { repository, state, folder } = place;
    repository.setHardware(id);
    const path = await repository.add({
      path: 'acme/edu/1.1.0/edu-driver.mjs',
      ceiling: withMembers(CEILING, {
        devices: [{ vendor: '0x1234', device: '0x11e8', ...device }],
      }),
    });
    const handedOver = repository.handOver(join(folder, 'second'), path);
    t.equal((await agent('accept', handedOver, '--state', state)).exit, 0, id);
    const answer = await agent('apply', path, ...place.device);
    t.equal(answer.error?.context.reasons, reasons, id);
  }
});

const STARTED = [
  ['acs-override', 'quiet pcie_acs_override=downstream,multifunction'],
  ['acs-override', 'pcie-acs-override=id:1234:11e8 quiet'],
  ['acs-override', '"pcie_acs_override=downstream"'],
  ['acs-override', 'a="b c" pcie_acs_override'],
  ['no-interrupt-remapping', 'intremap=off'],
  ['no-interrupt-remapping', 'intremap=no_x2apic_optout,nosid'],
  ['no-interrupt-remapping', 'ro nointremap'],
  // drivers/iommu/irq_remapping.c, setup_irqremap(): strncmp with as much as the word has.
  ['no-interrupt-remapping', 'intremap=nosids'],
  ['no-interrupt-remapping', 'intremap=offline'],
  ['no-interrupt-remapping', 'intremap=x=,off'],
  ['no-interrupt-remapping', 'intremap=,,off'],
  ['no-interrupt-remapping', 'intremap=on,off'],
  ['no-interrupt-remapping', 'intremap=on intremap=off'],
  ['no-interrupt-remapping', 'intremap=nosid,on'],
  ['no-interrupt-remapping', 'nointremap=0'],
  // isspace() of the kernel takes the byte A0 for a space, wherever it stands.
  ['no-interrupt-remapping', 'a=b\u00a0nointremap'],
] as const;

t.test('what the kernel was started with', async (t) => {
  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const request = { name: NAME, bdf: BDF, policy: POLICY };
  for (const [reason, options] of STARTED) {
    const helper = new Agent({ state: place.state, proc: procOf(t, options) });
    await t.rejects(
      bind(helper, sysfs, request),
      { code: CODE[reason], context: { reason, reasons: reason } },
      options,
    );
    t.strictSame(picture(place.sysfs), place.untouched, 'nothing was touched');
  }
  for (const options of [
    'intel_iommu=on intremap=on pci=noats',
    'note="pcie_acs_override=downstream intremap=off"',
    'quiet -- pcie_acs_override=downstream nointremap',
    'no_pcie_acs_override intremap=nopost',
    'intremap=off,on',
    'nointremap intremap=only',
    'intremap intremap= intremap=no,of,xoff',
    '',
  ]) {
    const helper = new Agent({ state: place.state, proc: procOf(t, options) });
    const { decisions } = await assess(helper, sysfs, BDF);
    const refusing = decisions.filter(({ objection }) => objection !== undefined);
    t.strictSame(refusing, [], options);
  }
});

t.test('memory that may be locked: too little is refused, with both numbers', async (t) => {
  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const proc = procOf(t, '');
  writeFileSync(join(proc, 'self/status'), 'CapEff:\t0000000000000000\n');
  const limits = (bytes: number): void =>
    writeFileSync(join(proc, 'self/limits'), `Max locked memory  ${bytes}  ${bytes}  bytes\n`);
  const helper = new Agent({ state: place.state, proc });
  const request = { name: NAME, bdf: BDF, policy: POLICY, confine: {} };
  limits(65_535);
  await t.rejects(bind(helper, sysfs, request), {
    code: 'E_MEMLOCK',
    hint: /raise it to 65536 bytes/,
    context: { reason: 'memlock', needed_bytes: '65536', limit_bytes: '65535' },
  });
  t.strictSame(picture(place.sysfs), place.untouched, 'nothing was touched');
});

t.test('the audit log keeps the hash of how the kernel was started', async (t) => {
  const place = await scene(t);
  const sysfs = await Sysfs.open(place.sysfs);
  const hashes = new Set<unknown>();
  for (const options of ['quiet', 'quiet nointremap']) {
    const helper = new Agent({ state: place.state, proc: procOf(t, options) });
    const assessment = await assess(helper, sysfs, BDF);
    const driver = await loadAccepted(helper, NAME);
    for (const { inputs } of gateEvents(assessment, driver)) hashes.add(JSON.stringify(inputs));
  }
  t.equal(hashes.size, 2);
});

t.test('virtual-function: a driver that manages them gets the physical one', async (t) => {
  const place = await scene(t);
  const helper = new Agent({ state: place.state, proc: procOf(t, '') });
  const sysfs = await Sysfs.open(place.sysfs);
  const host = await readHostFacts(sysfs, helper.proc);
  const { device } = await assess(helper, sysfs, BDF);
  const driver = await loadAccepted(helper, NAME);
  const each = { dmaBytes: 4096n, mmioBytes: 4096n, interruptsPerSecond: 0 };
  const manager = {
    ...driver,
    ceiling: { ...driver.ceiling, virtualFunctions: { countMax: 4, each } },
  };
  const virtual = { ...device, physicalFunction: '0000:00:06.0' };
  const reasons = (input: GateInput): string[] =>
    askGates(input).flatMap(({ gate, objection }) => (objection ? [gate.code] : []));
  t.strictSame(reasons({ device: virtual, host, driver: manager }), ['E_VIRTUAL_FUNCTION']);
  t.strictSame(reasons({ device, host, driver: manager }), []);
  t.strictSame(reasons({ device: virtual, host, driver }), []);
});

t.test('every gate has a case here, and a code of its own', async (t) => {
  const covered = new Set([
    ...REFUSED.map(({ reason }) => reason),
    ...STARTED.map(([reason]) => reason),
    ...['wrong-vendor', 'virtual-function'],
    // quarantine.test.ts
    'quarantined',
  ]);
  t.strictSame([...covered].sort(), GATES.map(({ reason }) => reason).sort());
  t.strictSame(Object.fromEntries(GATES.map(({ reason, code }) => [reason, code])), CODE);
  t.equal(new Set(GATES.map(({ code }) => code)).size, GATES.length);
});

t.test('unknown is not unused: without /proc nothing is bound', async (t) => {
  const place = await scene(t);
  const empty = mkdtempSync(join(tmpdir(), 'ironport-proc-'));
  t.teardown(() => rmSync(empty, { recursive: true }));
  const helper = new Agent({ state: place.state, proc: empty });
  await t.rejects(assess(helper, await Sysfs.open(place.sysfs), BDF), { code: 'E_IO' });
});
