/** `apply`, without files: a pattern and the bytes of an input give the bytes of an output. */

import { IronError } from '../../../shared/errors.ts';
import { type Patched, patchBytes } from '../binary/patch.ts';
import type { CGrammar } from '../c/grammar.ts';
import { renameC } from '../c/rename.ts';
import { renameLlvm } from '../llvm/rename.ts';
import type { Pattern } from '../pattern/pattern.ts';
import type { Report } from '../report.ts';
import { bytesToText, textToBytes } from '../source.ts';
import type { InputKind } from './kind.ts';

/**
 * Counts up when the same inputs would give another output or report than before, so that what was
 * cached by an older version is not taken for a result of this one.
 */
export const TRANSFORM_VERSION = 1;

export interface Transformed {
  readonly bytes: Uint8Array;
  /** Of text. */
  readonly report: Report;
  /** Of other files. */
  readonly patched: readonly Patched[];
  /** Parts of the pattern that do not concern this kind of file, in sentences. */
  readonly notes: readonly string[];
}

const NOTHING: Report = { renamed: [], kept: 0, findings: [] };

/** Throws `E_NOTHING_TO_DO` when the pattern says nothing about this kind of file. */
export function transform(
  grammar: CGrammar,
  pattern: Pattern,
  kind: InputKind,
  bytes: Uint8Array,
): Transformed {
  if (kind === 'binary') return transformBinary(pattern, bytes);
  const source = bytesToText(bytes);
  const { text, report } =
    kind === 'c' ? renameC(grammar, source, pattern.mapping) : renameLlvm(source, pattern.mapping);
  const count = pattern.patches.length;
  const notes =
    count > 0 ? [`${count} binary patches are for files that are not text: not used`] : [];
  return { bytes: textToBytes(text), report, patched: [], notes };
}

function transformBinary({ patches, mapping }: Pattern, bytes: Uint8Array): Transformed {
  if (patches.length === 0) {
    throw new IronError('E_NOTHING_TO_DO', 'the pattern has no binary_patch for such a file', {
      why: 'calls are renamed in .c, .h and .ll; in other files bytes are replaced',
      hint: 'nothing was written; apply the pattern to a source, or add a [binary_patch.NAME]',
    });
  }
  const { bytes: result, patched } = patchBytes(bytes, patches);
  const notes =
    mapping.size > 0 ? ['the mapping is for sources: not used on a file that is not text'] : [];
  return { bytes: result, report: NOTHING, patched, notes };
}
