/** The plan as a pure function, and the engine over a model of the kernel that errs at random. */

import fc from 'fast-check';
import t from 'tap';
import { applyPlan, type Hands } from '../../agent/apply.ts';
import { type BindingState, sameState } from '../../agent/binding-state.ts';
import type { Written } from '../../agent/host/write.ts';
import { type Action, boundState, effectOf, makePlan, route, writeOf } from '../../agent/plan.ts';
import { IronError } from '../../shared/errors.ts';

const DEVICE = '0000:00:05.0';
const name = fc.constantFrom(null, 'edu_legacy', 'pci-stub', 'vfio-pci');
const state: fc.Arbitrary<BindingState> = fc.record({ driver: name, override: name });

t.test('what binding a device is', async (t) => {
  const plan = makePlan(
    DEVICE,
    { driver: 'edu_legacy', override: null },
    boundState({ driver: 'edu_legacy', override: null }),
  );
  t.strictSame(
    plan.steps.map(({ action }) => writeOf(action, DEVICE)),
    [
      { path: 'bus/pci/drivers/edu_legacy/unbind', text: DEVICE },
      { path: `bus/pci/devices/${DEVICE}/driver_override`, text: 'vfio-pci' },
      { path: 'bus/pci/drivers_probe', text: DEVICE },
      { path: `bus/pci/devices/${DEVICE}/driver_override`, text: '\n' },
    ],
  );
  t.strictSame(plan.steps[0]?.inverse, [{ kind: 'bind', driver: 'edu_legacy' }]);
  t.strictSame(plan.steps[2]?.inverse, [{ kind: 'unbind', driver: 'vfio-pci' }]);
  t.strictSame(makePlan(DEVICE, plan.to, plan.to).steps, [], 'nothing to do is no steps');
});

t.test('a plan leads where it says, and every inverse back', async (t) => {
  fc.assert(
    fc.property(state, state, (from, to) => {
      const plan = makePlan(DEVICE, from, to);
      let now = from;
      for (const step of plan.steps) {
        t.ok(sameState(step.before, now));
        now = effectOf(step.action, now);
        t.ok(sameState(step.after, now));
        t.ok(
          sameState(
            step.inverse.reduce((at, action) => effectOf(action, at), now),
            step.before,
          ),
        );
      }
      return sameState(now, to);
    }),
  );
});

t.test('no action is one that the kernel would not take', async () => {
  fc.assert(
    fc.property(state, state, (from, to) => {
      const kernel = new Model(from);
      for (const action of route(from, to)) kernel.obey(action);
      return sameState(kernel.state, to);
    }),
  );
});

/** What a kernel does; every driver has the device's ids but vfio-pci and pci-stub. */
class Model implements Hands {
  state: BindingState;
  readonly #errors: readonly Error_[];
  #count = 0;

  constructor(from: BindingState, errors: readonly Error_[] = []) {
    this.state = from;
    this.#errors = errors;
  }

  async look(): Promise<BindingState> {
    return this.state;
  }

  async act(action: Action): Promise<Written> {
    const error = this.#errors[this.#count++] ?? 'none';
    if (error === 'hang') return { outcome: 'stuck', pid: 1 };
    if (error === 'refuse') return { outcome: 'refused', errno: 'EIO' };
    if (error === 'other') this.state = { ...this.state, driver: 'somebody_else' };
    if (error === 'none') this.obey(action);
    return { outcome: 'written' };
  }

  obey(action: Action): void {
    const { driver, override } = this.state;
    const matches = (one: string): boolean =>
      override === null ? one === 'edu_legacy' : one === override;
    switch (action.kind) {
      case 'unbind':
        if (driver === action.driver) this.state = { driver: null, override };
        break;
      case 'override':
        this.state = { driver, override: action.value };
        break;
      case 'bind':
        // Drivers other than these two are made up for the property: they match by their ids.
        if (
          driver === null &&
          (matches(action.driver) || (override === null && action.driver !== 'vfio-pci'))
        )
          this.state = { driver: action.driver, override };
        break;
      case 'probe':
        if (driver === null) this.state = { driver: override ?? 'edu_legacy', override };
        break;
    }
  }
}

type Error_ = 'none' | 'lie' | 'refuse' | 'other' | 'hang';
const errors = fc.array(
  fc.constantFrom<Error_>('none', 'none', 'none', 'lie', 'refuse', 'other', 'hang'),
  {
    maxLength: 12,
  },
);

t.test('whatever goes wrong: bound, as before, or stuck, and it is said which', async (t) => {
  const outcomes = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(null, 'edu_legacy'),
      name,
      errors,
      async (driver, override, list) => {
        const from = { driver, override };
        const plan = makePlan(DEVICE, from, boundState(from));
        const kernel = new Model(from, list);
        const written: string[] = [];
        const log = (line: object): Promise<void> => {
          written.push(JSON.stringify(line));
          return Promise.resolve();
        };
        const error = await applyPlan(plan, {
          device: DEVICE,
          hands: kernel,
          journal: { append: log },
          record: log,
          settleMs: 0,
        }).then(
          () => undefined,
          (thrown) => thrown,
        );
        const outcome = error === undefined ? 'bound' : (error as IronError).code;
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        if (error === undefined) return sameState(kernel.state, plan.to);
        if (!(error instanceof IronError)) return false;
        if (error.code === 'E_BIND_ROLLED_BACK') return sameState(kernel.state, from);
        // Stuck is claimed only when it is so: a write hangs, or the device is not where it was.
        return (
          error.code === 'E_BIND_STUCK' &&
          (error.context.reason === 'write-stuck'
            ? list.includes('hang')
            : !sameState(kernel.state, from))
        );
      },
    ),
    { numRuns: 2000 },
  );
  for (const outcome of ['bound', 'E_BIND_ROLLED_BACK', 'E_BIND_STUCK'])
    t.ok((outcomes.get(outcome) ?? 0) > 20, `${outcome}: ${outcomes.get(outcome)}`);
});

t.test('a journal or an audit log that cannot be written', async (t) => {
  const from = { driver: 'edu_legacy', override: null };
  const plan = makePlan(DEVICE, from, boundState(from));
  const full = new IronError('E_NO_SPACE', 'no space is left');
  for (const at of [1, 2, 3, 5, 8]) {
    const kernel = new Model(from);
    let count = 0;
    // From the given write on the disk is full, also on the way back.
    const write = (): Promise<void> => (++count >= at ? Promise.reject(full) : Promise.resolve());
    const applying = {
      device: DEVICE,
      hands: kernel,
      journal: { append: write },
      record: write,
      settleMs: 0,
    };
    await t.rejects(applyPlan(plan, applying), { code: 'E_BIND_ROLLED_BACK' });
    t.strictSame(kernel.state, from, `full at write ${at}: the way back needs no disk`);
  }
});
