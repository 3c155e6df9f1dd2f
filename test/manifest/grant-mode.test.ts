/** Who is given a device's descriptor: both say so, and nothing of the device is left out. */

import { readFileSync } from 'node:fs';
import t from 'tap';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';
import { computeGrant, type GrantRequest } from '../../shared/manifest/grant.ts';
import { grantPredicate } from '../../shared/manifest/grant-document.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { eduDevice } from './edu.ts';
import { node, refused } from './support.ts';

const example = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../examples/edu/${name}`, import.meta.url), 'utf8'));
const [ceilingJson, policyJson] = [example('ceiling.json'), example('policy.json')];
const WHOLE = [{ index: 0, offset_bytes: '0x0', length_bytes: '0x100000', access: 'read-write' }];
const ASKS = { bars: WHOLE, abi: { min: 1, max: 1, features: '0x1' } };
const RUN = {
  program: 'static',
  memory_bytes: '0x10000000',
  processes: 8,
  accesses_per_second: 1000,
};

const ceiling = (change: object) => parseCeiling(node({ ...ceilingJson, ...change }));
const policy = (run: object | undefined, change: object = {}) =>
  parsePolicy(
    Buffer.from(
      JSON.stringify({
        ...policyJson,
        run: { users: { first: 64_000, count: 8 } },
        allow: [{ ...policyJson.allow[0], ...change, run }],
      }),
    ),
  );
const DIRECT = policy({ ...RUN, mode: 'direct' });
const grant = (change: Partial<GrantRequest>) =>
  computeGrant(
    {
      ceiling: ceiling(ASKS),
      ceilingSha256: 'c'.repeat(64),
      policy: DIRECT,
      policySha256: 'd'.repeat(64),
      artifact: { path: 'acme/edu/1.0.0/edu.js', sha256: 'a'.repeat(64) },
      device: eduDevice,
      hostId: 'host-1',
      iommuDomain: 7,
      bindingNonce: 0x12345678,
      expires: 1_900_000_000,
      ...change,
    },
    platformCrypto,
  );

t.test('both say so', async (t) => {
  const direct = grant({});
  t.equal(direct.mode, 'direct');
  t.match(grantPredicate(direct), { mode: 'direct' });
  t.equal(grant({ ceiling: ceiling({ bars: WHOLE }) }).mode, 'brokered', 'it does not ask');
  for (const run of [undefined, RUN, { ...RUN, mode: 'brokered' }])
    refused(t, () => grant({ policy: policy(run) }), 'E_POLICY', /asks for the descriptor/);
  t.throws(() => policy({ ...RUN, mode: 'both' }), { code: 'E_CONFIG' });
});

t.test('every BAR, whole and writable', async (t) => {
  const lacks = (change: Partial<GrantRequest>, message = /BAR 0 is not granted whole/) =>
    refused(t, () => grant(change), 'E_AGENT_REFUSED', message);
  const bars = (change: object) => ({
    ceiling: ceiling({ ...ASKS, bars: [{ ...WHOLE[0], ...change }] }),
  });
  lacks(bars({ length_bytes: '0xff000' }));
  lacks(bars({ offset_bytes: '0x1000', length_bytes: '0xff000' }));
  lacks(bars({ access: 'read' }));
  lacks({ policy: policy({ ...RUN, mode: 'direct' }, { bars: [{ index: 0, access: 'read' }] }) });
  const half = { index: 0, access: 'read-write', offset_bytes: '0x0', length_bytes: '0x80000' };
  lacks({ policy: policy({ ...RUN, mode: 'direct' }, { bars: [half] }) });
  const two = [half, { ...half, offset_bytes: '0x80000' }];
  t.equal(
    grant({ policy: policy({ ...RUN, mode: 'direct' }, { bars: two }) }).mode,
    'direct',
    'whole in two pieces',
  );
  const [bar] = eduDevice.bars;
  t.ok(bar);
  for (const kind of ['memory', 'io'] as const) {
    const other = { index: 2, base: 0xfe000000n, size: 0x1000n, kind };
    lacks({ device: { ...eduDevice, bars: [...eduDevice.bars, other] } }, /BAR 2/);
  }
  const empty = { index: 2, base: 0n, size: 0n, kind: 'memory' } as const;
  t.equal(grant({ device: { ...eduDevice, bars: [...eduDevice.bars, empty] } }).mode, 'direct');
});
