// The cases of a kernel shared out among machines: each once, and none without what it stands on.

import t from 'tap';
import { partsOf } from '../../scripts/lab/parts.ts';
import { backendsOf, type CaseForm, formsOn, isOverBoots } from './cases/index.ts';

const names = (forms: readonly CaseForm[]): string[] => forms.map(({ name }) => name);

t.test('every case is in one part, whatever the size of a part', async (t) => {
  for (const kernel of ['lab', 'stock'] as const)
    for (const most of [1, 7, 14, 50]) {
      const forms = formsOn(kernel);
      const { ground, parts } = partsOf(forms, most);
      t.strictSame(names([...ground, ...parts.flat()]).sort(), names(forms).sort());
      t.strictSame(
        names(ground),
        names(forms.filter(({ lab }) => lab.isGround)),
        'all others stand on it',
      );
      t.ok(
        parts.every((part) => part.length <= most || isOverBoots((part[0] as CaseForm).lab)),
        'none is larger than was asked for',
      );
    }
});

t.test(
  'what a second boot is to find is in the machine of that boot, and in its order',
  async (t) => {
    const forms = formsOn('lab');
    const { parts } = partsOf(forms, 10);
    const [first] = parts as [CaseForm[]];
    const twice = forms.filter(({ lab }) => lab.boot === 2);
    t.ok(twice.length > 2);
    t.ok(twice.every((form) => first.includes(form)));
    t.strictSame(names(first), names(forms.filter((form) => first.includes(form))));
    t.ok(
      parts.slice(1).every((part) => part.every(({ lab }) => lab.boot !== 2 && !isOverBoots(lab))),
    );
  },
);

t.test('a few cases are one machine, with what they stand on', async (t) => {
  const forms = formsOn('stock').slice(0, 5);
  t.strictSame(partsOf(forms, 14), { ground: [], parts: [forms] });
  t.strictSame(partsOf([], 14), { ground: [], parts: [] });
});

t.test(
  'of two kernels each backend is tried on one, and one kernel alone tries all that it has',
  async (t) => {
    t.strictSame(backendsOf('lab', ['lab']), ['iommufd', 'container']);
    t.strictSame(backendsOf('lab', ['lab', 'stock']), ['iommufd']);
    t.strictSame(backendsOf('stock', ['lab', 'stock']), ['container']);
    t.strictSame(backendsOf('stock', ['stock']), ['container']);
    const all = names(formsOn('lab'));
    const some = names(formsOn('lab', backendsOf('lab', ['lab', 'stock'])));
    t.strictSame(
      some,
      all.filter((name) => !name.endsWith('/container')),
      'what names no backend is there all the same',
    );
  },
);
