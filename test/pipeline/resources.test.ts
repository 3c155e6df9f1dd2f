// What a source shows of BARs, interrupts, DMA and ids, and the draft of a ceiling from it.
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { readC } from '../../publisher/pipeline/c/read.ts';
import { splitList } from '../../publisher/pipeline/resources/arguments.ts';
import { draftCeiling } from '../../publisher/pipeline/resources/ceiling-draft.ts';
import { evaluate, readMacros } from '../../publisher/pipeline/resources/constants.ts';
import { findResources } from '../../publisher/pipeline/resources/find.ts';
import { Node } from '../../shared/json/decode.ts';
import { parseCeiling } from '../../shared/manifest/ceiling.ts';

const grammar = await loadCGrammar();

function find(text: string) {
  return findResources(text, readC(grammar, text), readMacros(text));
}
const body = (statements: string): string => `void f(struct pci_dev *pdev)\n{\n${statements}\n}\n`;

t.test('constants', async (t) => {
  const macros = readMacros(
    '#define A 0x10\n  #  define B (A << 2) /* x */\n#define C(x) x\n#define D B | \\\n 1\n#define TWICE 1\n#define TWICE 2\n#define SELF SELF\n#define LOOP1 LOOP2\n#define LOOP2 LOOP1\n',
  );
  const cases: [string, bigint | undefined][] = [
    ['0', 0n],
    ['0x1fUL', 31n],
    ['010', 8n],
    ['08', undefined],
    ['1 + 2 * 3', 7n],
    ['(1 + 2) * 3', 9n],
    ['1 << 4 | 1', 17n],
    ['8 >> 1', 4n],
    ['7 / 2', 3n],
    ['1 / 0', undefined],
    ['1 - 2', undefined],
    ['A', 16n],
    ['B', 64n],
    ['D', 65n],
    ['BIT(3)', 8n],
    ['BIT(0) | BIT(2)', 5n],
    ['DMA_BIT_MASK(32)', 0xffff_ffffn],
    ['DMA_BIT_MASK(64)', 0xffff_ffff_ffff_ffffn],
    ['SZ_4K', 4096n],
    ['2 * PAGE_SIZE', 8192n],
    ['TWICE', undefined],
    ['SELF', undefined],
    ['LOOP1', undefined],
    ['pdev->irq', undefined],
    ['sizeof(x)', undefined],
    ['1 +', undefined],
    ['(1', undefined],
    ['', undefined],
    ['1 << 99', undefined],
    ['0xffffffffffffffff * 0xffffffffffffffff', undefined],
  ];
  for (const [text, value] of cases) t.equal(evaluate(text, macros), value, text);
});

t.test('macros that double at every step cost no more than their limit', async (t) => {
  const lines = Array.from({ length: 40 }, (_, i) => `#define M${i} (M${i + 1} + M${i + 1})`);
  const began = process.cpuUsage();
  t.equal(evaluate('M0', readMacros(`${lines.join('\n')}\n#define M40 1\n`)), undefined);
  t.equal(evaluate(`${'('.repeat(1000)}1${')'.repeat(1000)}`, new Map()), undefined, 'too long');
  t.equal(evaluate(`${'('.repeat(500)}1${')'.repeat(500)}`, new Map()), 1n);
  t.ok(process.cpuUsage(began).user < 1e6);
});

t.test('lists', async (t) => {
  t.strictSame(splitList('a, f(b, c), "x,y", {1, 2} /* , */'), ['a', 'f(b, c)', '"x,y"', '{1, 2}']);
});

t.test('BARs', async (t) => {
  const { bars, unknown } = find(
    body(
      'p = pci_iomap(pdev, 2, 0x2000);\nq = pci_iomap(pdev, 2, 0x1000);\npci_resource_start(pdev, BAR);\npcim_iomap_regions(pdev, BIT(4) | BIT(5), "x");\npci_ioremap_bar(pdev, bar);\npci_iomap(pdev, 7, 0);\nioremap(x, 4);\npci_iomap(pdev, 0, 0);',
    ).replace(/^/, '#define BAR 1\n'),
  );
  t.strictSame(
    bars.map(({ index, length }) => [index, length]),
    [
      [0, undefined],
      [1, undefined],
      [2, 0x2000n],
      [4, undefined],
      [5, undefined],
    ],
  );
  t.strictSame(unknown, [
    'line 8, pci_ioremap_bar: the number of the BAR is not a constant from 0 to 5',
    'line 9, pci_iomap: the number of the BAR is not a constant from 0 to 5',
    'line 10, ioremap: maps registers without naming a BAR',
  ]);
});

t.test('interrupts: the most capable kind, and of it the most vectors', async (t) => {
  const kind = (text: string) => {
    const { interrupts } = find(body(text));
    return [interrupts?.kind, interrupts?.vectors];
  };
  t.strictSame(kind(''), [undefined, undefined]);
  t.strictSame(kind('request_irq(pdev->irq, h, 0, "x", p);'), ['intx', 1]);
  t.strictSame(kind('devm_request_threaded_irq(d, i, h, t, 0, "x", p);'), ['intx', 1]);
  t.strictSame(kind('pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_MSI);'), ['msi', 8]);
  t.strictSame(kind('pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_ALL_TYPES);'), ['msix', 8]);
  t.strictSame(kind('pci_alloc_irq_vectors(pdev, 1, 8, PCI_IRQ_LEGACY);'), ['intx', undefined]);
  t.strictSame(kind('pci_alloc_irq_vectors(pdev, 1, n, PCI_IRQ_MSIX);'), ['msix', undefined]);
  t.strictSame(kind('pci_enable_msi(pdev); pci_enable_msix_exact(pdev, e, 4);'), ['msix', 4]);
  t.strictSame(kind('pci_enable_msix_range(pdev, e, 1, 6); request_irq(1);'), ['msix', 6]);
});

t.test('DMA: mask, bytes, direction', async (t) => {
  const { dma } = find(
    body(
      'dma_set_mask(d, DMA_BIT_MASK(32));\ndma_set_mask_and_coherent(d, DMA_BIT_MASK(40));\ndma_map_single(d, p, 4, DMA_TO_DEVICE);',
    ),
  );
  t.equal(dma?.maskBits, 40);
  t.equal(dma?.direction, 'to-device');
  t.equal(find(body('dma_map_page(d, p, 0, 4, DMA_FROM_DEVICE);')).dma?.direction, 'from-device');
  const coherent = find(body('dma_alloc_coherent(d, SZ_8K, &h, GFP_KERNEL);')).dma;
  t.equal(coherent?.coherentBytes, 8192n);
  t.equal(coherent?.direction, 'bidirectional');
  t.equal(find(body('')).dma, undefined);
});

t.test('device ids', async (t) => {
  const { devices, unknown } = find(`#define PCI_VENDOR_ID_ACME 0x1234
#define PCI_DEVICE_ID_ACME_EDU 0x11e8
static const struct pci_device_id ids[] = {
	{ PCI_DEVICE(0x8086, 0x1000) },
	{ PCI_VDEVICE(ACME, 0x11e9), 7 },
	{ PCI_DEVICE_DATA(ACME, EDU, &data) },
	{ PCI_DEVICE_SUB(0x8086, 0x1001, 0x1af4, 0x1100), .driver_data = 3 },
	{ 0x8086, 0x1002, PCI_ANY_ID, PCI_ANY_ID, 0, 0, 0 },
	{ .vendor = 0x8086, .device = 0x1003, .subvendor = PCI_ANY_ID },
	{ PCI_DEVICE(PCI_VENDOR_ID_OTHER, 1) },
	{ PCI_DEVICE_CLASS(0x020000, 0xffff00) },
	{ PCI_DEVICE(0x8086, 0x1000) },
	{ 0, },
	{ }
};
static const struct other_id no[] = { { PCI_DEVICE(1, 2) } };
`);
  t.strictSame(devices, [
    { vendor: 0x8086, device: 0x1000 },
    { vendor: 0x1234, device: 0x11e9 },
    { vendor: 0x1234, device: 0x11e8 },
    { vendor: 0x8086, device: 0x1001, subsystemVendor: 0x1af4, subsystemDevice: 0x1100 },
    { vendor: 0x8086, device: 0x1002 },
    { vendor: 0x8086, device: 0x1003 },
  ]);
  t.equal(unknown.length, 2, 'the vendor of a header, and the class');
});

const WHOLE = `static const struct pci_device_id ids[] = { { PCI_DEVICE(0x1234, 0x11e8) }, { } };
${body('m = pci_iomap(pdev, 0, 0x1234);\niowrite32(1, m);\npci_alloc_irq_vectors(pdev, 1, 2, PCI_IRQ_MSI);\ndma_set_mask(d, DMA_BIT_MASK(28));')}`;

t.test('a draft with everything found is a valid ceiling', async (t) => {
  const { ceiling, todo } = draftCeiling(find(WHOLE));
  const parsed = parseCeiling(new Node(ceiling, 'draft'));
  t.strictSame(parsed.devices, [{ vendor: 0x1234, device: 0x11e8 }]);
  t.equal(
    JSON.stringify(ceiling.bars),
    '[{"index":0,"offset_bytes":"0x0","length_bytes":"0x2000","access":"read-write"}]',
  );
  t.equal(parsed.interrupts.kind, 'msi');
  t.equal(parsed.interrupts.vectors, 2);
  t.equal(parsed.dma.maskBits, 28);
  t.match(todo.join('\n'), 'budget per second is a guess');
});

t.test('a driver that writes nothing gets no right to', async (t) => {
  const { ceiling } = draftCeiling(find(WHOLE.replace('iowrite32(1, m);', 'ioread32(m);')));
  t.match(JSON.stringify(ceiling.bars), '"access":"read"');
});

t.test('a draft without ids is no ceiling yet, and says so', async (t) => {
  const { ceiling, todo } = draftCeiling(find(''));
  t.throws(() => parseCeiling(new Node(ceiling, 'draft')), { code: 'E_CEILING' });
  t.match(todo[0] ?? '', 'devices is empty');
  t.match(todo[1] ?? '', 'no BAR was found');
});
