/** One run of `apply`: everything is made before anything is written. */

import { basename, join } from 'node:path';
import { toHex } from '../../../shared/bytes.ts';
import type { CommandContext } from '../../../shared/cli/command.ts';
import { signEnvelope } from '../../../shared/evidence/dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, PREDICATE_TYPES } from '../../../shared/evidence/identifiers.ts';
import { buildStatement } from '../../../shared/evidence/statement.ts';
import type { JsonObject } from '../../../shared/json/value.ts';
import { platformCrypto as crypto } from '../../../shared/node/crypto.ts';
import { openSigner } from '../../../shared/node/signers/uri.ts';
import { type InputKind, kindOf } from '../apply/kind.ts';
import { applyPredicate } from '../apply/predicate.ts';
import { type Transformed, transform } from '../apply/transform.ts';
import { type CGrammar, loadCGrammar } from '../c/grammar.ts';
import { readC } from '../c/read.ts';
import { assertApplicable } from '../gates.ts';
import { type Pattern, parsePattern } from '../pattern/pattern.ts';
import { type CeilingDraft, draftCeiling } from '../resources/ceiling-draft.ts';
import { readMacros } from '../resources/constants.ts';
import { findResources } from '../resources/find.ts';
import { bytesToText } from '../source.ts';
import { ApplyCache, cacheKey } from './cache.ts';
import { EXTERNAL_VARIABLE, parseExternalStep, runExternalStep } from './external.ts';
import { givenLabels, type ReadFile, readHeaders, sourceDate } from './inputs.ts';
import { cacheFolder } from './places.ts';

export interface ApplyRun {
  readonly kind: InputKind;
  readonly bytes: Uint8Array;
  readonly sha256: string;
  readonly transformed: Transformed;
  readonly cache: 'hit' | 'miss' | 'off';
  readonly forced: boolean;
  /** The words of the external step, when it ran. */
  readonly externalStep: readonly string[] | undefined;
  readonly predicate: JsonObject;
  /** One signed statement about the output, when a key was given. */
  readonly statement: Uint8Array | undefined;
  readonly draft: CeilingDraft | undefined;
}

/** Applies a pattern to an input. Writes nothing but the cache. */
export async function runApply(
  context: CommandContext,
  patternFile: ReadFile,
  input: ReadFile,
  out: string,
): Promise<ApplyRun> {
  const pattern = parsePattern(patternFile.bytes, patternFile.path);
  for (const note of pattern.notes) context.ui.note(note);
  const wanted = givenLabels(context);
  const { forced } = assertApplicable(pattern.metadata, {
    ...wanted,
    force: context.flag('force'),
  });
  if (forced) context.ui.warn('applied without review, because of --force');
  const time = sourceDate(context.env);
  const kind = kindOf(input.path);
  const grammar = await loadCGrammar();
  const { transformed, cache } = await cached(context, grammar, pattern, patternFile, kind, input);
  for (const note of transformed.notes) context.ui.note(note);
  const { bytes, externalStep } = await external(context, pattern, input, transformed.bytes);
  const sha256 = toHex(crypto.sha256(bytes));
  const predicate = applyPredicate({
    input,
    pattern: { ...patternFile, version: pattern.metadata.version },
    ...wanted,
    forced,
    externalStep,
    grammar: grammar.name,
    time,
  });
  const statement = await signed(context, pattern, basename(out), sha256, predicate);
  const draft = await draftOf(context, grammar, kind, input);
  return {
    kind,
    bytes,
    sha256,
    transformed,
    cache,
    forced,
    externalStep,
    predicate,
    statement,
    draft,
  };
}

async function cached(
  context: CommandContext,
  grammar: CGrammar,
  pattern: Pattern,
  patternFile: ReadFile,
  kind: InputKind,
  input: ReadFile,
): Promise<{ transformed: Transformed; cache: ApplyRun['cache'] }> {
  const isOff = context.flag('no-cache');
  const { incremental, ltoCache } = pattern.build;
  const make = (): Transformed => transform(grammar, pattern, kind, input.bytes);
  if (isOff || (!incremental && !ltoCache)) return { transformed: make(), cache: 'off' };
  const store = new ApplyCache(cacheFolder(context.env));
  const key = cacheKey({
    kind,
    inputSha256: input.sha256,
    patternSha256: patternFile.sha256,
    grammarSha256: grammar.sha256,
  });
  const found = incremental ? await store.get(key) : undefined;
  if (found === 'damaged') context.ui.warn('a cache entry was damaged: made again');
  else if (found !== undefined) return { transformed: found, cache: 'hit' };
  const transformed = make();
  if (ltoCache) await store.put(key, transformed);
  return { transformed, cache: 'miss' };
}

/** The external build step, when there is one. Its results are not cached: it has other inputs. */
async function external(
  context: CommandContext,
  pattern: Pattern,
  input: ReadFile,
  bytes: Uint8Array,
): Promise<{ bytes: Uint8Array; externalStep: readonly string[] | undefined }> {
  const command = context.env[EXTERNAL_VARIABLE];
  if (command === undefined || command === '') return { bytes, externalStep: undefined };
  const step = parseExternalStep(command);
  if (!pattern.build.thinLto) {
    context.ui.note(`${EXTERNAL_VARIABLE} is not run: the pattern says thin_lto = false`);
    return { bytes, externalStep: undefined };
  }
  context.ui.stage(`running ${step.words[0]}`);
  // Few folders, the same one for the same input: its path may end up in what the tool writes.
  const slot = toHex(crypto.sha256(bytes)).slice(0, 3);
  const output = await runExternalStep({
    step,
    bytes,
    name: input.name,
    folder: join(cacheFolder(context.env), 'step', slot),
    env: context.env,
    signal: context.signal,
  });
  return { bytes: output, externalStep: step.words };
}

/** A DSSE envelope with the provenance of the output, if there is a key and no `--no-sign`. */
async function signed(
  context: CommandContext,
  { signing }: Pattern,
  name: string,
  sha256: string,
  predicate: JsonObject,
): Promise<Uint8Array | undefined> {
  if (context.flag('no-sign')) return undefined;
  const key = context.text('key') ?? signing?.key;
  if (key === undefined) {
    if (signing !== undefined)
      context.ui.warn('[signing] names no key and --key was not given: the output is not signed');
    return undefined;
  }
  const signer = await openSigner(key, {
    passphraseFile: context.text('passphrase-file'),
    env: context.env,
  });
  const payload = buildStatement({
    subjects: [{ name, sha256 }],
    predicateType: PREDICATE_TYPES.provenance,
    predicate,
  });
  return await signEnvelope(IN_TOTO_PAYLOAD_TYPE, payload, [{ signer }]);
}

async function draftOf(
  context: CommandContext,
  grammar: CGrammar,
  kind: InputKind,
  input: ReadFile,
): Promise<CeilingDraft | undefined> {
  if (context.text('ceiling-out') === undefined) return undefined;
  if (kind !== 'c') {
    context.ui.warn('--ceiling-out: a draft is made from C sources only');
    return undefined;
  }
  const text = bytesToText(input.bytes);
  const macros = new Map([...(await readHeaders(context)), ...readMacros(text)]);
  return draftCeiling(findResources(text, readC(grammar, text), macros));
}
