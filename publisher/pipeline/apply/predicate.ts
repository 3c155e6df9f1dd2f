/** What `apply` says of itself: the predicate of a provenance statement about its output. */

import { BUILD_TYPES, BUILDERS } from '../../../shared/evidence/identifiers.ts';
import { handBuiltProvenance } from '../../../shared/evidence/provenance.ts';
import { type JsonObject, jsonObject } from '../../../shared/json/value.ts';
import type { Instant } from '../../../shared/time.ts';
import { TRANSFORM_VERSION } from './transform.ts';

export interface Applied {
  readonly input: { readonly name: string; readonly sha256: string };
  readonly pattern: { readonly name: string; readonly sha256: string; readonly version: string };
  readonly linuxVersion?: string | undefined;
  readonly driverFamily?: string | undefined;
  /** Applied although the pattern wanted review. */
  readonly forced: boolean;
  /** The words of the external build step, with its placeholders, when it ran. */
  readonly externalStep?: readonly string[] | undefined;
  readonly grammar: string;
  /** SOURCE_DATE_EPOCH, when it was set: no other time is claimed. */
  readonly time?: Instant | undefined;
}

/**
 * A SLSA provenance v1 predicate. Parameters that were not given are absent, so that a policy can
 * demand exact ones; both files are dependencies with the digests that were read.
 */
export function applyPredicate(applied: Applied): JsonObject {
  const { input, pattern, linuxVersion, driverFamily, forced, externalStep, time } = applied;
  const predicate = handBuiltProvenance({
    buildType: BUILD_TYPES.apply,
    builderId: BUILDERS.byHand,
    externalParameters: jsonObject([
      ['input', input.name],
      ['pattern', pattern.name],
      ['pattern_version', pattern.version],
      ...(linuxVersion === undefined ? [] : [['linux_version', linuxVersion] as const]),
      ...(driverFamily === undefined ? [] : [['driver_family', driverFamily] as const]),
      ...(forced ? [['force', true] as const] : []),
      ...(externalStep === undefined ? [] : [['external_step', [...externalStep]] as const]),
    ]),
    ...(time !== undefined && { started: time, finished: time }),
  });
  return {
    ...predicate,
    buildDefinition: {
      ...(predicate.buildDefinition as JsonObject),
      internalParameters: { transform: TRANSFORM_VERSION, grammar: applied.grammar },
      resolvedDependencies: [
        { name: input.name, digest: { sha256: input.sha256 } },
        { name: pattern.name, digest: { sha256: pattern.sha256 } },
      ],
    },
  };
}
