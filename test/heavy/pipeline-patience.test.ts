// A source that the parser would take minutes over, or all memory, is refused, and nothing is left behind.
import t from 'tap';
import { loadCGrammar } from '../../publisher/pipeline/c/grammar.ts';
import { renameC } from '../../publisher/pipeline/c/rename.ts';
import { isIronError } from '../../shared/errors.ts';
import { PIPELINE_LIMITS } from '../../shared/limits.ts';

const grammar = await loadCGrammar();
const MAPPING = new Map([['a', 'b']]);

t.test('what takes too much memory is refused, and the next source is read as ever', async (t) => {
  // Calls within calls that never end: without a bound this takes 1.9 GiB. First of all: what the parser
  // has once it keeps, and the second time it need not grow.
  const text = `int f(void){ ${'a('.repeat(1_000_000)}`;
  const before = process.memoryUsage.rss();
  const outcome = await Promise.resolve()
    .then(() => renameC(grammar, text, MAPPING).text)
    .catch((error: unknown) => error);
  // A slow processor meets the bound of time first; what was taken until then is bounded all the same.
  const why = isIronError(outcome, 'E_TOO_LARGE') ? outcome.message : 'it was parsed';
  t.match(why, /of memory|was not parsed in/);
  t.ok(process.memoryUsage.rss() - before < 1.5 * PIPELINE_LIMITS.parseMemory);
  t.equal(renameC(grammar, 'int x = a(1);', MAPPING).text, 'int x = b(1);');
});

t.test('what takes too long is refused, and the next source is read as ever', async (t) => {
  // Casts that could be calls: the parser keeps both ways open to the end.
  const text = `int x=${'(a)'.repeat(600_000)}`;
  const began = process.cpuUsage();
  const outcome = await Promise.resolve()
    .then(() => renameC(grammar, text, MAPPING).text)
    .catch((error: unknown) => error);
  t.ok(isIronError(outcome, 'E_TOO_LARGE'));
  t.ok(process.cpuUsage(began).user < 4e6 * PIPELINE_LIMITS.parseSeconds);
  t.equal(renameC(grammar, 'int x = a(1);', MAPPING).text, 'int x = b(1);');
});
