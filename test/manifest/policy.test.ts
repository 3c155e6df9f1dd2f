import { readFileSync } from 'node:fs';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { entryFor, parsePolicy } from '../../shared/manifest/policy.ts';
import { ADDRESS_SPACE } from '../../shared/manifest/windows.ts';
import { eduDevice } from './edu.ts';
import { refused } from './support.ts';

const bytes = readFileSync(new URL('../../examples/edu/policy.json', import.meta.url));
const edu = JSON.parse(bytes.toString());
const [entry] = edu.allow;
const parse = (document: unknown) => parsePolicy(utf8(JSON.stringify(document)));

t.test('the example', async (t) => {
  const policy = parsePolicy(bytes);
  t.equal(policy.pageSize, 4096n);
  t.equal(entryFor(policy, 'acme/edu/1.0.0/edu.js', eduDevice), policy.allow[0]);
  t.same(policy.allow[0]?.bars, [
    { index: 0, window: { start: 0n, end: ADDRESS_SPACE }, access: 'read-write' },
  ]);
  t.equal(policy.allow[0]?.generation, 1, 'unless it asks for more');
  t.same(policy.allow[0]?.translation, [], 'and nothing is trusted to translate');
  const trusting = parse({ ...edu, allow: [{ ...entry, translation: ['ATS', 'PASID'] }] });
  t.same(trusting.allow[0]?.translation, ['ATS', 'PASID']);
});

t.test('what no entry names is not allowed', async (t) => {
  const other = { ...eduDevice, device: 0x11e9 };
  const policy = parsePolicy(bytes);
  refused(t, () => entryFor(policy, 'acme/edu/1.0.0/edu.js', other), 'E_POLICY', /1234:11e9/);
  for (const path of ['acme2/edu/1.0.0/edu.js', 'acm/edu/1.0.0/edu.js', 'emca/acme/1/acme']) {
    refused(t, () => entryFor(policy, path, eduDevice), 'E_POLICY', /allows no drivers at/);
  }
  refused(t, () => entryFor(policy, 'acme/../1/x', eduDevice), 'E_NAME');
  const none = parse({ ...edu, allow: [] });
  refused(t, () => entryFor(none, 'acme/edu/1.0.0/edu.js', eduDevice), 'E_POLICY');
});

t.test(
  'a namespace ends with a segment, and the first entry that fits decides alone',
  async (t) => {
    const policy = parse({
      ...edu,
      allow: [
        { ...entry, namespace: 'acme/net' },
        { ...entry, devices: [{ vendor: '0x8086', device: '0x1572' }] },
        { ...entry, namespace: 'acme/edu', ports: true },
        entry,
      ],
    });
    const chosen = (path: string) => policy.allow.indexOf(entryFor(policy, path, eduDevice));
    t.equal(chosen('acme/net/1/a'), 0);
    t.equal(chosen('acme/net2/1/a'), 3);
    t.equal(chosen('acme/edu/1/a'), 2);
  },
);

t.test('a file that is not valid grants nothing and says where', async (t) => {
  const change = (change: object) => ({ ...edu, allow: [{ ...entry, ...change }] });
  for (const [document, message] of [
    [{ ...edu, schema: 'ironport.fleet-policy/v2' }, /schema/],
    [{ ...edu, schema: undefined }, /schema/],
    [{ ...edu, page_size_bytes: 5000 }, /power of two/],
    [{ ...edu, page_size_bytes: 2048 }, /page_size_bytes/],
    [{ ...edu, grant_seconds: 0 }, /grant_seconds/],
    [{ ...edu, grant_seconds: 31_536_001 }, /grant_seconds/],
    [{ ...edu, deny: [] }, /unknown/],
    [{ ...edu, allow: {} }, /array/],
    [change({ namespace: '*' }), /namespace/],
    [change({ namespace: 'acme/' }), /namespace/],
    [change({ namespace: 'acme/..' }), /namespace/],
    [change({ bars: [{ index: 0, access: 'read', offset_bytes: '0x0' }] }), /length_bytes/],
    [change({ bars: [entry.bars[0], entry.bars[0]] }), /overlap/],
    [
      change({
        bars: [
          { index: 0, access: 'read', offset_bytes: '0xfffffffffffff000', length_bytes: '0x1001' },
        ],
      }),
      /past/,
    ],
    [change({ ports: [] }), /true or false/],
    [change({ translation: ['ats'] }), /translation\[0\]/],
    [change({ translation: true }), /array/],
    [change({ interrupts: { ...entry.interrupts, kinds: ['all'] } }), /kinds\[0\]/],
    [change({ interrupts: { ...entry.interrupts, burst: 0 } }), /burst/],
    [change({ interrupts: { ...entry.interrupts, lifetime_max: '9' } }), /lifetime_max/],
    [change({ dma: { ...entry.dma, total_bytes: 65536 } }), /total_bytes/],
    [change({ generation: 0 }), /generation/],
    [change({ typo: 1 }), /unknown/],
  ] as const) {
    refused(t, () => parse(document), 'E_CONFIG', message);
  }
  refused(t, () => parsePolicy(bytes.subarray(0, 100)), 'E_CONFIG', /byte/);
  refused(t, () => parsePolicy(utf8('{"allow":[],"allow":[]}')), 'E_CONFIG', /twice/);
  refused(t, () => parsePolicy(new Uint8Array(1_048_577)), 'E_CONFIG', /at most/);
});
