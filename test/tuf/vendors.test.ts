// What the operators grant to vendors.

import t from 'tap';
import { Node } from '../../shared/json/decode.ts';
import { type JsonValue, jsonObject } from '../../shared/json/value.ts';
import {
  EXTENSION_FIELD,
  formatHardwareId,
  parseHardwareId,
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
  for (const text of ['PCI:0x1234', 'PCI:0x1234:0x11e8']) {
    t.equal(formatHardwareId(parseHardwareId(text)), text);
  }
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
  ]) {
    t.throws(() => parseHardwareId(bad), { code: 'E_SCHEMA' }, bad);
  }
});

t.test('a vendor speaks for its hardware and for no other', async (t) => {
  verifyHardware(vendor, 'acme', 0x1234, 0x11e8);
  verifyHardware(vendor, 'acme', 0x8086, 0xffff);
  for (const [v, d] of [
    [0x1234, 0x11e9],
    [0x1233, 0x11e8],
    [0, 0],
  ] as const) {
    t.throws(() => verifyHardware(vendor, 'acme', v, d), { code: 'E_NOT_AUTHORISED' });
  }
  t.throws(() => verifyHardware(undefined, 'evil', 0x8086, 1), { code: 'E_NOT_AUTHORISED' });
  t.throws(() => verifyHardware({ ...vendor, hardwareIds: [] }, 'acme', 0x1234, 0x11e8), {
    code: 'E_NOT_AUTHORISED',
  });
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
