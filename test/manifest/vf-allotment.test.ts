/** Budgets of virtual functions: their shares never add up to more than there is. */

import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { utf8 } from '../../shared/bytes.ts';
import type { VfBudget } from '../../shared/manifest/cut.ts';
import { parsePolicy } from '../../shared/manifest/policy.ts';
import { allotVfs, shareOf, type VfRequest } from '../../shared/manifest/vf-allotment.ts';
import { holds, refused } from './support.ts';

const PAGE = 4096n;
const MIB = 1n << 20n;
const budget = (bytes: bigint, interruptsPerSecond = 1000): VfBudget => ({
  dmaBytes: bytes,
  mmioBytes: bytes,
  interruptsPerSecond,
});

const request = (more: Partial<VfRequest> = {}): VfRequest => ({
  claim: { countMax: 8, each: budget(MIB) },
  entry: { namespace: 'acme', virtualFunctions: { countMax: 6, total: budget(MIB) } },
  pageSize: PAGE,
  count: 2,
  totalVfs: 7,
  ...more,
});

t.test('an equal share, within the ceiling', async (t) => {
  t.strictSame(allotVfs(request()), budget(MIB / 2n, 500));
  t.strictSame(
    allotVfs(request({ claim: { countMax: 8, each: budget(3n * PAGE, 7) } })),
    budget(3n * PAGE, 7),
    'no more than the vendor has for one',
  );
  t.strictSame(
    allotVfs(request({ count: 3 })),
    budget(341n * 1024n - ((341n * 1024n) % PAGE), 333),
    'whole pages, and what does not divide is nobody’s',
  );
  t.equal(allotVfs(request({ count: 6 })).interruptsPerSecond, 166);
});

t.test('what is refused', async (t) => {
  for (const [count, most] of [
    [7, 6],
    [8, 7],
    [0xffff, 7],
  ] as const)
    refused(t, () => allotVfs(request({ count })), 'E_VF_COUNT', new RegExp(` ${most}$`));
  refused(
    t,
    () => allotVfs(request({ count: 5, claim: { countMax: 4, each: budget(MIB) } })),
    'E_VF_COUNT',
    /the ceiling allows 4/,
  );
  refused(t, () => allotVfs(request({ totalVfs: 1 })), 'E_VF_COUNT', /the device has 1/);
  for (const count of [0, -1, 1.5, Number.NaN])
    refused(t, () => allotVfs(request({ count })), 'E_USAGE');
  refused(t, () => allotVfs(request({ claim: undefined })), 'E_AGENT_REFUSED', /manages no/);
  const entry = { namespace: 'acme', virtualFunctions: null };
  refused(t, () => allotVfs(request({ entry })), 'E_POLICY', /no virtual functions/);
  const poor = { namespace: 'acme', virtualFunctions: { countMax: 2, total: budget(PAGE) } };
  refused(t, () => allotVfs(request({ entry: poor })), 'E_GRANT_EMPTY', /each of 2/);
});

t.test('all shares together are within the grant', async (t) => {
  const bytes = fc.bigInt({ min: 1n, max: (1n << 64n) - 1n });
  const anyBudget = fc.record({
    dmaBytes: bytes,
    mmioBytes: bytes,
    interruptsPerSecond: fc.nat(Number.MAX_SAFE_INTEGER),
  });
  const count = fc.integer({ min: 1, max: 0xffff });
  const page = fc.constantFrom(4096n, 16_384n, 65_536n);
  holds(
    t,
    'the sum is never more, and no share is more than the vendor signed',
    fc.property(anyBudget, anyBudget, count, page, (total, each, count, pageSize) => {
      const asked = request({
        ...{ claim: { countMax: 0xffff, each }, pageSize, count, totalVfs: 0xffff },
        entry: { namespace: 'acme', virtualFunctions: { countMax: 0xffff, total } },
      });
      let got: VfBudget;
      try {
        got = allotVfs(asked);
      } catch (error) {
        const least = shareOf(total, count);
        const holdsNoPage = [least.dmaBytes, least.mmioBytes, each.dmaBytes, each.mmioBytes].some(
          (value) => value < pageSize,
        );
        return (error as { code: string }).code === 'E_GRANT_EMPTY' && holdsNoPage;
      }
      const n = BigInt(count);
      return (
        got.dmaBytes * n <= total.dmaBytes &&
        got.mmioBytes * n <= total.mmioBytes &&
        got.interruptsPerSecond * count <= total.interruptsPerSecond &&
        got.dmaBytes <= each.dmaBytes &&
        got.mmioBytes <= each.mmioBytes &&
        got.interruptsPerSecond <= each.interruptsPerSecond &&
        got.dmaBytes % pageSize === 0n &&
        got.mmioBytes % pageSize === 0n
      );
    }),
    2000,
  );
});

t.test('the policy says it, in a closed form', async (t) => {
  const edu = JSON.parse(
    readFileSync(new URL('../../examples/edu/policy.json', import.meta.url), 'utf8'),
  );
  const parse = (virtual_functions: unknown) =>
    parsePolicy(utf8(JSON.stringify({ ...edu, allow: [{ ...edu.allow[0], virtual_functions }] })))
      .allow[0]?.virtualFunctions;
  const total = { dma_bytes: '0x100000', mmio_bytes: '0x8000', interrupts_per_second: 0 };
  t.equal(parse(undefined), null, 'a policy that is silent lets none be made');
  t.strictSame(parse({ count_max: 4, total }), {
    countMax: 4,
    total: { dmaBytes: MIB, mmioBytes: 0x8000n, interruptsPerSecond: 0 },
  });
  for (const wrong of [
    null,
    {},
    { count_max: 4 },
    { count_max: 0, total },
    { count_max: 65_536, total },
    { count_max: 4, total, more: 1 },
    { count_max: 4, total: { ...total, dma_bytes: '0x0' } },
    { count_max: 4, total: { ...total, mmio_bytes: 4096 } },
    { count_max: 4, total: { ...total, interrupts_per_second: -1 } },
    { count_max: 4, total: { ...total, each: 1 } },
  ])
    refused(t, () => parse(wrong), 'E_CONFIG');
});
