// What the operators grant to vendors.

import t from 'tap';
import { Node } from '../../shared/json/decode.ts';
import { type JsonValue, jsonObject } from '../../shared/json/value.ts';
import {
  formatHardwareId,
  mayBeOf,
  overlap,
  parseHardwareId,
  readHardwareId,
} from '../../shared/tuf/hardware-id.ts';
import {
  EXTENSION_FIELD,
  parseVendors,
  vendorsField,
  verifyHardware,
} from '../../shared/tuf/vendors.ts';
import { testKey } from '../support/keys.ts';

const vendor = {
  name: 'acme',
  hardwareIds: [parseHardwareId('PCI:0x1234:0x11e8'), parseHardwareId('PCI:0x8086')],
  apiKeys: [testKey('api').key],
  contact: 'security@acme.example',
};

function read(value: JsonValue) {
  return parseVendors(new Node(jsonObject([[EXTENSION_FIELD, value]]), 'targets'));
}

t.test('vendors are read back as they were written', async (t) => {
  t.strictSame([...read(vendorsField([vendor])).values()], [vendor]);
  t.equal(parseVendors(new Node(jsonObject([]), 'targets')).size, 0);
});

t.test('hardware ids', async (t) => {
  for (const text of [
    'PCI:0x1234',
    'PCI:0x1234:0x11e8',
    'PCI:0x1234,subsystem=0x1af4',
    'PCI:0x1234:0x11e8,subsystem=0x1af4:0x0001,class=0x00ff00',
    'PCI:0x1234,class=0x02',
    'PCI:0x1234,class=0x0200',
  ]) {
    t.equal(formatHardwareId(parseHardwareId(text)), text);
  }
  t.equal(
    formatHardwareId(readHardwareId('PCI:0x10DE:0X11E8,class=0x00FF')),
    'PCI:0x10de:0x11e8,class=0x00ff',
    'as data sheets print it',
  );
  for (const bad of [
    '',
    'PCI:1234',
    'pci:0x1234',
    'PCI:0x123',
    'PCI:0x12345',
    'PCI:0xABCD',
    'PCI:0x1234:*',
    'USB:0x1234',
    'PCI:0x1234 ',
    'PCI:0x1234,',
    'PCI:0x1234,class=0x2',
    'PCI:0x1234,class=0x02000000',
    'PCI:0x1234,subsystem=:0x0001',
    'PCI:0x1234,class=0x02,subsystem=0x1af4',
  ]) {
    t.throws(() => parseHardwareId(bad), { code: 'E_SCHEMA' }, bad);
  }
});

t.test('a vendor speaks for its hardware and for no other', async (t) => {
  const verify = (one: typeof vendor | undefined, vendorId: number, device: number) =>
    verifyHardware(one, 'acme', { vendor: vendorId, device });
  verify(vendor, 0x1234, 0x11e8);
  verify(vendor, 0x8086, 0xffff);
  for (const [v, d] of [
    [0x1234, 0x11e9],
    [0x1233, 0x11e8],
    [0, 0],
  ] as const) {
    t.throws(() => verify(vendor, v, d), { code: 'E_NOT_AUTHORISED' });
  }
  t.throws(() => verify(undefined, 0x8086, 1), { code: 'E_NOT_AUTHORISED' });
  t.throws(() => verify({ ...vendor, hardwareIds: [] }, 0x1234, 0x11e8), {
    code: 'E_NOT_AUTHORISED',
  });
});

t.test('of a board or a class, no more than that', async (t) => {
  const ids = (...texts: string[]) => ({ ...vendor, hardwareIds: texts.map(parseHardwareId) });
  const edu = { vendor: 0x1234, device: 0x11e8 };
  const board = { ...edu, subsystemVendor: 0x1af4, subsystemDevice: 0x1100, class: 0x020000 };
  const { subsystemDevice: _, ...anyBoard } = board;
  for (const [id, asked, may] of [
    ['PCI:0x1234', edu, true],
    ['PCI:0x1234,class=0x02', board, true],
    ['PCI:0x1234,class=0x0200', board, true],
    ['PCI:0x1234,class=0x020000', board, true],
    ['PCI:0x1234,class=0x0201', board, false],
    ['PCI:0x1234,class=0x03', board, false],
    ['PCI:0x1234,class=0x020001', board, false],
    ['PCI:0x1234,class=0x02', edu, false],
    ['PCI:0x1234,subsystem=0x1af4', board, true],
    ['PCI:0x1234,subsystem=0x1af4', anyBoard, true],
    ['PCI:0x1234,subsystem=0x1af4', edu, false],
    ['PCI:0x1234,subsystem=0x1af5', board, false],
    ['PCI:0x1234:0x11e8,subsystem=0x1af4:0x1100', board, true],
    ['PCI:0x1234:0x11e8,subsystem=0x1af4:0x1100', anyBoard, false],
    ['PCI:0x1234:0x11e8,subsystem=0x1af4:0x1101', board, false],
    ['PCI:0x1235,subsystem=0x1af4', board, false],
  ] as const) {
    const act = () => verifyHardware(ids(id), 'acme', asked);
    if (may) t.doesNotThrow(act, id);
    else t.throws(act, { code: 'E_NOT_AUTHORISED' }, id);
  }
  const refused = (() => {
    try {
      return verifyHardware(ids('PCI:0x1234,class=0x02'), 'acme', edu);
    } catch (error) {
      return error;
    }
  })();
  t.match(refused, {
    why: /give it PCI:0x1234,class=0x02, and more than that is asked for/,
    hint: /name the subsystem and the class/,
  });
  verifyHardware(ids('PCI:0x1234,class=0x03', 'PCI:0x1234,class=0x02'), 'acme', board);
});

t.test('two ids meet where one device can be of both', async (t) => {
  for (const [a, b, meet] of [
    ['PCI:0x1234', 'PCI:0x1234:0x11e8', true],
    ['PCI:0x1234:0x11e8', 'PCI:0x1234:0x11e9', false],
    ['PCI:0x1234', 'PCI:0x1235', false],
    ['PCI:0x1234', 'PCI:0x1234,subsystem=0x1af4', true],
    ['PCI:0x1234:0x11e8,class=0x02', 'PCI:0x1234,subsystem=0x1af4', true],
    ['PCI:0x1234,subsystem=0x1af4', 'PCI:0x1234,subsystem=0x1af5', false],
    ['PCI:0x1234,subsystem=0x1af4', 'PCI:0x1234,subsystem=0x1af4:0x0001', true],
    ['PCI:0x1234,subsystem=0x1af4:0x0002', 'PCI:0x1234,subsystem=0x1af4:0x0001', false],
    ['PCI:0x1234,class=0x02', 'PCI:0x1234,class=0x0280', true],
    ['PCI:0x1234,class=0x0200', 'PCI:0x1234,class=0x0280', false],
    ['PCI:0x1234,class=0x02', 'PCI:0x1234,class=0x03', false],
  ] as const) {
    const [one, other] = [parseHardwareId(a), parseHardwareId(b)];
    t.equal(overlap(one, other), meet, `${a} and ${b}`);
    t.equal(overlap(other, one), meet, `${b} and ${a}`);
  }
});

t.test('what may be of an id, as far as it is known', async (t) => {
  const edu = { vendor: 0x1234, device: 0x11e8 };
  t.equal(mayBeOf(parseHardwareId('PCI:0x1234,class=0x02'), edu), true);
  t.equal(mayBeOf(parseHardwareId('PCI:0x1234,class=0x02'), { ...edu, class: 0x020000 }), true);
  t.equal(mayBeOf(parseHardwareId('PCI:0x1234,class=0x02'), { ...edu, class: 0x030000 }), false);
  const other = { ...edu, subsystemVendor: 0x1af5 };
  t.equal(mayBeOf(parseHardwareId('PCI:0x1234,subsystem=0x1af4'), other), false);
  t.equal(mayBeOf(parseHardwareId('PCI:0x1235'), edu), false);
});

t.test('hostile shapes', async (t) => {
  const entry = JSON.parse(JSON.stringify(vendorsField([vendor]))).vendors.acme;
  const bad: JsonValue[] = [
    null,
    { vendors: [] },
    { vendors: { acme: null } },
    { vendors: { Acme: entry } },
    { vendors: { targets: entry } },
    { vendors: { acme: { ...entry, hardware_ids: ['*'] } } },
    { vendors: { acme: { ...entry, hardware_ids: 'PCI:0x1234' } } },
    { vendors: { acme: { ...entry, api_keys: [1] } } },
    { vendors: { acme: { ...entry, contact: 1 } } },
  ];
  for (const value of bad)
    t.throws(() => read(value), { code: /^E_(SCHEMA|NAME)$/ }, JSON.stringify(value).slice(0, 60));
  const unusable = { ...entry, api_keys: [{ keytype: 'x', scheme: 'x', keyval: { public: '' } }] };
  t.strictSame(read({ vendors: { acme: unusable } }).get('acme')?.apiKeys, []);
});
