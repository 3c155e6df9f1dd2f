/** `apply`: a pattern's mapping or patches, applied to one file. */

import { concatBytes, utf8 } from '../../shared/bytes.ts';
import type { CommandContext, CommandResult, CommandSpec } from '../../shared/cli/command.ts';
import { asIronError } from '../../shared/errors.ts';
import { type JsonObject, jsonObject } from '../../shared/json/value.ts';
import { SIDECARS } from '../../shared/layout.ts';
import { PIPELINE_LIMITS } from '../../shared/limits.ts';
import { systemClock } from '../../shared/node/clock.ts';
import { writeFileAtomic } from '../../shared/node/files.ts';
import { kindOf } from '../pipeline/apply/kind.ts';
import { reportJson, reportText } from '../pipeline/report.ts';
import { type ApplyRun, runApply } from '../pipeline/run/apply-run.ts';
import { appendAudit } from '../pipeline/run/audit.ts';
import {
  AUDIT_OPTION,
  auditPath,
  CEILING_OPTION,
  HEADER_OPTION,
  type ReadFile,
  readPatternFile,
  readWhole,
  refuseClashes,
  refuseSameFile,
} from '../pipeline/run/inputs.ts';
import { jsonFile, writeDraft } from '../pipeline/run/outputs.ts';

export const apply: CommandSpec = {
  name: 'apply',
  summary: "apply a pattern to a driver's source, LLVM text or binary",
  description:
    'Renames calls in .c, .h and .ll and nothing else; replaces bytes in other files. Reports with line numbers what it did not understand. IRONPORT_LTO_CMD, with {input} and {output} among its words, is run on the result without a shell.',
  arguments: [
    { name: 'pattern', description: 'the pattern file' },
    { name: 'in', description: 'the file to transform' },
    { name: 'out', description: 'the file to write' },
  ],
  options: [
    { flags: '--linux-version <version>', description: 'refuse a pattern for another kernel' },
    { flags: '--driver-family <family>', description: 'refuse a pattern for another family' },
    { flags: '--force', description: 'apply a pattern that nobody reviewed; replace a draft' },
    { flags: '--no-cache', description: 'neither take results from the cache nor keep any' },
    { flags: '--no-sign', description: 'sign nothing, whatever the pattern says' },
    { flags: '--stealth', description: 'does nothing; accepted because IronShim had it' },
    { flags: '--key <signer>', description: 'sign the provenance of the output: file:PATH' },
    { flags: '--passphrase-file <file>', description: 'file with its passphrase, or fd:N' },
    {
      flags: '--provenance-out <file>',
      description: 'write the provenance predicate, for `ironport attest --provenance`',
    },
    CEILING_OPTION,
    HEADER_OPTION,
    AUDIT_OPTION,
  ],
  examples: [
    'ironport apply --linux-version=6.1 edu.toml edu.c edu-shim.c',
    'IRONPORT_LTO_CMD="clang -O2 -c {input} -o {output}" ironport apply edu.toml edu.c edu.o --provenance-out edu.provenance.json',
  ],
  schema: 'ironport/apply/v1',
  async run(context) {
    const [patternPath, inputPath, out] = context.args as [string, string, string];
    refuseSameFile(out, [patternPath]);
    refuseClashes(context, out, [patternPath, inputPath]);
    if (context.flag('stealth'))
      context.ui.note('--stealth does nothing: work that hides is not done here');
    const pattern = await readPatternFile(patternPath);
    const cap = kindOf(inputPath) === 'binary' ? PIPELINE_LIMITS.binary : PIPELINE_LIMITS.source;
    const input = await readWhole(inputPath, cap);
    const about = jsonObject([
      ['command', 'apply'],
      ['pattern', { path: pattern.path, sha256: pattern.sha256 }],
      ['input', { path: input.path, sha256: input.sha256 }],
    ]);
    const run = await runApply(context, pattern, input, out).catch(async (error: unknown) => {
      const { code } = asIronError(error);
      await appendAudit(auditPath(context), systemClock(), { ...about, refused: code });
      throw error;
    });
    await appendAudit(auditPath(context), systemClock(), {
      ...about,
      output: { path: out, sha256: run.sha256 },
      forced: run.forced,
      cache: run.cache,
      external_step: run.externalStep === undefined ? null : [...run.externalStep],
      signed: run.statement !== undefined,
    });
    return await write(context, run, pattern, input, out);
  },
};

/** The output last: when it is there, what belongs to it is there too. */
async function write(
  context: CommandContext,
  run: ApplyRun,
  pattern: ReadFile,
  input: ReadFile,
  out: string,
): Promise<CommandResult> {
  const provenance = context.text('provenance-out');
  if (provenance !== undefined) await writeFileAtomic(provenance, jsonFile(run.predicate));
  if (run.draft !== undefined) await writeDraft(context, run.draft);
  const statements = run.statement === undefined ? undefined : out + SIDECARS.statements;
  if (statements !== undefined && run.statement !== undefined)
    await writeFileAtomic(statements, concatBytes(run.statement, utf8('\n')));
  await writeFileAtomic(out, run.bytes);
  const { transformed, sha256, bytes, kind, cache, forced } = run;
  const data: JsonObject = {
    kind,
    input: { path: input.path, sha256: input.sha256 },
    pattern: { path: pattern.path, sha256: pattern.sha256 },
    output: { path: out, length: bytes.length, sha256 },
    cache,
    forced,
    external_step: run.externalStep === undefined ? null : [...run.externalStep],
    provenance: provenance ?? null,
    statements: statements ?? null,
    report: reportJson(transformed.report),
    patched: transformed.patched.map(({ name, offsets }) => ({ name, offsets: [...offsets] })),
    notes: [...transformed.notes],
  };
  return { data, text: `${resultText(run)}\n${sha256}  ${out}` };
}

function resultText({ kind, transformed }: ApplyRun): string {
  if (kind !== 'binary') return reportText(transformed.report);
  return transformed.patched
    .map(({ name, offsets }) => `patched ${name} at byte ${offsets.join(', ')}`)
    .join('\n');
}
