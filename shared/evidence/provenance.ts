/** SLSA provenance v1: how an artifact was built, as far as the builder knows and says. */

import type { Node } from '../json/decode.ts';
import type { JsonObject } from '../json/value.ts';
import { formatInstant, type Instant } from '../time.ts';
import { TYPE_URI } from './statement.ts';

export interface Provenance {
  readonly buildType: string;
  readonly externalParameters: JsonObject;
  /** "The sole determiner of the SLSA Build level" (SLSA 1.2, build provenance). */
  readonly builderId: string;
  /** What it says went into the build. Absent is the same as none that is known. */
  readonly dependencies: readonly Dependency[];
  readonly invocationId?: string;
  readonly startedOn?: Instant;
  readonly finishedOn?: Instant;
}

export interface Dependency {
  readonly uri?: string;
  /** Whether it is told by a commit of git. */
  readonly isCommit: boolean;
}

/** Reads the predicate of a statement whose type is SLSA provenance v1. `E_SCHEMA`. */
export function parseProvenance(predicate: Node): Provenance {
  const definition = predicate.get('buildDefinition');
  const details = predicate.get('runDetails');
  // SLSA 1.2, build provenance: buildType, externalParameters and builder.id are required.
  const buildType = definition.get('buildType').matching(TYPE_URI, 'a URI');
  const externalParameters = definition.get('externalParameters').object();
  const builderId = details.get('builder').get('id').matching(TYPE_URI, 'a URI');
  // The rest is optional, but when it is there it has its form: half-read is not read.
  definition.maybe('internalParameters')?.object();
  const dependencies = (definition.maybe('resolvedDependencies')?.items() ?? []).map((item) => {
    const uri = item.maybe('uri')?.string();
    const isCommit = item.maybe('digest')?.maybe('gitCommit') !== undefined;
    return { ...(uri !== undefined && { uri }), isCommit };
  });
  const metadata = details.maybe('metadata');
  const invocationId = metadata?.maybe('invocationId')?.string();
  const startedOn = metadata?.maybe('startedOn')?.instant();
  const finishedOn = metadata?.maybe('finishedOn')?.instant();
  return {
    buildType,
    externalParameters,
    builderId,
    dependencies,
    ...(invocationId !== undefined && { invocationId }),
    ...(startedOn !== undefined && { startedOn }),
    ...(finishedOn !== undefined && { finishedOn }),
  };
}

export interface HandBuilt {
  readonly buildType: string;
  readonly externalParameters: JsonObject;
  readonly builderId: string;
  readonly invocation?: string;
  readonly started?: Instant;
  readonly finished?: Instant;
}

/**
 * The least that is true: what the vendor states itself. No dependencies and no times are claimed
 * that nobody observed; an absent field says "not known", an empty one would say "none".
 */
export function handBuiltProvenance(input: HandBuilt): JsonObject {
  const { buildType, externalParameters, builderId, invocation, started, finished } = input;
  const metadata = {
    ...(invocation !== undefined && { invocationId: invocation }),
    ...(started !== undefined && { startedOn: formatInstant(started) }),
    ...(finished !== undefined && { finishedOn: formatInstant(finished) }),
  };
  return {
    buildDefinition: { buildType, externalParameters },
    runDetails: {
      builder: { id: builderId },
      ...(Object.keys(metadata).length > 0 && { metadata }),
    },
  };
}
