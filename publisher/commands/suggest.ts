/** `suggest`: proposals for the calls that a pattern does not decide. */

import { resolve } from 'node:path';
import { utf8 } from '../../shared/bytes.ts';
import type { CommandSpec } from '../../shared/cli/command.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { loadCGrammar } from '../pipeline/c/grammar.ts';
import { appendAudit } from '../pipeline/run/audit.ts';
import {
  AUDIT_OPTION,
  auditPath,
  readCSource,
  readPatternFile,
  refuseClashes,
  refuseSameFile,
} from '../pipeline/run/inputs.ts';
import { writeNew } from '../pipeline/run/outputs.ts';
import { SUGGESTED_CONFIDENCE } from '../pipeline/suggest/edit.ts';
import { suggest as suggestEntries } from '../pipeline/suggest/suggest.ts';

export const suggest: CommandSpec = {
  name: 'suggest',
  summary: 'propose entries for calls that a pattern does not decide',
  description:
    'Fills in entries that say UNKNOWN and adds new ones, each with a comment that says why. Every other entry, line and comment of the pattern stays as it is. With proposals the pattern wants review again. OUT may be the pattern itself.',
  arguments: [
    { name: 'pattern', description: 'the pattern file' },
    { name: 'in', description: 'a C source' },
    { name: 'out', description: 'the pattern file to write' },
  ],
  options: [
    { flags: '--force', description: 'replace another file that is there with other content' },
    AUDIT_OPTION,
  ],
  examples: ['ironport suggest edu.toml edu.c edu-suggested.toml'],
  schema: 'ironport/suggest/v1',
  async run(context) {
    const [patternPath, input, out] = context.args as [string, string, string];
    refuseSameFile(out, [input]);
    refuseClashes(context, out, [patternPath, input]);
    const [pattern, source] = [await readPatternFile(patternPath), await readCSource(input)];
    const { text, proposals } = suggestEntries(
      await loadCGrammar(),
      pattern.bytes,
      source.text,
      patternPath,
    );
    await appendAudit(auditPath(context), systemClock(), {
      command: 'suggest',
      pattern: { path: patternPath, sha256: pattern.sha256 },
      input: { path: input, sha256: source.sha256 },
      output: { path: out },
      proposals: proposals.length,
    });
    if (resolve(out) === resolve(patternPath)) await writeFileAtomic(out, utf8(text));
    else await writeNew(context, out, utf8(text));
    if (proposals.length > 0)
      context.ui.note(
        `${out} wants review: confidence at most ${SUGGESTED_CONFIDENCE}, review_required = true`,
      );
    return {
      data: {
        output: out,
        proposals: proposals.map(({ from, to, comment }) => ({ from, to, comment })),
      },
      text: [
        ...proposals.map(({ from, to, comment }) => `${from} -> ${to}  (${comment ?? ''})`),
        `${out}: ${proposals.length} proposals`,
      ].join('\n'),
    };
  },
};
