/** `extract`: a pattern from an original Linux driver and its port. */

import { utf8 } from '../../shared/bytes.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { loadCGrammar } from '../pipeline/c/grammar.ts';
import { extractPattern } from '../pipeline/extract/extract.ts';
import { givenLabel } from '../pipeline/pattern/label.ts';
import { UNKNOWN_METADATA } from '../pipeline/pattern/pattern.ts';
import { appendAudit } from '../pipeline/run/audit.ts';
import {
  AUDIT_OPTION,
  auditPath,
  CEILING_OPTION,
  givenLabels,
  HEADER_OPTION,
  readCSource,
  readHeaders,
  refuseClashes,
  refuseSameFile,
} from '../pipeline/run/inputs.ts';
import { writeDraft, writeNew } from '../pipeline/run/outputs.ts';

export const extract: CommandSpec = {
  name: 'extract',
  summary: 'derive a pattern from a Linux driver and its port',
  description:
    'Compares the calls of functions that both files have. What is not clear is written as UNKNOWN, for a person to decide; the pattern wants review before it is applied.',
  arguments: [
    { name: 'linux', description: 'the original driver, a C source' },
    { name: 'ported', description: 'its port' },
    { name: 'version', description: 'the version that the pattern gets' },
    { name: 'out', description: 'the pattern file to write' },
  ],
  options: [
    { flags: '--linux-version <version>', description: 'the kernel that it is for' },
    { flags: '--driver-family <family>', description: 'the family of drivers that it is for' },
    { flags: '--force', description: 'replace files that are there with other content' },
    CEILING_OPTION,
    HEADER_OPTION,
    AUDIT_OPTION,
  ],
  examples: [
    'ironport extract linux/edu.c port/edu.c 1.0 edu.toml --linux-version=6.1 --driver-family=edu',
  ],
  schema: 'ironport/extract/v1',
  async run(context) {
    const [linux, ported, version, out] = context.args as [string, string, string, string];
    givenLabel('the version of the pattern', version);
    const { linuxVersion, driverFamily } = givenLabels(context);
    refuseSameFile(out, [linux, ported]);
    refuseClashes(context, out, [linux, ported]);
    const [original, port] = [await readCSource(linux), await readCSource(ported)];
    const extracted = extractPattern(await loadCGrammar(), {
      original: original.text,
      ported: port.text,
      head: [
        'Extracted by comparing calls; to be reviewed by a person before it is applied.',
        `original: sha256 ${original.sha256}`,
        `port:     sha256 ${port.sha256}`,
      ],
      version,
      linuxVersion: linuxVersion ?? UNKNOWN_METADATA,
      driverFamily: driverFamily ?? UNKNOWN_METADATA,
      macros: await readHeaders(context),
    });
    const { decided, undecided, confidence, skipped, draft } = extracted;
    for (const name of skipped) context.ui.warn(`${name}: too many calls to be compared`);
    await appendAudit(auditPath(context), systemClock(), {
      command: 'extract',
      original: { path: linux, sha256: original.sha256 },
      ported: { path: ported, sha256: port.sha256 },
      output: { path: out },
    });
    await writeDraft(context, draft);
    await writeNew(context, out, utf8(extracted.text));
    return {
      data: { output: out, decided, undecided, confidence, ceiling_todo: draft.todo },
      text: `${out}: ${decided} names decided, ${undecided.length} left open, confidence ${confidence}`,
    };
  },
};
