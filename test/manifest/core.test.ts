// The rules of IronShim-rs's core, for all inputs: what it spot-checks there is a property here.

import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { isIronError } from '../../shared/errors.ts';
import { checkAbi, type RuntimeAbi } from '../../shared/manifest/abi.ts';
import { checkFreshness } from '../../shared/manifest/attestation-freshness.ts';
import { checkIsolation } from '../../shared/manifest/ceiling-isolation.ts';
import {
  BOOT_REQUIREMENTS,
  BOOT_STATES,
  checkRequirements,
  releaseGate,
} from '../../shared/manifest/ceiling-requirements.ts';
import {
  CONTAINMENTS,
  containmentFor,
  SEVERITIES,
  strongest,
} from '../../shared/manifest/containment.ts';
import { CORE_ERRORS, coreError, coreName, errorClass } from '../../shared/manifest/core-errors.ts';
import { checkReach, dmaPiece, withPiece } from '../../shared/manifest/dma-constraints.ts';
import {
  arrive,
  handled,
  newVector,
  type VectorState,
  WorkQueue,
} from '../../shared/manifest/interrupt-budget.ts';
import { canonicalBytes, manifestSha256 } from '../../shared/manifest/resource-manifest.ts';
import {
  checkGranted,
  noRevocations,
  regrant,
  revoke,
} from '../../shared/manifest/revocation-overlay.ts';
import { windowAt } from '../../shared/manifest/windows.ts';
import { platformCrypto } from '../../shared/node/crypto.ts';
import { holds, refused } from './support.ts';

/** IronShim-rs's word for the refusal of `run`, or undefined when it passes. */
function word(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return coreName(error) ?? assert.fail(error as Error);
  }
}

t.test('every error of the core has a class and comes back by its name', async (t) => {
  t.same(CORE_ERRORS.length, 14);
  const fatal = CORE_ERRORS.filter((name) => errorClass(name) === 'fatal').sort();
  t.same(fatal, [
    'InterruptInUse',
    'InvalidAddress',
    'OutOfMemory',
    'SignatureInvalid',
    'Unsupported',
  ]);
  for (const name of CORE_ERRORS) t.equal(coreName(coreError(name, 'x')), name);
  t.equal(coreName(new Error('Revoked')), undefined);
});

t.test('containment', async (t) => {
  t.same(SEVERITIES.map(containmentFor), [
    'observe',
    'quarantine',
    'reset-required',
    'reset-required',
  ]);
  t.equal(strongest([]), 'observe');
  holds(
    t,
    'of several decisions the strongest stands, in any order',
    fc.property(fc.array(fc.constantFrom(...CONTAINMENTS), { minLength: 1 }), (decisions) => {
      const found = strongest(decisions);
      assert.ok(decisions.includes(found));
      for (const it of decisions)
        assert.ok(CONTAINMENTS.indexOf(it) <= CONTAINMENTS.indexOf(found));
    }),
  );
});

/** Few numbers, so that ends meet, and those at the ends of what a ceiling can say. */
const abiNumber = fc.oneof(
  fc.integer({ min: 1, max: 9 }),
  fc.integer({ min: 0xffff_fff8, max: 0xffff_ffff }),
);
const bits = fc
  .tuple(fc.bigInt({ min: 0n, max: 15n }), fc.constantFrom(0n, 31n, 32n, 52n, 60n))
  .map(([low, by]) => low << by);
const layout = fc.record({
  sizeBytes: fc.constantFrom(24n, 32n),
  alignmentBytes: fc.constantFrom(4n, 8n),
});

t.test('ABI: version in range, ends included; every feature; the same layout', async (t) => {
  holds(
    t,
    'for every claim and runtime',
    fc.property(
      fc.record({ min: abiNumber, max: abiNumber, features: bits }),
      fc.option(layout, { nil: undefined }),
      fc.record({ version: abiNumber, features: bits }),
      fc.option(layout, { nil: undefined }),
      (range, claimed, base, offered) => {
        const claim = { ...range, ...(claimed === undefined ? {} : { layout: claimed }) };
        const runtime: RuntimeAbi = {
          ...base,
          ...(offered === undefined ? {} : { layout: offered }),
        };
        const same =
          claimed === undefined ||
          (claimed.sizeBytes === offered?.sizeBytes &&
            claimed.alignmentBytes === offered.alignmentBytes);
        const has = (claim.features | runtime.features) === runtime.features;
        const inRange = claim.min <= runtime.version && runtime.version <= claim.max;
        const expected = !inRange
          ? 'InvalidState'
          : !has
            ? 'Unsupported'
            : same
              ? undefined
              : 'InvalidAddress';
        assert.equal(
          word(() => checkAbi(claim, runtime)),
          expected,
        );
      },
    ),
    500,
  );
});

t.test(
  'shared virtual addressing needs all four capabilities; mapped windows need none',
  async (t) => {
    const caps = fc.record({
      ats: fc.boolean(),
      pri: fc.boolean(),
      pasid: fc.boolean(),
      sva: fc.boolean(),
    });
    holds(
      t,
      'for every device',
      fc.property(fc.option(caps, { nil: undefined }), (found) => {
        checkIsolation({ mode: 'mapped', pasidBits: 0 }, found);
        const claim = { mode: 'shared-virtual-addressing', pasidBits: 8 } as const;
        const all = found !== undefined && Object.values(found).every(Boolean);
        assert.equal(
          word(() => checkIsolation(claim, found)),
          all ? undefined : 'Unsupported',
        );
      }),
    );
  },
);

t.test('boot gate and requirements: what nobody measured is not good', async (t) => {
  t.same(
    BOOT_STATES.map((boot) => word(() => releaseGate(boot))),
    [undefined, 'RateLimited', 'AccessDenied'],
  );
  for (const bootState of BOOT_REQUIREMENTS) {
    for (const boot of [...BOOT_STATES, undefined]) {
      const passes =
        bootState === 'any' ||
        boot === 'trusted' ||
        (boot === 'degraded' && bootState === 'degraded');
      const run = () =>
        checkRequirements(
          { deviceAttestation: false, bootState },
          boot === undefined ? {} : { boot },
        );
      if (passes) run();
      else refused(t, run, 'E_AGENT_REFUSED', /boot/);
    }
  }
  // All there is to ask and to find out, each with each.
  for (const deviceAttestation of [true, false])
    for (const bootState of BOOT_REQUIREMENTS)
      for (const device of [true, false, undefined])
        for (const boot of [...BOOT_STATES, undefined]) {
          const found = {
            ...(device === undefined ? {} : { device }),
            ...(boot === undefined ? {} : { boot }),
          };
          const isAttested = !deviceAttestation || device === true;
          const enough = {
            any: true,
            degraded: boot === 'degraded' || boot === 'trusted',
            trusted: boot === 'trusted',
          };
          const run = () => checkRequirements({ deviceAttestation, bootState }, found);
          if (isAttested && enough[bootState]) run();
          else refused(t, run, 'E_AGENT_REFUSED', isAttested ? /boot/ : /attest/);
        }
});

t.test('attestations from the future and old ones', async (t) => {
  holds(
    t,
    'the age is counted exactly',
    fc.property(fc.nat(20), fc.nat(20), fc.nat(8), (generated, now, most) => {
      const expected =
        generated > now ? 'InvalidState' : now - generated > most ? 'Timeout' : undefined;
      assert.equal(
        word(() => checkFreshness(generated, now, most)),
        expected,
      );
    }),
  );
});

const power = fc.integer({ min: 0, max: 12 }).map((n) => 1n << BigInt(n));

t.test('pieces of memory keep their constraints, address by address', async (t) => {
  holds(
    t,
    'alignment, boundary, length, by a second way of counting',
    fc.property(
      power,
      fc.option(power),
      // The last base leaves room for the longest piece, and not for one that is wrapped.
      fc.constantFrom(0n, 1n << 53n, (1n << 64n) - 16_384n),
      fc.bigInt({ min: 0n, max: 5000n }),
      fc.bigInt({ min: -1n, max: 5000n }),
      fc.bigInt({ min: 0n, max: 5000n }),
      (alignmentBytes, boundaryBytes, base, offset, bytes, bytesMax) => {
        const address = base + offset;
        const constraints = { alignmentBytes, boundaryBytes, bytesMax, segmentsMax: 2 };
        const crossed =
          boundaryBytes !== null &&
          address - (address % boundaryBytes) !==
            address + bytes - 1n - ((address + bytes - 1n) % boundaryBytes);
        const expected =
          bytes <= 0n
            ? 'InvalidAddress'
            : bytes > bytesMax
              ? 'OutOfBounds'
              : address % alignmentBytes !== 0n
                ? 'InvalidAddress'
                : crossed
                  ? 'OutOfBounds'
                  : undefined;
        assert.equal(
          word(() => dmaPiece(constraints, address, bytes)),
          expected,
        );
      },
    ),
    500,
  );
  const any = { alignmentBytes: 1n, boundaryBytes: null, bytesMax: 1n << 64n, segmentsMax: 2 };
  t.equal(
    word(() => dmaPiece({ ...any, alignmentBytes: 0n }, 0n, 1n)),
    'InvalidAddress',
    'where IronShim-rs divides by zero',
  );
  t.equal(
    word(() => dmaPiece(any, (1n << 64n) - 1n, 2n)),
    'InvalidAddress',
    'where IronShim-rs overflows',
  );
  const two = withPiece(any, withPiece(any, [], windowAt(0n, 1n)), windowAt(9n, 1n));
  t.equal(
    word(() => withPiece(any, two, windowAt(20n, 1n))),
    'OutOfBounds',
  );
});

t.test('a window is reached inside and nowhere else, at both edges', async (t) => {
  holds(
    t,
    'for every window and access, wherever they lie',
    fc.property(
      fc.constantFrom(0n, 1n << 53n, (1n << 64n) - 128n),
      fc.bigInt({ min: 0n, max: 64n }),
      fc.bigInt({ min: 1n, max: 64n }),
      fc.bigInt({ min: 0n, max: 160n }),
      fc.bigInt({ min: 0n, max: 80n }),
      (base, start, length, address, bytes) => {
        const inside = bytes > 0n && address >= start && address + bytes <= start + length;
        const window = windowAt(base + start, length);
        const found = word(() => checkReach(window, base + address, bytes));
        assert.equal(found, inside ? undefined : bytes === 0n ? 'InvalidAddress' : 'OutOfBounds');
      },
    ),
    500,
  );
});

t.test('interrupts: never more than burst and rate allow, and quarantine is final', async (t) => {
  // A clock that is set back now and then, and rests that fill any bucket.
  const wait = fc.oneof(fc.integer({ min: -200, max: 400 }), fc.constant(60_000));
  const events = fc.array(fc.tuple(wait, fc.integer({ min: 1, max: 30 })), { maxLength: 40 });
  holds(
    t,
    'for every arrival pattern',
    fc.property(
      events,
      fc.integer({ min: 0, max: 50 }),
      fc.integer({ min: 0, max: 40 }),
      fc.option(fc.nat(60)),
      (list, perSecond, burst, lifetimeMax) => {
        const budget = { perSecond, burst, lifetimeMax, ticksMax: null };
        let state: VectorState = newVector(budget, 0);
        let [now, latest, passed, came] = [0, 0, 0, 0];
        for (const [wait, count] of list) {
          now += wait;
          latest = Math.max(latest, now);
          came += count;
          const { tokens, filledAt } = state;
          const before = state.metrics.quarantineReason;
          const arrival = arrive(state, count, now);
          if (now <= filledAt)
            assert.ok(arrival.passed <= tokens, 'time that is gone fills nothing');
          passed += arrival.passed;
          assert.ok(arrival.passed <= burst, 'however long nothing came');
          state = arrival.state;
          if (before !== null) assert.equal(arrival.passed, 0);
          assert.equal(arrival.verdict === 'pass', arrival.passed === count);
        }
        assert.ok(passed <= burst + (latest * perSecond) / 1000);
        assert.ok(lifetimeMax === null || passed <= lifetimeMax);
        assert.equal(state.metrics.irqCalls, passed);
        assert.equal(state.metrics.missed, came - passed);
        assert.ok(state.metrics.budgetViolations <= 1);
      },
    ),
    500,
  );
  const budget = { perSecond: 10, burst: 2, lifetimeMax: null, ticksMax: 5 };
  const fresh = newVector(budget, 1000);
  t.equal(arrive(fresh, 2, 0).verdict, 'pass', 'a clock that went back takes nothing away');
  t.equal(arrive(arrive(fresh, 2, 0).state, 1, 1000).verdict, 'brake', 'nor does it fill');
  t.match(handled(fresh, 5).metrics, { latencyTicks: 5, quarantineReason: null });
  t.match(handled(fresh, 6).metrics, { quarantineReason: 'TimeoutFault', budgetViolations: 1 });
  t.match(handled(fresh, 1, true).metrics, { quarantineReason: 'HandlerFault' });
  t.match(handled(handled(fresh, 6), 1, true).metrics, { quarantineReason: 'TimeoutFault' });
});

t.test('deferred work is bounded, in order', async (t) => {
  holds(
    t,
    'as a list would have it',
    fc.property(fc.array(fc.option(fc.nat())), fc.integer({ min: 1, max: 4 }), (steps, limit) => {
      const queue = new WorkQueue<number>(limit);
      const list: number[] = [];
      let dropped = 0;
      for (const step of steps) {
        if (step === null) {
          const expected = list.shift();
          if (expected === undefined)
            assert.equal(
              word(() => queue.pop()),
              'ResourceNotGranted',
            );
          else assert.equal(queue.pop(), expected);
        } else if (list.length < limit) {
          list.push(step);
          queue.push(step);
        } else {
          dropped += 1;
          assert.equal(
            word(() => queue.push(step)),
            'OutOfMemory',
          );
        }
        assert.deepEqual([queue.length, queue.dropped], [list.length, dropped]);
      }
    }),
  );
});

t.test('revocation is an overlay: the signed bytes and their hash never change', async (t) => {
  const window = { base: 0x1000n, size: 0x1000n, revoked: false };
  const manifest = {
    driverId: 1n,
    iommuDomain: 1,
    bindingNonce: 1,
    mmio: [window, { ...window, base: 0x4000n }, { ...window, base: 0x8000n, revoked: true }],
    ports: [{ port: 1, count: 1, revoked: false }],
  };
  const hash = manifestSha256(manifest, platformCrypto);
  const before = canonicalBytes(manifest);
  holds(
    t,
    'for every sequence of revocations and regrants',
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.constantFrom('mmio', 'ports'), fc.nat(4))),
      (steps) => {
        let overlay = noRevocations(hash);
        const revoked = new Set<string>(['mmio2']);
        for (const [take, kind, index] of steps) {
          const known = index < manifest[kind].length;
          const act = () => {
            overlay = (take ? revoke : regrant)(overlay, manifest, kind, index);
          };
          if (!known) {
            assert.equal(word(act), 'ResourceNotGranted');
            continue;
          }
          act();
          if (take) revoked.add(`${kind}${index}`);
          // What the signed manifest itself revokes no overlay gives back.
          else if (`${kind}${index}` !== 'mmio2') revoked.delete(`${kind}${index}`);
        }
        for (const kind of ['mmio', 'ports'] as const)
          for (const index of manifest[kind].keys())
            assert.equal(
              word(() => checkGranted(overlay, manifest, hash, kind, index)),
              revoked.has(`${kind}${index}`) ? 'Revoked' : undefined,
            );
        assert.deepEqual(canonicalBytes(manifest), before);
      },
    ),
  );
  t.equal(
    word(() => checkGranted(noRevocations('00'), manifest, hash, 'mmio', 0)),
    'SignatureInvalid',
  );
  t.ok(isIronError(coreError('Revoked', 'x'), 'E_OUT_OF_GRANT'));
});
