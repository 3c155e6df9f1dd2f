/** Which version is for a host, and the reason that every other one is given. */

import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import { choose, type HostFacts, onlyChosen } from '../../shared/product/choose.ts';
import type { IndexEntry } from '../../shared/product/index-file.ts';
import { NO_PRODUCT_POLICY, parseProductPolicy } from '../../shared/product/product-policy.ts';
import { TODAY } from '../support/clock.ts';
import { entry, index } from './support.ts';

const HOST: HostFacts = { policy: NO_PRODUCT_POLICY, abi: 1, bucketOf: () => 50 };
const policy = (fields: object) =>
  parseProductPolicy(utf8(JSON.stringify({ schema: 'ironport.product-policy/v1', ...fields })));

/** The version that is chosen, then what each other one was passed over for, newest first. */
function outcome(entries: readonly IndexEntry[], host: Partial<HostFacts> = {}): string[] {
  const { chosen, passedOver } = choose(index(...entries), { ...HOST, ...host });
  return [
    ...chosen.map(({ version }) => version),
    ...passedOver.map(({ entry: { version }, reason }) => `${version} ${reason}`),
  ];
}

const bad = { at: TODAY, reason: 'loses writes' };
const three = [entry('3'), entry('1.10'), entry('1.9')];

t.test('the newest by the order of the list, whatever the names are', async (t) => {
  t.strictSame(outcome(three), ['1.9', '1.10 older', '3 older']);
  t.strictSame(outcome([]), []);
});

t.test('each condition passes over, and only that version', async (t) => {
  const last = (change: Partial<IndexEntry>) => [entry('1'), entry('2', change)];
  const cases: [name: string, entries: IndexEntry[], host: Partial<HostFacts>, wanted: string[]][] =
    [
      ['withdrawn', last({ withdrawn: bad }), {}, ['1', '2 withdrawn']],
      [
        'another device',
        last({ devices: [{ vendor: 0x1234, device: 1 }] }),
        { device: { vendor: 0x1234, device: 0x11e8 } },
        ['1', '2 device'],
      ],
      [
        'a subsystem that is not known',
        last({ devices: [{ vendor: 0x1234, device: 0x11e8, subsystemVendor: 1 }] }),
        { device: { vendor: 0x1234, device: 0x11e8 } },
        ['2', '1 older'],
      ],
      [
        'a subsystem that is another',
        last({ devices: [{ vendor: 0x1234, device: 0x11e8, subsystemVendor: 1 }] }),
        { device: { vendor: 0x1234, device: 0x11e8, subsystemVendor: 2 } },
        ['1', '2 device'],
      ],
      [
        'a subsystem that is',
        last({ devices: [{ vendor: 0x1234, device: 0x11e8, subsystemVendor: 1 }] }),
        { device: { vendor: 0x1234, device: 0x11e8, subsystemVendor: 1 } },
        ['2', '1 older'],
      ],
      ['an ABI above', last({ abi: { min: 2, max: 3 } }), {}, ['1', '2 abi']],
      ['an ABI below', last({ abi: { min: 1, max: 1 } }), { abi: 2 }, ['2 abi', '1 abi']],
      ['testing for a stable host', last({ channel: 'testing' }), {}, ['1', '2 channel']],
      [
        'testing for a testing host',
        last({ channel: 'testing' }),
        { channel: 'testing' },
        ['2', '1 older'],
      ],
      ['stable for a testing host', last({}), { channel: 'testing' }, ['2', '1 older']],
      ['a rollout below', last({ rolloutPercent: 50 }), {}, ['1', '2 rollout']],
      ['a rollout above', last({ rolloutPercent: 51 }), {}, ['2', '1 older']],
      ['no host at all', last({ rolloutPercent: 0 }), { bucketOf: () => 0 }, ['1', '2 rollout']],
      [
        'a bucket that is no number',
        last({}),
        { bucketOf: () => Number.NaN },
        ['2 rollout', '1 rollout'],
      ],
      ['held', last({}), { policy: policy({ hold: { 'acme/edu': '1' } }) }, ['1', '2 hold']],
      [
        'held, whatever channel and rollout say',
        [entry('1', { channel: 'testing', rolloutPercent: 0 }), entry('2')],
        { policy: policy({ hold: { 'acme/edu': '1' } }) },
        ['1', '2 hold'],
      ],
      [
        'held and withdrawn',
        [entry('1', { withdrawn: bad }), entry('2')],
        { policy: policy({ hold: { 'acme/edu': '1' } }) },
        ['2 hold', '1 withdrawn'],
      ],
      [
        'not approved',
        last({}),
        { policy: policy({ approved: [entry('1').sha256] }) },
        ['1', '2 approval'],
      ],
      [
        'nothing approved',
        last({}),
        { policy: policy({ approved: [] }) },
        ['2 approval', '1 approval'],
      ],
      [
        'the channel of the product before that of the vendor before that of all',
        last({ channel: 'testing' }),
        { policy: policy({ channels: { '*': 'stable', acme: 'stable', 'acme/edu': 'testing' } }) },
        ['2', '1 older'],
      ],
    ];
  for (const [name, entries, host, wanted] of cases)
    t.strictSame(outcome(entries, host), wanted, name);
});

t.test('a channel that the policy does not allow', async (t) => {
  const host = { policy: policy({ channels: { acme: 'stable' } }), channel: 'testing' as const };
  t.throws(() => outcome(three, host), { code: 'E_POLICY' });
  t.doesNotThrow(() => outcome(three, { ...host, channel: 'stable' }));
});

t.test('exactly one file, or the reason why there is none', async (t) => {
  const only = (entries: readonly IndexEntry[], host: Partial<HostFacts> = {}) =>
    onlyChosen(choose(index(...entries), { ...HOST, ...host }));
  t.equal(only(three).version, '1.9');
  const twin = entry('2', { path: 'acme/edu/2/other.js' });
  t.throws(() => only([entry('2'), twin]), { code: 'E_USAGE', why: /other\.js/ });
  t.throws(() => only([entry('1', { withdrawn: bad })]), {
    code: 'E_WITHDRAWN',
    why: /loses writes/,
  });
  t.throws(() => only([entry('1', { rolloutPercent: 0 })]), { code: 'E_NOT_FOUND', why: /0 %/ });
  t.throws(() => only(three, { policy: policy({ approved: [] }) }), { code: 'E_POLICY' });
  t.throws(() => only([]), { code: 'E_NOT_FOUND' });
});

t.test('a policy that is not valid', async (t) => {
  for (const [name, bytes] of [
    ['no schema', '{}'],
    ['another schema', '{"schema":"ironport.product-policy/v2"}'],
    ['an unknown field', '{"schema":"ironport.product-policy/v1","allow":[]}'],
    [
      'a channel that is none',
      '{"schema":"ironport.product-policy/v1","channels":{"*":"nightly"}}',
    ],
    [
      'a key that is no name',
      '{"schema":"ironport.product-policy/v1","channels":{"../x":"stable"}}',
    ],
    ['a hold on a vendor', '{"schema":"ironport.product-policy/v1","hold":{"acme":"1"}}'],
    ['a hold at no version', '{"schema":"ironport.product-policy/v1","hold":{"acme/edu":"../1"}}'],
    ['a digest that is short', '{"schema":"ironport.product-policy/v1","approved":["ab"]}'],
    ['a key twice', '{"schema":"ironport.product-policy/v1","hold":{},"hold":{}}'],
    ['cut off', '{"schema":"ironport.host-pol'],
  ] as const)
    t.throws(() => parseProductPolicy(utf8(bytes)), { code: 'E_CONFIG' }, name);
});
